"""Measures whether rewards tell more of networks that inherit their weights.

  .venv/bin/python tools/perf/inheritance_study.py
  .venv/bin/python tools/perf/inheritance_study.py --report

Takes the first networks of the study of rewards (tools/perf/reward_study.py),
whose final trainings are stored. To each of them leads a line, as a sweep would
walk it: from the default network on, layer after layer takes the option of the
network at the line's end, and every network on the way is trained by the short
recipe of configs/cifar10_small.py from the weights of the one before. The
reward of the last training is compared with that of the same network, trained
once by the same recipe from its own initial values, and with the stored
trainings that differ from it in nothing but the number of epochs.

Every finished line is a line of trainings.jsonl; the same command goes on with
those that are missing and prints the table. Seconds are those of the processor;
compiling does not count.
"""

import dataclasses
import functools
import json
import pathlib
import statistics
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import flags
from scipy import stats

from configs import cifar10_small
from layernas.data.registry import load_dataset
from layernas.errors import UserError
from layernas.networks.registry import make_space
from layernas.runs import cli
from layernas.search.space import Architecture
from layernas.search.space import parse_architecture_id
from layernas.training.devices import enable_compilation_cache
from layernas.training.devices import keep_freed_memory
from layernas.training.devices import unreplicate
from layernas.training.hooks import StepHook
from layernas.training.inheritance import inheriting
from layernas.training.programs import Programs
from layernas.training.programs import compile_programs
from layernas.training.steps import TrainState
from layernas.training.steps import Variables
from layernas.training.train import Job
from tools.perf import json_lines
from tools.perf import reward_study
from tools.perf.machine import machine
from tools.perf.reward_study import RECIPES
from tools.perf.reward_study import REWARDS
from tools.perf.reward_study import Recipe

INHERITED, SCRATCH = 'inherited', 'scratch'

_START_SEED = 0
"""Of the default network, with which all lines begin."""

_LINE_SEEDS, _STEP_SEEDS = 100_000, 100
"""Between the seeds of a network's lines, and of two networks: every training
has a seed of its own, whatever the number of networks and seeds."""


class LastVariables(StepHook):
  """Keeps the variables after the last step.

  Attributes:
    variables: on the host; None before.
  """

  def __init__(self, steps: int):
    """Takes the number of steps of the training."""
    self.variables: Variables | None = None
    self._steps = steps

  def stepped(self, step: int, state: TrainState) -> None:
    """Copies those of the last step."""
    if step == self._steps:
      self.variables = unreplicate(state.variables)


@dataclasses.dataclass(frozen=True)
class Trained:
  """A network after a short training.

  Attributes:
    architecture: of the space.
    variables: after the last step.
    rewards: by `REWARDS`.
    seconds: of the processor.
  """

  architecture: Architecture
  variables: Variables
  rewards: Mapping[str, float]
  seconds: float

  def record(self) -> dict[str, Any]:
    """What trainings.jsonl says of it."""
    return {'rewards': self.rewards, 'seconds': round(self.seconds, 2)}


def walk(start: Architecture, end: Architecture) -> list[Architecture]:
  """Networks from one to another, each unlike the one before in one layer.

  Args:
    start: where the line begins; not among them.
    end: the last of them.

  Returns:
    Architectures, in the order of the layers that change.
  """
  return [
      (*end[:layer + 1], *start[layer + 1:])
      for layer, (old, new) in enumerate(zip(start, end, strict=True))
      if old != new
  ]


def short_recipe(changes: Mapping[str, Any]) -> Any:
  """The config whose candidates' recipe is studied.

  Args:
    changes: of its fields.

  Returns:
    configs/cifar10_small.py without checkpoints of a network in training.
  """
  config = cifar10_small.get_config().unlock()
  config.training.checkpoint_every_steps = 0
  config.update_from_flattened_dict(changes)
  return config.lock()


