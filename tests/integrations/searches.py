"""A search for the tests of integrations: rewards, failures, networks beyond.

The best networks of the space cost more than the target allows, and the search
trains some of them on its way.
"""

from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search import Status
from tests.search import problems

PROBLEM = problems.make_problem([[3, 2, 1, 6], [5, 2, 6], [8, 1, 9]], high=14)
"""The default network costs 16, two more than allowed."""

FAILS = (3, 1, 1)
PRUNED = (2, 1, 1)


def reward(architecture):
  """Larger option numbers are better, the later layers' more so."""
  return sum(
      option * 1.5**layer for layer, option in enumerate(architecture)
  )


def search(schedule='sweep', trials=30, seed=3):
  """That search, not yet begun."""
  return Search(PROBLEM, schedule, Budget(trials=trials), seed)


def alone(schedule='sweep', trials=30, seed=3):
  """That search to its end, without any framework."""
  def evaluate(candidate):
    if candidate.architecture == FAILS:
      return Evaluation(None, 0.0, Status.FAILED)
    if candidate.architecture == PRUNED:
      return Evaluation(None, 0.0, Status.STOPPED)
    return Evaluation(reward(candidate.architecture))
  return problems.run(search(schedule, trials, seed), evaluate)


def told(one):
  """Candidates of a search, with their statuses and rewards."""
  return [
      (trial.candidate, trial.evaluation.status, trial.evaluation.reward)
      for trial in one.trials
  ]
