"""Tests of layernas.search.sweep."""

from hypothesis import given

from layernas.search import Evaluation
from layernas.search import Status
from tests.search import problems


def recentred(problem, **settings):
  return problems.sweep_of(problem, name='recentred', **settings)


def passes_of(search):
  return [(one.start, one.order) for one in search.strategy.passes]


# What the second layer is worth depends on the first: (1, 1) is the best, but
# from (0, 0) the way leads over (1, 0), which is the worst.
REWARDS = {(0, 0): 2.0, (0, 1): 3.0, (1, 0): 1.0, (1, 1): 4.0}


def interacting(candidate):
  return Evaluation(REWARDS[candidate.architecture])


def test_the_second_pass_starts_from_the_incumbent():
  """With one bucket the first pass finds (0, 1), the second (1, 1)."""
  problem = problems.make_problem([[1, 2], [1, 2]])
  search = problems.run(recentred(problem, buckets=1), interacting)
  assert [start for start, _ in passes_of(search)] == [
      (0, 0), (0, 1), (1, 1), (1, 1),
  ]
  assert search.best.candidate.architecture == (1, 1)
  assert search.stop_reason == 'two passes in a row found nothing better'
  one_sweep = problems.sweep_of(problem, buckets=1)
  problems.run(one_sweep, interacting)
  assert one_sweep.best.candidate.architecture == (0, 1)


def test_a_start_that_stays_the_best_is_swept_in_both_directions():
  problem = problems.make_problem([[1, 2], [1, 2]])
  search = recentred(problem, buckets=1, order='alternating')
  problems.run(search, lambda one: Evaluation(-float(sum(one.architecture))))
  assert passes_of(search) == [((0, 0), (0, 1)), ((0, 0), (1, 0))]


def test_a_late_improvement_begins_the_count_of_passes_anew():
  """Forwards (2, 0) falls to (1, 0), backwards nothing does: (2, 1) is found.

  So the first pass leaves (0, 0), the second does not, and two more follow.
  """
  problem = problems.make_problem([[0, 9, 10], [0, 5]])
  rewards = {
      (0, 0): 3.0, (0, 1): 2.0, (1, 0): 1.0, (1, 1): 0.0, (2, 0): 0.0,
      (2, 1): 5.0,
  }
  search = recentred(problem, buckets=2, order='alternating')
  problems.run(search, lambda one: Evaluation(rewards[one.architecture]))
  assert passes_of(search) == [
      ((0, 0), (0, 1)), ((0, 0), (1, 0)), ((2, 1), (0, 1)), ((2, 1), (1, 0)),
  ]


def test_cost_axes_are_cut_anew():
  """From (1, 0) on all children of the second layer cost 10 more."""
  problem = problems.make_problem([[1, 11], [1, 2]])
  search = recentred(problem, buckets=2, order='backward')
  problems.run(search, lambda one: Evaluation(float(one.architecture[0])))
  first, second = search.strategy.passes[:2]
  assert first.tables[1].axis.edges == (2.5,)
  assert second.start == (1, 0)
  assert second.tables[1].axis.edges == (12.5,)


@given(problems.problems(), problems.PASS_SETTINGS, problems.SEEDS)
def test_passes_start_from_ever_better_networks(problem, settings, seed):
  search = problems.Search(
      problem, problems.make_schedule('recentred', settings), seed=seed
  )
  problems.run(search, problems.RandomResults(seed, failing=0.1))
  rewards = {
      trial.candidate.architecture: trial.evaluation.reward
      for trial in search.trials
  }
  first, *later = [one.start for one in search.strategy.passes]
  if search.best is None:
    assert not later
    assert search.stop_reason == (
        'no network in the target interval was evaluated'
    )
    return
  assert search.stop_reason == 'two passes in a row found nothing better'
  answer = search.best.candidate.architecture
  assert [first, *later][-2:] == [answer, answer]
  improved = [rewards[one] for one in dict.fromkeys(later)]
  assert improved == sorted(set(improved))
  assert len(later) - len(improved) <= 1
  assert all(problem.cost.cost(one) in problem.target for one in later)


@given(problems.problems(), problems.TABLE_SETTINGS, problems.SEEDS)
def test_the_first_pass_is_a_sweep(problem, tables, seed):
  results = problems.RandomResults(seed)
  settings = problems.PassSettings(tables)
  sweep, search = (
      problems.run(
          problems.Search(problem, problems.make_schedule(name, settings)),
          results,
      )
      for name in ('sweep', 'recentred')
  )
  assert search.trials[:len(sweep.trials)] == sweep.trials


def test_without_a_network_in_the_target_there_is_no_second_pass():
  problem = problems.make_problem([[1, 2], [1, 2]])
  search = problems.run(
      recentred(problem),
      lambda one: Evaluation(None, status=Status.FAILED),
  )
  assert len(search.strategy.passes) == 1
  assert search.stop_reason == 'no network in the target interval was evaluated'


def test_the_number_of_passes_has_no_bound():
  assert recentred(problems.make_problem([[1, 2]])).bound is None