class Lines:
  """Trains along lines of the space.

  Attributes:
    config: with the short recipe.
  """

  def __init__(self, changes: Mapping[str, Any] | None = None):
    """Prepares.

    Args:
      changes: of fields of the config, such as fewer epochs for a test.
    """
    self.config = short_recipe(changes or {})
    self._dataset = load_dataset(self.config.data)
    self._space = make_space(reward_study.SPACE)

  @functools.cached_property
  def start(self) -> Trained:
    """The default network, from its own initial values."""
    architecture = self._space.search_space.default
    return self._trained(
        architecture, self._programs(architecture), _START_SEED
    )

  def trained(self, network: str, index: int, seed: int) -> dict[str, Any]:
    """Trains along a line, and the network at its end from scratch.

    Args:
      network: id of an architecture other than the default.
      index: of the network.
      seed: of the line.

    Returns:
      'trainings' and 'line_seconds' of the line, the default network's
      included; `INHERITED` and `SCRATCH`, each with 'rewards' and 'seconds' of
      one training.
    """
    last, total = self.start, self.start.seconds
    first = (seed + 1) * _LINE_SEEDS + index * _STEP_SEEDS
    networks = walk(last.architecture, parse_architecture_id(network))
    for number, architecture in enumerate(networks, first):
      programs = self._programs(architecture)
      last = self._trained(
          architecture, self._from(last, architecture, programs), number
      )
      total += last.seconds
    # Same seed: new values and the order of images are those of the child.
    scratch = self._trained(last.architecture, programs, number)
    return {
        'trainings': len(networks) + 1, 'line_seconds': round(total, 2),
        INHERITED: last.record(), SCRATCH: scratch.record(),
    }

  def _programs(self, architecture: Architecture) -> Programs:
    return compile_programs(
        self.config, self._space.network(architecture), self._dataset
    )

  def _from(
      self, parent: Trained, architecture: Architecture, programs: Programs
  ) -> Programs:
    """Programs of a child."""
    return inheriting(
        programs, parent.variables,
        self._space.counterparts(architecture, parent.architecture),
    )

  def _trained(
      self, architecture: Architecture, programs: Programs, seed: int
  ) -> Trained:
    spec = self._space.network(architecture)
    job = Job(self.config, spec, self._dataset, seed)
    hook = LastVariables(job.steps)
    rewards, seconds = reward_study.timed_training(job, programs, [hook])
    return Trained(architecture, hook.variables, rewards, seconds)


def run(
    path: pathlib.Path, lines: Lines, networks: Sequence[str], seeds: int
) -> list[dict[str, Any]]:
  """Does the lines of trainings that are missing.

  Args:
    path: trainings.jsonl.
    lines: does them.
    networks: ids of architectures.
    seeds: lines of each network.

  Returns:
    All lines of the file.

  Raises:
    UserError: the file holds trainings of another number of epochs.
  """
  found = read(path, lines.config.training.epochs)
  done = {(line['network'], line['seed']) for line in found}
  for index, network in enumerate(networks):
    for seed in range(seeds):
      if (network, seed) in done:
        continue
      line = {
          'network': network, 'seed': seed,
          'epochs': lines.config.training.epochs,
          **lines.trained(network, index, seed),
      }
      found.append(line)
      json_lines.append(path, line)
      print(line, flush=True)
      # JAX would keep all networks that it traced.
      jax.clear_caches()
  return found


def read(path: pathlib.Path, epochs: float) -> list[dict[str, Any]]:
  """Lines of trainings.jsonl.

  Args:
    path: the file; need not exist.
    epochs: of the short recipe.

  Returns:
    The finished ones.

  Raises:
    UserError: they are of another number of epochs.
  """
  lines = json_lines.Lines(path).all
  others = {line['epochs'] for line in lines} - {epochs}
  if others:
    raise UserError(
        f'{path}: trainings of {sorted(others)} epochs: allowed are those of'
        f' configs/cifar10_small.py, {epochs}; take another --output'
    )
  return lines


