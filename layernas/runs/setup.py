"""From a config to the objects of a search; checks every field on the way.

Where several processes run a search together, it also checks that all of them
have the same in hand.
"""

import math
from typing import Any

import jax

from layernas import lookup
from layernas.data.dataset import SPLITS
from layernas.data.dataset import Dataset
from layernas.errors import UserError
from layernas.networks.costs import configured_cost
from layernas.networks.mobilenet_spaces import SPACES
from layernas.networks.space import NetworkSpace
from layernas.reports.result import versions
from layernas.search import Budget
from layernas.search import Problem
from layernas.search import Search
from layernas.search import TargetInterval
from layernas.search.early_stop import configured_early_stop
from layernas.search.schedules import configured_schedule
from layernas.training import hosts


def check_same_run(config: Any, dataset: Dataset) -> None:
  """Compares what all processes must have in common.

  Args:
    config: of the run.
    dataset: that it loaded.

  Raises:
    UserError: names what differs; every process raises it.
  """
  hosts.agree('config', config.to_dict())
  hosts.agree('versions', versions())
  hosts.agree('local devices', jax.local_device_count())
  hosts.agree('data', {
      'name': dataset.name,
      'num_classes': dataset.num_classes,
      'images': {split: dataset.num_examples(split) for split in SPLITS},
  })


def make_space(name: str) -> NetworkSpace:
  """A network space by name.

  Args:
    name: a key of `mobilenet_spaces.SPACES`, or 'module:function' of a function
      without arguments that returns a NetworkSpace.

  Returns:
    The space.

  Raises:
    UserError: there is no such space.
  """
  space = lookup.call(lookup.find('space', name, SPACES), 'space', {})
  if not isinstance(space, NetworkSpace):
    raise UserError(
        f'space: {name!r} gave a {type(space).__name__}: allowed is a'
        ' NetworkSpace'
    )
  return space


def make_problem(
    config: Any, space: NetworkSpace, image_size: int, num_classes: int
) -> Problem:
  """Cost model and target interval.

  Args:
    config: with sections `cost` and `target` (low, high; 0 = none).
    space: of the networks.
    image_size: side in pixels.
    num_classes: of the data set.

  Returns:
    The problem.

  Raises:
    UserError: no network reaches the target, or a field is wrong.
  """
  cost = configured_cost(config.cost, space, image_size, num_classes)
  low = config.target.low or -math.inf
  high = config.target.high or math.inf
  return Problem(cost, TargetInterval(low, high))


def make_search(config: Any, problem: Problem) -> Search:
  """The search that the config describes, not yet begun.

  Args:
    config: with `seed` and sections `search`, `early_stop` and `budget`.
    problem: to search.

  Returns:
    The search.

  Raises:
    UserError: names the field, its value and what is allowed.
  """
  search, budget = config.search, config.budget
  if config.seed < 0:
    raise UserError(f'seed: {config.seed}: allowed are integers >= 0')
  limits = Budget(
      budget.trials or math.inf,
      budget.seconds or math.inf,
      budget.failures or math.inf,
  )
  schedule = configured_schedule(search)
  early_stop = configured_early_stop(config.early_stop, schedule)
  return Search(
      problem, schedule, limits, config.seed, early_stop=early_stop
  )

