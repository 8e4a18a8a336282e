"""What the tests of other packages' methods share."""

import importlib.util

from layernas.search import Budget
from layernas.search import Search
from tests.search import problems


def made(method, package, *says, **settings):
  """A method; None where its package is missing, which is said then.

  Args:
    method: its class.
    package: that it needs.
    *says: parts of the error where that is missing.
    **settings: of the method.
  """
  if importlib.util.find_spec(package) is not None:
    return method(**settings)
  with problems.refuses(*says):
    method()
  return None


def good(candidate):
  """The first layer's option, which costs most where it is best."""
  return problems.Evaluation(90.0 + candidate.architecture[0])


def run(strategy, problem, trials, seed=0, reward=good):
  """The search of a method to its end."""
  search = Search(problem, strategy, Budget(trials=trials), seed, reuse=False)
  return problems.run(search, reward)


def check_lives_on_where_everything_fails(strategy):
  """Trials without a reward are no reason to stop."""
  search = run(
      strategy, problems.make_problem([[0, 1, 2]] * 3), 12,
      reward=problems.RandomResults(0, failing=1.0),
  )
  assert len(search.trials) == 12
  assert search.best is None