def stored_recipes(config: Any) -> list[str]:
  """Recipes of the study of rewards that are the short one but for epochs.

  Args:
    config: with the short recipe.

  Returns:
    Their names.
  """
  trainer, usual = reward_study.Trainer(), Recipe().splits
  return [
      name for name, recipe in RECIPES.items()
      if recipe.splits == usual and not recipe.one_order
      and _but_epochs(trainer.config(recipe)) == _but_epochs(config)
  ]


def _but_epochs(config: Any) -> list[dict[str, Any]]:
  sections = [config[name].to_dict() for name in ('data', 'model', 'training')]
  return [
      {name: value for name, value in section.items() if name != 'epochs'}
      for section in sections
  ]


def trainings(
    lines: Sequence[Mapping[str, Any]], stored: Sequence[Mapping[str, Any]],
    recipes: Sequence[str],
) -> Iterator[dict[str, Any]]:
  """Trainings as `reward_study.figures` takes them.

  Args:
    lines: of trainings.jsonl.
    stored: trainings of the study of rewards.
    recipes: names of those of its recipes that are compared.

  Yields:
    Of the networks in `lines` alone: `INHERITED`, `SCRATCH`, the stored recipes
    and 'final'.
  """
  for name in (INHERITED, SCRATCH):
    for line in lines:
      yield {
          'recipe': name, 'network': line['network'], 'seed': line['seed'],
          'rewards': {'': line[name]['rewards']},
          'seconds': line[name]['seconds'],
      }
  names = {'final': 'final'} | {name: f'{name} (stored)' for name in recipes}
  networks = {line['network'] for line in lines}
  for line in stored:
    if line['recipe'] in names and line['network'] in networks:
      yield {
          **line, 'recipe': names[line['recipe']],
          'rewards': {'': line['rewards']['']},
      }


def summary(
    lines: Sequence[Mapping[str, Any]], stored: Sequence[Mapping[str, Any]],
    recipes: Sequence[str],
) -> dict[str, Any]:
  """The figures of the study.

  Args:
    lines: of trainings.jsonl.
    stored: trainings of the study of rewards.
    recipes: see `trainings`.

  Returns:
    'trainings' and 'line_seconds', means over the lines; 'length', rank
    correlations of the number of trainings with what the last one measured;
    'rows' of `reward_study.figures`; 'differences', see `differences`.
  """
  compared = list(trainings(lines, stored, recipes))
  return {
      'lines': len(lines),
      **{
          name: round(statistics.fmean(line[name] for line in lines), 2)
          for name in ('trainings', 'line_seconds')
      },
      'length': _length_correlations(lines),
      'rows': reward_study.figures(compared),
      'differences': differences(compared),
  }


