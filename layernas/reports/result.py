"""Result files of a search: result.json and tables.json."""

import dataclasses
import importlib.metadata
import json
import math
import os
import platform
import shlex
from collections import Counter
from collections.abc import Mapping
from typing import Any

from etils import epath

import layernas
from layernas import installation
from layernas.errors import NothingFoundError
from layernas.networks.flax_space import option_json
from layernas.networks.interface import Space
from layernas.search import Search
from layernas.search import Trial
from layernas.search.comparison import Compared
from layernas.search.cost import cost_text
from layernas.search.layer_pass import LayerPass
from layernas.search.problem import upper_limits
from layernas.search.space import Architecture
from layernas.search.space import architecture_id

_PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy')


def search_result(
    search: Search, space: Space, config: Any, image_size: int,
    num_classes: int,
) -> dict[str, Any]:
  """Content of result.json.

  Args:
    search: a finished search.
    space: space of the networks.
    config: config of the run.
    image_size: side of the images in pixels.
    num_classes: number of classes of the data set.

  Returns:
    JSON types. `winner` is None if no network in the target interval was
    evaluated. `front`, for a search under several limits, has the answer under
    each of them; the last one is the winner. `limits` are those on further
    costs, by name. `comparison` compares the network that the search found with
    each reference, which is the answer if it is better.
  """
  statuses = Counter(str(t.evaluation.status) for t in search.trials)
  compared = search.strategy if isinstance(search.strategy, Compared) else None
  front = [
      {'limit': target.high, **(
          {'trial': None, 'network': None} if trial is None else _answer(
              trial, search, space, (image_size, num_classes)
          )
      )} for target, trial in search.front()
  ]
  return {
      'winner': None if search.best is None else _answer(
          search.best, search, space, (image_size, num_classes)
      ),
      'front': front if len(front) > 1 else [],
      'limits': {
          limit.cost.name: limit.high for limit in search.problem.limits
      },
      'comparison': [
          dataclasses.asdict(one) for one in compared.standings()
      ] if compared else [],
      'stop_reason': search.stop_reason,
      'trials': dict(sorted(statuses.items())),
      'known': len(search.known),
      'other_tasks': list(map(len, search.others)),
      'reused': search.reused,
      'infeasible': search.strategy.infeasible,
      'seconds': search.seconds,
      'versions': versions(),
      'config': config.to_dict(),
  }


def next_command(
    result: Mapping[str, Any], workdir: epath.PathLike
) -> str:
  """The command to type after a search, quoted for a shell.

  Args:
    result: content of result.json.
    workdir: workdir of the search.

  Returns:
    The command that trains its answer to the end.

  Raises:
    NothingFoundError: there is no answer.
  """
  if result['winner'] is None:
    raise NothingFoundError(_no_answer(result))
  path = shlex.quote(os.path.join(workdir, 'result.json'))
  return f'{installation.COMMAND} train --architecture={path}'


def _no_answer(result: Mapping[str, Any]) -> str:
  """Why a search has no answer, in one line."""
  trials, reason = result['trials'], result['stop_reason']
  if not trials:
    return f'no network was found: no trial was made ({reason})'
  if 'ok' not in trials:
    counts = ', '.join(f'{count} {name}' for name, count in trials.items())
    return f'no network was found: no trial succeeded ({counts}; {reason})'
  limits = [
      f'{words} {cost_text(limit)}'
      for words, limit in (
          ('from', result['config']['target']['low']),
          ('to', upper_limits(result['config']['target']['high'])[-1]),
      ) if 0 < limit < math.inf
  ]
  limits += [
      f'{name} to {cost_text(limit)}'
      for name, limit in result['config'].get('limits', {}).items() if limit
  ]
  return (
      f'no network was found with a cost in the target, {" ".join(limits)}:'
      f' trials that succeeded, {trials["ok"]}, were all outside of it'
      f' ({reason})'
  )


def _answer(
    trial: Trial, search: Search, space: Space, shape: tuple[int, int]
) -> dict[str, Any]:
  """A network that a search answers with; `shape`: image size and classes."""
  candidate = trial.candidate
  network = space.network(candidate.architecture)
  counts = network.counts(*shape)
  return {
      'trial': candidate.id,
      'architecture': architecture_id(candidate.architecture),
      'options': (
          {} if isinstance(candidate.architecture, str)
          else _options(space, candidate.architecture)
      ),
      'reward': trial.evaluation.reward,
      'cost': candidate.cost,
      # Of a network outside the space only what is counted is known.
      'further_costs': (
          {} if isinstance(candidate.architecture, str)
          else search.problem.further_costs(candidate.architecture)
      ),
      'counts': {'MAdds': counts.madds, 'parameters': counts.params},
      'network': network.to_dict(),
  }


def _options(
    space: Space, architecture: Architecture
) -> dict[str, Any]:
  """Layer names and chosen options, which may hold parts of a spec."""
  described = space.search_space.describe(architecture)
  return json.loads(json.dumps(described, default=lambda part: (
      dataclasses.asdict(part)
      if dataclasses.is_dataclass(part) and not isinstance(part, type)
      else option_json(part)
  )))


def layer_tables(search: Search) -> list[dict[str, Any]]:
  """Content of tables.json, the layer tables of every pass.

  It is empty if the schedule has no layer tables of trained networks.
  """
  passes = search.strategy.proposer.passes or ()
  return [_pass_tables(one, search) for one in passes]


def _pass_tables(layer_pass: LayerPass, search: Search) -> dict[str, Any]:
  layers = search.problem.space.layers
  return {
      'start': architecture_id(layer_pass.start),
      'order': [layers[layer].name for layer in layer_pass.order],
      'tables': [
          {
              'layer': layers[layer_pass.order[length - 1]].name,
              'infeasible': layer_pass.infeasible[length],
              'edges': list(table.axis.edges),
              'buckets': {
                  str(bucket): [
                      {
                          'architecture': architecture_id(entry.architecture),
                          'cost': entry.cost,
                          'reward': entry.reward,
                          'trial': entry.trial,
                      }
                      for entry in entries
                  ]
                  for bucket, entries in table.by_bucket()
              },
          }
          for length, table in enumerate(layer_pass.tables) if length
      ],
  }


def final_metric(row: Mapping[str, Any]) -> tuple[str, list[float]]:
  """The metric by which a network's final trainings are judged.

  Args:
    row: row of a network in final.json.

  Returns:
    'accuracy', or 'loss' if the task has none; and its value on the test split
    by seed.
  """
  name = 'accuracy' if 'accuracies' in row else 'loss'
  return name, row['accuracies' if name == 'accuracy' else 'losses']


def versions() -> dict[str, str]:
  """Versions of Python, this package and the packages it computes with."""
  return {
      'python': platform.python_version(),
      'layernas': layernas.__version__,
      **{name: importlib.metadata.version(name) for name in _PACKAGES},
  }
