"""Who works and who waits on the virtual clock, and what is trained ahead."""

import random

import pytest

from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search import make_schedule
from tests.search import problems
from tools.perf.virtual_workers import NextLayer
from tools.perf.virtual_workers import Task
from tools.perf.virtual_workers import VirtualWorkers

# Of a layer with two options and one with three; (0, 0) and (1, 0) first.
_TIMES = {(0, 0): 4, (1, 0): 1, (0, 1): 2, (0, 2): 3, (1, 1): 1, (1, 2): 2}
_FIRST = {(0, 0): 2, (1, 0): 1}


def _search(*tables, buckets=100):
  schedule = make_schedule('sweep', buckets=buckets)
  return Search(problems.make_problem(tables), schedule)


def _two_layers(buckets=100):
  return _search([1, 5], [0, 10, 20], buckets=buckets)


def _task(times=_TIMES):
  return lambda one: Task(times[one], _FIRST.get(one, 0))


def _ahead(search, leading, times=_TIMES, workers=2):
  return VirtualWorkers(
      search, _task(times), workers, ahead=NextLayer(search, leading)
  ).run()


def _add_up(timeline):
  return sum((
      timeline.training, timeline.starting, timeline.wasted, timeline.spare,
      timeline.barriers, timeline.tail,
  )) == timeline.workers * timeline.makespan


@pytest.mark.parametrize(('workers', 'makespan', 'idle'), [
    (1, sum(_TIMES.values()), (0, 0, 0)),
    # The second layer begins at 4; the longest worker trains (0, 1), (1, 1) and
    # (1, 2).
    (2, 9, (3, 2, 0)),
    # The third worker has nothing to do in the first layer.
    (3, 7, (3, 1, 4)),
])
def test_workers_wait_at_the_barrier(workers, makespan, idle):
  timeline = VirtualWorkers(_two_layers(), _task(), workers).run()
  assert (timeline.makespan, timeline.work) == (makespan, sum(_TIMES.values()))
  assert (timeline.barriers, timeline.tail, timeline.spare) == idle
  assert _add_up(timeline)
  first, second = timeline.generations
  assert (first.layer, first.size, second.layer, second.size) == (1, 2, 2, 4)
  assert first.opened == 0
  assert second.opened == first.closed
  assert second.closed == makespan


@pytest.mark.parametrize(('start', 'hidden', 'makespan'), [
    (1, False, 8 + 4),
    (1, True, 8 + 1),
    # The second and the fourth start behind 3 and 2, the third behind 1.
    (2, True, 8 + 2 + 1),
])
def test_starts(start, hidden, makespan):
  times = {(0,): 3, (1,): 1, (2,): 2, (3,): 2}
  timeline = VirtualWorkers(
      _search([1, 2, 3, 4]), _task(times), 1, start, hidden
  ).run()
  assert timeline.makespan == makespan
  assert timeline.starting == makespan - 8


def test_what_is_not_known_before_the_barrier_is_not_compiled_before():
  timeline = VirtualWorkers(_two_layers(), _task(), 1, 1, hidden=True).run()
  assert timeline.starting == 2


@pytest.mark.parametrize(('buckets', 'leading', 'wasted', 'barriers'), [
    (100, False, 0, 0),
    # One bucket: (1, 0) leads until (0, 0) is answered, which is better.
    (1, True, 3, 0), (1, False, 0, 3),
])
def test_children_fill_the_wait_and_may_be_wasted(
    buckets, leading, wasted, barriers
):
  timeline = _ahead(_two_layers(buckets), leading)
  assert timeline.makespan == 7
  assert (timeline.wasted, timeline.barriers) == (wasted, barriers)


def test_workers_leave_trainings_that_turn_out_to_be_for_nothing():
  timeline = _ahead(
      _two_layers(buckets=1), leading=True, times=_TIMES | {(1, 2): 90}
  )
  assert (timeline.makespan, timeline.wasted) == (7, 3)
  assert _add_up(timeline)


def test_a_training_that_was_left_ends_unnoticed():
  # (0, 1) and (1, 1) begin at 1. At 4 the latter is left, for (2, 1); the
  # former is asked for and ends at 10, when the latter would have ended.
  times = {(0, 0): 1, (1, 0): 1, (2, 0): 4, (0, 1): 9, (1, 1): 9, (2, 1): 2}
  rewards = {(1, 0): 1, (2, 0): 2}
  search = _search([0, 9, 9], [0, 20], buckets=2)
  timeline = VirtualWorkers(
      search, lambda one: Task(times[one], rewards.get(one, 0)), 3,
      ahead=NextLayer(search, leading=True),
  ).run()
  assert (timeline.makespan, timeline.wasted) == (10, 3)
  assert _add_up(timeline)


def test_trainings_ahead_that_the_budget_refuses_are_for_nothing():
  search = _two_layers()
  search.budget = Budget(trials=2)
  timeline = _ahead(search, leading=False)
  assert (timeline.makespan, timeline.training, timeline.wasted) == (4, 5, 3)


_SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))]


def _schedule(name):
  settings = {
      'interleaved': {'entries': 2, 'options': 2},
      'model_guided': {'design': 4, 'batch': 3},
  }
  return make_schedule(name, buckets=3, **settings.get(name, {}))


def _random_search(name, seed):
  rng = random.Random(seed)
  tables = [[rng.randint(1, 9) for _ in range(3)] for _ in range(4)]
  return Search(
      problems.make_problem(tables), _schedule(name), Budget(trials=60), seed
  )


def _random_task(one):
  rng = random.Random(str(one))
  return Task(rng.randint(1, 9), rng.random())


def _one_by_one(search):
  while asked := search.ask():
    [candidate] = asked
    reward = _random_task(candidate.architecture).reward
    search.tell(candidate.id, Evaluation(reward))
  return search.trials


@pytest.mark.parametrize('seed', _SEEDS)
@pytest.mark.parametrize('workers', [1, 3, 16])
@pytest.mark.parametrize('name', [
    'sweep', 'recentred', 'interleaved', 'model_guided',
])
def test_any_number_of_workers(name, workers, seed):
  search = _random_search(name, seed)
  timeline = VirtualWorkers(search, _random_task, workers, start=1).run()
  assert search.trials == _one_by_one(_random_search(name, seed))
  assert sum(one.size for one in timeline.generations) == len(search.trials)
  assert timeline.makespan >= timeline.shortest
  assert timeline.shortest >= timeline.work / workers
  assert timeline.shortest >= sum(one.longest for one in timeline.generations)
  # Graham (1966): no list of independent jobs takes longer.
  assert timeline.makespan <= sum(
      (one.work + one.size) / workers + one.longest + 1
      for one in timeline.generations
  )
  assert _add_up(timeline)


@pytest.mark.parametrize('seed', _SEEDS)
@pytest.mark.parametrize('leading', [False, True])
@pytest.mark.parametrize('workers', [1, 3, 16])
@pytest.mark.parametrize('name', ['sweep', 'recentred'])
def test_training_ahead_changes_no_result(name, workers, leading, seed):
  search = _random_search(name, seed)
  timeline = VirtualWorkers(
      search, _random_task, workers, ahead=NextLayer(search, leading)
  ).run()
  assert search.trials == _one_by_one(_random_search(name, seed))
  assert timeline.makespan >= timeline.work / workers
  assert timeline.training == timeline.work
  # Of a sweep nothing is cut off by the budget.
  if name == 'sweep' and not leading:
    assert timeline.wasted == 0
  assert _add_up(timeline)


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