def _length_correlations(
    lines: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
  """By reward; empty where all lines are equally long."""
  lengths = [line['trainings'] for line in lines]
  if len(set(lengths)) < 2:
    return {}
  return {
      name: float(stats.spearmanr(
          lengths, [line[INHERITED]['rewards'][name] for line in lines]
      ).statistic) for name in REWARDS
  }


def differences(
    compared: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
  """What inheriting changes, pair by pair.

  Args:
    compared: from `trainings`.

  Returns:
    For every reward 'gain', the mean difference of rewards (more is better),
    and the differences of the rank correlations with the final accuracy
    ('spearman') and loss ('spearman_loss'), of one training; 'error' and
    'error_loss' are their standard errors over resampled networks, the same
    ones for both. Empty where there are fewer than three networks.
  """
  first, second, final = (
      reward_study.values_by_network(compared, name, '')
      for name in (INHERITED, SCRATCH, 'final')
  )
  seeds = max((len(rows['loss']) for rows in first.values()), default=0)
  networks = [
      name for name, rows in first.items()
      if len(rows['loss']) == seeds and name in final
  ]
  if len(networks) < reward_study.LEAST:
    return []
  found = []
  for reward in REWARDS:
    values = [
        np.array([table[name][reward] for name in networks])
        for table in (first, second)
    ]
    row = {'reward': reward, 'gain': float(np.mean(values[0] - values[1]))}
    for target, suffix in (('accuracy', ''), ('loss', '_loss')):
      goal = np.array([np.mean(final[name][target]) for name in networks])
      inherited, scratch = (
          reward_study.correlations(each, goal) for each in values
      )
      difference = inherited - scratch
      row |= {
          f'spearman{suffix}': float(difference[0]),
          f'error{suffix}': float(np.nanstd(difference[1:])),
      }
    found.append(row)
  return found


def report_text(figures: Mapping[str, Any]) -> str:
  """Makes the tables of the study.

  Args:
    figures: from `summary`.

  Returns:
    Markdown without a newline at the end.
  """
  lines = [
      f'{figures["lines"]} lines of {figures["trainings"]:.1f} trainings and'
      f' {figures["line_seconds"]:.0f} s on average. Rank correlation of their'
      ' number with what the last one measured: ' + ', '.join(
          f'{name} {value:+.2f}' for name, value in figures['length'].items()
      ) + '.', '',
      '| weights | reward | sd between | sd within | reliability | with'
      ' accuracy, one | mean | with loss, one | mean | seconds | per second |',
      '|---|---|' + '---:|' * 9,
  ]
  for row in figures['rows']:
    cells = [
        row['recipe'], row['reward'],
        f'{row["between"]:.4f}', f'{row["within"]:.4f}',
        f'{row["reliability"]:.2f}', *reward_study.correlation_cells(row),
    ]
    lines.append(f'| {" | ".join(cells)} |')
  lines += [
      '', '| inherited less scratch | gain | with accuracy | with loss |',
      '|---|---:|---:|---:|',
  ]
  lines += [
      f'| {row["reward"]} | {row["gain"]:+.4f} |'
      f' {row["spearman"]:+.2f} ± {row["error"]:.2f} |'
      f' {row["spearman_loss"]:+.2f} ± {row["error_loss"]:.2f} |'
      for row in figures['differences']
  ]
  return '\n'.join(lines)


_FLAGS = flags.FLAGS


def _define_flags() -> None:
  """Defines them for this program alone: others import this module."""
  json_lines.define_result_flags('inheritance_study')
  cli.define_path(
      'rewards', 'Trainings of the study of rewards.',
      default='docs/results/reward_study/trainings.jsonl',
  )
  cli.define_path(
      'cache', 'Compiled programs.', default='workdir/inheritance_study_cache'
  )
  flags.DEFINE_integer('lines', 12, 'Networks, each the end of a line.', 3)
  flags.DEFINE_integer('seeds', 2, 'Lines to each network.', 2)


def main() -> None:
  """Does the lines that are missing and prints the tables."""
  folder = pathlib.Path(_FLAGS.output)
  folder.mkdir(parents=True, exist_ok=True)
  path = folder / 'trainings.jsonl'
  config = short_recipe({})
  if _FLAGS.report:
    lines = read(path, config.training.epochs)
  else:
    keep_freed_memory()
    enable_compilation_cache(_FLAGS.cache)
    networks = reward_study.Trainer().networks(_FLAGS.lines)
    lines = run(path, Lines(), networks, _FLAGS.seeds)
    (folder / 'machine.json').write_text(
        json.dumps(machine(jax=jax.__version__), indent=1) + '\n'
    )
  if not lines:
    raise UserError(f'{path}: no finished line; run without --report first')
  stored = json_lines.Lines(pathlib.Path(_FLAGS.rewards)).all
  figures = summary(lines, stored, stored_recipes(config))
  (folder / 'summary.json').write_text(json.dumps(figures, indent=1) + '\n')
  print(report_text(figures))


if __name__ == '__main__':
  _define_flags()
  cli.run(main)
