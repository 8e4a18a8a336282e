"""What can be trained before a layer is complete."""

from layernas.search import Evaluation
from layernas.search import Search
from layernas.search import make_schedule
from tests.search import problems
from tools.perf.next_layer import NextLayer


def _opened(tables, leading, name='sweep', order='forward', **settings):
  schedule = make_schedule(name, order=order, **settings)
  search = Search(problems.make_problem(tables), schedule)
  ahead = NextLayer(search, leading)
  asked = search.ask(100)
  ahead.opened()
  return search, ahead, asked


def _tell(search, ahead, candidate, reward):
  search.tell(candidate.id, Evaluation(reward))
  ahead.answered(candidate.architecture, reward)


def test_certain_buckets_first_then_by_their_chance_of_another_winner():
  # Two buckets: options 0 and 1, and options 2 to 4.
  tables = [[0, 1, 7, 8, 9], [0, 20]]
  found = {}
  for leading in (False, True):
    search, ahead, asked = _opened(tables, leading, buckets=2)
    assert not list(ahead.choices())
    _tell(search, ahead, asked[0], 1)
    _tell(search, ahead, asked[2], 1)
    _tell(search, ahead, asked[3], 2)
    # Open are one of two and one of three.
    found[leading, 3] = list(ahead.choices())
    _tell(search, ahead, asked[1], 3)
    found[leading, 4] = list(ahead.choices())
  assert found == {
      (False, 3): [], (True, 3): [(3, 1), (0, 1)],
      (False, 4): [(1, 1)], (True, 4): [(1, 1), (3, 1)],
  }


def test_all_that_a_bucket_keeps_and_of_equals_the_older():
  search, ahead, asked = _opened([[1, 1, 1], [0, 20]], False, keep=2)
  for candidate in asked:
    _tell(search, ahead, candidate, 1)
  assert list(ahead.choices()) == [(0, 1), (1, 1)]


def test_the_last_layer_has_no_children_to_train():
  search, ahead, asked = _opened([[1, 2, 3]], True)
  _tell(search, ahead, asked[0], 1)
  assert not list(ahead.choices())


def test_the_next_pass_is_followed():
  search, ahead, asked = _opened([[1, 2, 3], [0, 20, 40]], True, 'recentred')
  seen = []
  while asked:
    for candidate in asked:
      _tell(search, ahead, candidate, sum(candidate.architecture))
    seen.append(list(ahead.choices()))
    if asked := search.ask(100):
      ahead.opened()
  assert search.finished
  # The second pass begins at (2, 2): (0, 2), (1, 2) and (2, 2) are known, and
  # so are the children of all of them.
  assert seen == [[(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)], []]


def test_a_pass_in_another_order_and_with_known_networks():
  search, ahead, asked = _opened(
      [[1, 2], [0, 20], [0, 300]], False, 'recentred', 'alternating', buckets=1
  )
  seen = []
  while asked and len(seen) < 4:
    for candidate in asked:
      _tell(search, ahead, candidate, sum(candidate.architecture))
    seen.append((asked[-1].architecture, list(ahead.choices())))
    if asked := search.ask(100):
      ahead.opened()
  # The second pass, from the last layer, begins at (1, 1, 1) and knows all of
  # its first layer. Its second one has a known network beside (1, 0, 1).
  assert seen == [
      ((1, 0, 0), [(1, 1, 0)]), ((1, 1, 0), [(1, 1, 1)]), ((1, 1, 1), []),
      ((1, 0, 1), [(0, 1, 1)]),
  ]


def test_the_search_does_not_notice():
  problem = problems.make_problem([[1, 5], [0, 10, 90]], high=50)
  search = Search(problem, make_schedule('sweep'))
  ahead = NextLayer(search, leading=True)
  asked = search.ask(100)
  ahead.opened()
  _tell(search, ahead, asked[0], 1)
  assert list(ahead.choices()) == [(0, 1)]
  assert search.strategy.infeasible == 0
  _tell(search, ahead, asked[1], 1)
  search.ask(100)
  assert search.strategy.infeasible == 2
