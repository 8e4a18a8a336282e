"""Searches with a decision trace attached."""

import math

from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search import Status
from layernas.search import make_schedule
from layernas.search.trace import Trace
from tests.search import problems

REWARDS = {
    (0, 0, 0): 1.0,
    (1, 0, 0): 2.0,
    (0, 1, 0): 2.0,
    (1, 1, 0): 4.0,
}
"""Rewards of the hand-worked example; any other network fails."""


def start(problem, strategy, seed=0, trials=math.inf, reuse=True):
  """A search that has not begun, and its trace."""
  trace = Trace(problem, strategy)
  return Search(problem, strategy, Budget(trials), seed, reuse), trace


def by_hand(candidate):
  """Evaluates the networks of the hand-worked example."""
  if candidate.architecture not in REWARDS:
    return Evaluation(None, status=Status.FAILED, message='out of luck')
  return Evaluation(REWARDS[candidate.architecture])


def hand_worked(title='by hand'):
  """Three layers, two buckets, costs up to 9; worked in test_trace.py.

  Returns:
    The JSON of its trace.
  """
  problem = problems.make_problem([[1, 4], [1, 4, 5], [1, 8]], high=9)
  strategy = make_schedule('sweep', buckets=2)
  search, trace = start(problem, strategy)
  problems.run(search, by_hand)
  return {
      'run': {'title': title, 'stop_reason': search.stop_reason},
      **trace.to_dict(),
  }


def with_a_stopped_child():
  """The JSON of the same trace, its failed child stopped instead."""
  trace = hand_worked()
  child = trace['passes'][0]['layers'][1]['buckets']['1'][1]
  child.update(verdict='stopped', message='too bad')
  return trace


def _mostly_additive(candidate):
  """Dear options are better; one network in about twenty fails."""
  failed = problems.RandomResults(failing=0.05)(candidate).reward is None
  if failed and any(candidate.architecture):
    return Evaluation(None, status=Status.FAILED, message='as drawn')
  return Evaluation(candidate.cost + sum(candidate.architecture) / 7)


def large(layers, options, buckets):
  """The JSON of the trace of a sweep that may have thousands of trials."""
  tables = [
      [1 + (7 * layer + 5 * option**2) % 97 for option in range(options)]
      for layer in range(layers)
  ]
  high = sum(sum(table) / options for table in tables)
  problem = problems.make_problem(tables, high=high)
  strategy = make_schedule('sweep', buckets=buckets)
  search, trace = start(problem, strategy)
  problems.run(search, _mostly_additive)
  return {'run': {'title': 'large'}, **trace.to_dict()}
