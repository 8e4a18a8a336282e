"""What a config only names: images, a space, a latency table, own costs.

A workdir records digests of their content. A run goes on only with the same
content, whatever their names are.
"""

import random
from typing import Any

import numpy as np

from layernas.data.dataset import Dataset
from layernas.networks.costs import COSTS
from layernas.networks.costs import further_limits
from layernas.networks.interface import Space
from layernas.networks.latency import METRIC
from layernas.networks.latency import read_latency_table
from layernas.search.cost import Cost
from layernas.search.cost import cost_text
from layernas.search.problem import Problem
from layernas.search.space import architecture_id
from layernas.storage.resuming import Input
from layernas.storage.resuming import code_inputs
from layernas.storage.resuming import digest

_SAMPLE = 200
"""Random networks whose costs are compared, beside those that differ from the
default in one layer."""


def search_inputs(
    config: Any, space: Space, dataset: Dataset, problem: Problem
) -> list[Input]:
  """Inputs of a search.

  Args:
    config: of the search.
    space: that its config names.
    dataset: likewise.
    problem: with the costs of the space's networks.

  Returns:
    The inputs.
  """
  inputs = [
      *space_inputs(config, space, dataset), data_input(dataset),
      *code_inputs({'search.schedule': config.search.schedule}),
      *training_inputs(config),
  ]
  limited = further_limits(config.limits)
  metrics = {
      'cost.metric': (config.cost.metric, problem.cost),
      **{
          f'limits.{name}': (name, limit.cost)
          for name, limit in zip(limited, problem.limits, strict=True)
      },
  }
  if METRIC in (name for name, _ in metrics.values()):
    path = config.cost.latency_table
    table = read_latency_table(path).rows
    inputs.append(
        Input('cost.latency_table', digest(table), f'{path}, {len(table)} rows')
    )
  for field, (name, cost) in metrics.items():
    if name not in COSTS:
      default = cost_text(cost.cost(space.search_space.default))
      inputs.append(Input(
          field, digest(_some_costs(cost)),
          f'{name}, of the default network {default}',
      ))
  return inputs


def training_inputs(config: Any, recipe: str = 'training') -> list[Input]:
  """Own code that decides what comes of a training.

  Args:
    config: of the run.
    recipe: section of the training, 'training' or 'final'.

  Returns:
    The inputs; the reward among them where it counts.
  """
  named = {
      f'{recipe}.{part}': config[recipe][part]
      for part in ('optimizer', 'schedule')
  }
  if recipe == 'training':
    named['reward'] = config.reward
  return code_inputs(named)


def space_input(config: Any, space: Space, dataset: Dataset) -> Input:
  """A space with every option of every layer: the first of `space_inputs`."""
  return space_inputs(config, space, dataset)[0]


def space_inputs(
    config: Any, space: Space, dataset: Dataset
) -> tuple[Input, Input]:
  """A space, and what of it does not depend on images and classes.

  Args:
    config: config with the field `space`.
    space: space that the field names.
    dataset: data set of its networks.

  Returns:
    'space', with every option of every layer, and 'layers', with the layers and
    their options alone.
  """
  content = space.content(dataset.image_size, dataset.num_classes)
  text = (
      f'{config.space}, {space.search_space.size:,} networks of'
      f' {len(space.search_space)} layers'
  )
  layers = Input('layers', digest(content['layers']), text)
  if space.named:
    content['named'] = {
        name: network.essence() for name, network in space.named.items()
    }
  return Input('space', digest(content), text), layers


def data_input(dataset: Dataset) -> Input:
  """A data set.

  Args:
    dataset: that a config names.

  Returns:
    The input.
  """
  facts = [
      f'{dataset.num_examples(split):,} {words} images' for split, words in
      (('all_train', 'training'), ('test', 'test'))
  ]
  content = dataset.content()
  if 'decoder' in content:
    facts.append(f'decoded by {content["decoder"]}')
  return Input('data', digest(content), f'{dataset.name}, {", ".join(facts)}')


def _some_costs(cost: Cost) -> dict[str, str]:
  """Costs by architecture, rounded: their sums may be added otherwise."""
  space, rng = cost.space, random.Random(0)
  architectures = {
      space.default[:layer] + (option,) + space.default[layer + 1:]
      for layer, count in enumerate(space.option_counts)
      for option in range(count)
  } | {
      tuple(map(rng.randrange, space.option_counts)) for _ in range(_SAMPLE)
  }
  ordered = sorted(architectures)
  return {
      architecture_id(one): f'{value:.10g}' for one, value in
      zip(ordered, cost.costs(np.array(ordered)).tolist(), strict=True)
  }
