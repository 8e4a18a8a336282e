"""Tests of layernas.study.methods.local_search."""

from layernas.search import Budget
from layernas.search import Search
from layernas.study.methods.local_search import LocalSearch
from tests.search import problems


def run(reward, high=99, trials=200, layers=4):
  problem = problems.make_problem([[0, 1, 2]] * layers, high=high)
  search = Search(problem, LocalSearch(), Budget(trials=trials), reuse=False)
  return problems.run(search, lambda c: problems.Evaluation(reward(c)))


def test_first_better_neighbour_is_taken():
  """On a sum every climb reaches the top, asking only for neighbours."""
  search = run(lambda c: float(sum(c.architecture)), trials=60)
  current, best = None, None
  for trial in search.trials:
    architecture, reward = trial.candidate.architecture, trial.candidate.cost
    if current is not None and best < 8:
      assert sum(
          a != b for a, b in zip(architecture, current, strict=True)
      ) == 1
    if current is None or reward > best:
      current, best = architecture, reward
  assert best == 8


def test_a_climb_asks_for_nothing_twice():
  """The first climb is over when the top and its 8 neighbours are known."""
  search = run(lambda c: float(sum(c.architecture)), trials=60)
  around = {
      (2,) * layer + (option,) + (2,) * (3 - layer)
      for layer in range(4) for option in range(3)
  }
  asked = []
  for trial in search.trials:
    asked.append(trial.candidate.architecture)
    if around <= set(asked):
      break
  assert around <= set(asked)
  assert len(asked) == len(set(asked))


def test_local_optimum_is_left_after_all_neighbours():
  """All equal: a climb is a random network and its 8 neighbours."""
  search = run(lambda c: 1.0, trials=90)
  architectures = [t.candidate.architecture for t in search.trials]
  starts = architectures[::9]
  assert len(set(starts)) > 5
  for number in range(10):
    start, *neighbours = architectures[9 * number:9 * number + 9]
    assert len(set(neighbours)) == 8
    for neighbour in neighbours:
      assert sum(a != b for a, b in zip(start, neighbour, strict=True)) == 1


def test_a_failed_start_is_left_for_any_neighbour_that_works():
  search = run(lambda c: None if c.id == 0 else 1.0, trials=3)
  first, second, third = [t.candidate.architecture for t in search.trials]
  assert sum(a != b for a, b in zip(first, second, strict=True)) == 1
  assert sum(a != b for a, b in zip(second, third, strict=True)) == 1


def test_first_climb_begins_at_the_default_and_the_next_ones_do_not():
  """All equal: every ninth trial begins a climb."""
  problem = problems.make_problem([[0, 1, 2]] * 4)
  search = Search(
      problem, LocalSearch(start='default'), Budget(trials=90), reuse=False
  )
  problems.run(search, lambda c: problems.Evaluation(1.0))
  starts = [t.candidate.architecture for t in search.trials][::9]
  assert starts[0] == problem.space.default
  assert len(set(starts)) > 5


def test_unknown_start():
  with problems.refuses('local_search.start', "'best'", 'random', 'default'):
    LocalSearch(start='best')
