"""From a config to the objects of a search; checks every field on the way.

Where several processes run a search together, it also checks that all of them
have the same in hand.
"""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import jax

from layernas.data.dataset import SPLITS
from layernas.data.dataset import Dataset
from layernas.errors import UserError
from layernas.networks.costs import configured_cost
from layernas.networks.costs import configured_limits
from layernas.networks.costs import further_limits
from layernas.networks.interface import METRICS
from layernas.networks.interface import Space
from layernas.networks.network import NetworkLike
from layernas.networks.reference import WIDTH_RULES
from layernas.networks.scaling import neighbours_in_width
from layernas.reports.result import versions
from layernas.search import Budget
from layernas.search import Problem
from layernas.search import Search
from layernas.search import TargetInterval
from layernas.search.comparison import Compared
from layernas.search.early_stop import configured_early_stop
from layernas.search.problem import Reference
from layernas.search.problem import upper_limits
from layernas.search.schedules import configured_schedule
from layernas.search.warm_start import COLD
from layernas.search.warm_start import WarmStart
from layernas.training import hosts

WIDTH_SCALED = 'width-scaled'
"""Name of the default network scaled in width to the limit."""


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


def with_width_scaled(
    space: Space, config: Any, dataset: Dataset
) -> Space:
  """The space of a search, with the width-scaled network to compare with.

  Args:
    space: of the config.
    config: with sections `cost`, `target`, `limits` and `reference`.
    dataset: of the images.

  Returns:
    The space; its `named` has `WIDTH_SCALED`, the widest multiple of the
    default network within the limits, where the search compares, there is a
    limit, all limits are on counted costs, and some multiple keeps them.

  Raises:
    UserError: a field is wrong.
  """
  check_reference(config.reference)
  # Of several limits the largest: there the answer is compared.
  limits = {config.cost.metric: upper_limits(config.target.high)[-1]}
  for metric, high in further_limits(config.limits).items():
    limits[metric] = min(high, limits.get(metric, math.inf))
  if not (
      config.reference.trainings and math.isfinite(min(limits.values()))
      and limits.keys() <= METRICS.keys()
  ):
    return space
  price = _price(config, dataset.image_size, dataset.num_classes)
  space.network(space.search_space.default).check_images(dataset.image_size)

  def too_wide(network: NetworkLike) -> bool:
    counts = network.counts(dataset.image_size, dataset.num_classes)
    return any(
        getattr(counts, metric) > high for metric, high in limits.items()
    )

  scaled, _ = neighbours_in_width(space, too_wide, config.reference)
  if scaled is None or price(scaled) < config.target.low:
    return space
  return space.with_named({WIDTH_SCALED: scaled})


def check_reference(section: Any) -> None:
  """Raises UserError unless the config section `reference` makes sense."""
  for field, least in (('seeds', 1), ('divisor', 1), ('trainings', 0)):
    value = getattr(section, field)
    if value < least:
      raise UserError(
          f'reference.{field}: {value}: allowed are integers of at least'
          f' {("zero", "one")[least]}'
      )
  if section.rule not in WIDTH_RULES:
    raise UserError(
        f'reference.rule: {section.rule!r}: allowed is one of'
        f' {list(WIDTH_RULES)}'
    )


def _price(
    config: Any, image_size: int, num_classes: int
) -> Callable[[NetworkLike], int]:
  """What a network costs by a counted metric."""
  def price(network: NetworkLike) -> int:
    return getattr(
        network.counts(image_size, num_classes), config.cost.metric
    )
  return price


def make_problem(
    config: Any, space: Space, image_size: int, num_classes: int
) -> Problem:
  """Cost model, target interval and further limits.

  Args:
    config: with sections `cost`, `target` (low, high; 0 = none) and `limits`.
    space: of the networks.
    image_size: side in pixels.
    num_classes: of the data set.

  Returns:
    The problem.

  Raises:
    UserError: no network reaches the target, or a field is wrong.
  """
  # First: what a space found out of its networks is then said of the cost.
  limits = configured_limits(
      config.limits, config.cost, space, image_size, num_classes
  )
  cost = configured_cost(config.cost, space, image_size, num_classes)
  *smaller, high = upper_limits(config.target.high)
  problem = Problem(
      cost, TargetInterval(config.target.low or -math.inf, high),
      limits=limits,
      smaller_highs=tuple(smaller),
  )
  default = space.search_space.default
  references = [Reference('default', default, cost.cost(default))]
  price = _price(config, image_size, num_classes)
  references += [
      Reference(f'{name} default', name, price(network))
      for name, network in space.named.items()
  ]
  return dataclasses.replace(problem, references=tuple(
      one for one in references if problem.admits(one.network, one.cost)
  ))


def make_budget(section: Mapping[str, Any]) -> Budget:
  """The budget that a config section `budget` describes; 0 is no limit."""
  names = ('trials', 'seconds', 'failures')
  return Budget(*(section.get(name) or math.inf for name in names))


def make_search(
    config: Any, problem: Problem, warm: WarmStart = COLD
) -> Search:
  """The search that the config describes, not yet begun.

  Args:
    config: with `seed` and sections `search`, `early_stop` and `budget`.
    problem: to search.
    warm: what it begins with.

  Returns:
    The search.

  Raises:
    UserError: names the field, its value and what is allowed.
  """
  search = config.search
  if config.seed < 0:
    raise UserError(f'seed: {config.seed}: allowed are integers >= 0')
  limits = make_budget(config.budget)
  schedule = configured_schedule(search, warm)
  early_stop = configured_early_stop(config.early_stop, schedule)
  if config.reference.trainings and problem.references:
    schedule = Compared(schedule, config.reference.trainings)
  made = Search(
      problem, schedule, limits, config.seed, early_stop=early_stop
  )
  made.know(warm.known, warm.others)
  return made

