"""Measures which reward of a short training predicts final accuracy best.

  .venv/bin/python tools/perf/reward_study.py
  .venv/bin/python tools/perf/reward_study.py --recipes=plain
  .venv/bin/python tools/perf/reward_study.py --report

Draws networks at random from the space cifar10_stages under 1.8 million MAdds,
and trains each by several recipes: the final one, whose test accuracy and loss
are to be predicted, and short ones, each of which gives one or more rewards.
Every finished training is a line of trainings.jsonl; the same command goes on
with those that are missing, recipe by recipe, and prints the table.

The time of a training is that of the processor, so that other programs change
little. Compiling does not count: a search compiles while it trains.
"""

import dataclasses
import json
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import flags
from scipy import stats

from configs import cifar10_small
from layernas.data.dataset import Batch
from layernas.data.dataset import Dataset
from layernas.data.registry import load_dataset
from layernas.errors import UserError
from layernas.networks.registry import make_space
from layernas.networks.space import NetworkSpace
from layernas.runs import cli
from layernas.search.space import architecture_id
from layernas.search.space import parse_architecture_id
from layernas.training.devices import enable_compilation_cache
from layernas.training.devices import keep_freed_memory
from layernas.training.devices import replicate
from layernas.training.devices import unreplicate
from layernas.training.hooks import StepHook
from layernas.training.programs import Programs
from layernas.training.programs import compile_programs
from layernas.training.steps import TrainState
from layernas.training.steps import Variables
from layernas.training.train import Job
from layernas.training.train import evaluate
from layernas.training.train import train_and_evaluate
from tools.perf.json_lines import Lines
from tools.perf.json_lines import define_result_flags
from tools.perf.machine import machine

SPACE = 'cifar10_stages'
LIMIT = 1.8e6
"""MAdds of the networks at most."""

PLAIN = {
    'training.epochs': 1.0,
    'training.warmup_epochs': 0.2,
    'training.learning_rate': 0.4,
    'training.label_smoothing': 0.0,
    'training.ema_decay': 0.0,
    'data.validation_share': 0.2,
}
"""The short training that recipes vary."""

FINAL = {
    **PLAIN, 'training.epochs': 12.0, 'training.warmup_epochs': 1.0,
}

TRAIN, VALIDATION = 'train', 'validation'


@dataclasses.dataclass(frozen=True)
class Recipe:
  """A way to train.

  Attributes:
    changes: fields of the config that are unlike those of `PLAIN`.
    splits: pairs of a split to train on and one to evaluate on; with two, two
      networks are trained and their metrics averaged.
    one_order: whether all trainings see the same batches, with the same crops.
    averages: whether averages of the weights are evaluated as well.
  """

  changes: Mapping[str, float] = dataclasses.field(default_factory=dict)
  splits: tuple[tuple[str, str], ...] = ((TRAIN, VALIDATION),)
  one_order: bool = False
  averages: bool = False


RECIPES = {
    'plain': Recipe(averages=True),
    'final': Recipe(FINAL, (('all_train', 'test'),)),
    'rate x 2': Recipe({'training.learning_rate': 0.8}),
    'rate x 2 and one order': Recipe(
        {'training.learning_rate': 0.8}, one_order=True
    ),
    'one order': Recipe(one_order=True),
    '2 epochs': Recipe({'training.epochs': 2.0}),
    'halves': Recipe(
        # As many steps as the plain training, both together.
        {'data.validation_share': 0.5, 'training.epochs': 0.8},
        ((TRAIN, VALIDATION), (VALIDATION, TRAIN)),
    ),
    'share 0.4': Recipe({'data.validation_share': 0.4}),
    'rate x 4': Recipe({'training.learning_rate': 1.6}),
    'rate x 0.5': Recipe({'training.learning_rate': 0.2}),
    'smoothing 0.1': Recipe({'training.label_smoothing': 0.1}),
    'share 0.3': Recipe({'data.validation_share': 0.3}),
    '3 epochs': Recipe({'training.epochs': 3.0}),
}
"""By name, the most informative first."""

REWARDS = ('accuracy', 'loss', 'top5')

_DECAYS = (0.9, 0.97)
"""Of moving averages, in steps; a short training has about 125."""

_TAIL = 0.25
"""Share of the steps, the last ones, over which weights are averaged."""

_RESAMPLES = 1000

LEAST = 3
"""Networks of a rank correlation."""


class Averages(StepHook):
  """Averages of the weights and batch statistics of one training."""

  def __init__(self, steps: int):
    """Begins with none.

    Args:
      steps: of the training.
    """
    self._first = round(steps * (1 - _TAIL)) + 1
    self._moving: dict[float, Variables] = {}
    self._tail: Variables | None = None
    self._count = 0

  def stepped(self, step: int, state: TrainState) -> None:
    """Adds the weights after a step."""
    variables = unreplicate(state.variables)
    for decay in _DECAYS:
      # Begins fast, as `training.steps.moving_average` does.
      share = 1 - min(decay, step / (9.0 + step))
      self._moving[decay] = _mixed(self._moving.get(decay), variables, share)
    if step >= self._first:
      self._count += 1
      self._tail = _mixed(self._tail, variables, 1 / self._count)

  def found(self) -> dict[str, Variables]:
    """The averages by name."""
    moving = {f'EMA {decay}': one for decay, one in self._moving.items()}
    return moving | {'last quarter': self._tail}


def _mixed(old: Variables | None, new: Variables, share: float) -> Variables:
  """Moves an average by a share of the way to new values."""
  if old is None:
    return jax.tree.map(lambda leaf: np.array(leaf, np.float32), new)
  return jax.tree.map(
      lambda first, second: first + np.float32(share) * (second - first),
      old, new,
  )


class OneOrder:
  """A data set whose training batches do not depend on the seed."""

  def __init__(self, dataset: Dataset):
    """Takes the data set, which does all the rest."""
    self._dataset = dataset

  def train_batches(
      self, split: str, batch_size: int, seed: int, *rest: Any
  ) -> Iterator[Batch]:
    """Those of one seed; see `Dataset`."""
    del seed
    return self._dataset.train_batches(split, batch_size, 0, *rest)

  def __getattr__(self, name: str) -> Any:
    return getattr(self._dataset, name)


class Trainer:
  """Trains networks of the space by recipes."""

  def __init__(self, changes: Mapping[str, Any] | None = None):
    """Prepares.

    Args:
      changes: of fields of every config, such as fewer epochs for a test.
    """
    self._changes = changes or {}
    self._datasets: dict[str, Dataset] = {}
    self.space: NetworkSpace = make_space(SPACE)

  def networks(self, number: int) -> list[str]:
    """Architectures drawn at random from the target, each once.

    Args:
      number: how many; more of them begin with the same ones.

    Returns:
      Their ids.
    """
    config = self.config(Recipe())
    data = self.dataset(config)
    cost = self.space.cost('madds', data.image_size, data.num_classes)
    rng, found = np.random.default_rng(0), dict[str, None]()
    while len(found) < number:
      architecture = tuple(
          map(int, rng.integers(self.space.search_space.option_counts))
      )
      if cost.cost(architecture) <= LIMIT:
        found[architecture_id(architecture)] = None
    return list(found)

  def trainings(
      self, recipe: Recipe, network: str, seeds: Sequence[int]
  ) -> Iterator[dict[str, Any]]:
    """Trains a network with some seeds.

    Args:
      recipe: how.
      network: an architecture's id.
      seeds: of the trainings.

    Yields:
      For each seed 'rewards', metrics by the name of the weights ('' for the
      last ones), and 'seconds' of the processor.
    """
    config = self.config(recipe)
    spec = self.space.network(parse_architecture_id(network))
    dataset: Any = self.dataset(config)
    if recipe.one_order:
      dataset = OneOrder(dataset)
    programs = {
        split: compile_programs(config, spec, dataset, split)
        for split, _ in recipe.splits
    }
    for seed in seeds:
      parts = [
          self._trained(
              Job(config, spec, dataset, seed, *splits), programs[splits[0]],
              recipe.averages,
          )
          for splits in recipe.splits
      ]
      rewards, seconds = zip(*parts, strict=True)
      yield {'rewards': _averaged(rewards), 'seconds': round(sum(seconds), 2)}

  def _trained(
      self, job: Job, programs: Programs, averages: bool
  ) -> tuple[dict[str, Any], float]:
    """Metrics by weights, and the seconds of training and one evaluation."""
    hook = Averages(job.steps)
    last, seconds = timed_training(job, programs, [hook] if averages else [])
    rewards = {'': last}
    for name, variables in hook.found().items() if averages else ():
      rewards[name] = evaluate(
          programs.evaluation_step, replicate(variables), job.dataset,
          job.evaluation_split, job.config.training.evaluation_batch_size,
      )
    return {
        name: _rewards(metrics) for name, metrics in rewards.items()
    }, seconds

  def config(self, recipe: Recipe) -> Any:
    """The config of a recipe, with the changes of this trainer."""
    config = cifar10_small.get_config().unlock()
    config.training.checkpoint_every_steps = 0
    config.update_from_flattened_dict(
        {**PLAIN, **recipe.changes, **self._changes}
    )
    return config.lock()

  def dataset(self, config: Any) -> Dataset:
    """The data of a config, loaded once."""
    key = str(config.data)
    if key not in self._datasets:
      self._datasets[key] = load_dataset(config.data)
    return self._datasets[key]


def timed_training(
    job: Job, programs: Programs, hooks: Sequence[StepHook]
) -> tuple[dict[str, float], float]:
  """Trains and evaluates a network.

  Args:
    job: what to train.
    programs: of the network.
    hooks: hear of the steps.

  Returns:
    Its `REWARDS`, and the seconds of the processor.
  """
  begun = time.process_time()
  with tempfile.TemporaryDirectory() as directory:
    result = train_and_evaluate(
        job, directory, hooks=hooks, programs=lambda: programs
    )
  return _rewards(result.metrics), time.process_time() - begun


def _rewards(metrics: Mapping[str, float]) -> dict[str, float]:
  return {reward: round(metrics[reward], 5) for reward in REWARDS}


def _averaged(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """Means over trainings of what each of them gave."""
  return {
      name: {
          reward: round(
              statistics.fmean(part[name][reward] for part in parts), 5
          )
          for reward in REWARDS
      }
      for name in parts[0]
  }


def figures(
    lines: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
  """What every reward says of the final trainings.

  Args:
    lines: of trainings.jsonl.

  Returns:
    For every recipe, weights and reward: 'between' and 'within', standard
    deviations between networks and of one network's trainings; 'reliability',
    the share of the variance that is between networks; 'seconds' of a
    training; rank correlations with the mean final accuracy ('spearman') and
    with the mean final loss ('spearman_loss'), of one training and of the mean
    over all seeds ('..._mean'); 'error' and 'error_loss', their standard errors
    over resampled networks.
  """
  final = values_by_network(lines, 'final', '')
  found = []
  for recipe in dict.fromkeys(line['recipe'] for line in lines):
    if recipe == 'final':
      continue
    of_recipe = [line for line in lines if line['recipe'] == recipe]
    for weights in of_recipe[0]['rewards']:
      table = values_by_network(lines, recipe, weights)
      for reward in REWARDS:
        found.append({
            'recipe': recipe, 'weights': weights, 'reward': reward,
            **_figures(table, final, reward),
            'seconds': statistics.median(
                line['seconds'] for line in of_recipe
            ),
        })
  return found


def values_by_network(
    lines: Sequence[Mapping[str, Any]], recipe: str, weights: str
) -> dict[str, dict[str, list[float]]]:
  """Values by network and reward, in the order of the seeds; more is better."""
  table: dict[str, dict[str, list[float]]] = {}
  for line in sorted(lines, key=lambda line: line['seed']):
    if line['recipe'] == recipe:
      rows = table.setdefault(line['network'], {name: [] for name in REWARDS})
      for name, value in line['rewards'][weights].items():
        rows[name].append(-value if name == 'loss' else value)
  return table


def _figures(
    table: Mapping[str, Any], final: Mapping[str, Any], reward: str
) -> dict[str, Any]:
  """Of one reward; networks without all trainings are left out."""
  seeds = max(len(rows[reward]) for rows in table.values())
  rows = {
      name: rows[reward] for name, rows in table.items()
      if len(rows[reward]) == seeds
  }
  values = np.array(list(rows.values()))
  within = float(np.mean(np.var(values, axis=1, ddof=1)))
  means = float(np.var(values.mean(axis=1), ddof=1))
  between = max(0.0, means - within / seeds)
  return {
      'networks': len(rows), 'seeds': seeds,
      'between': between**0.5, 'within': within**0.5,
      'reliability': between / (between + within),
      **_correlations(rows, final),
  }


def _correlations(
    rows: Mapping[str, Sequence[float]], final: Mapping[str, Any]
) -> dict[str, Any]:
  """With the final trainings, of the networks that have them.

  Args:
    rows: rewards by network, one for each seed.
    final: by network and reward.

  Returns:
    'final_networks' and the rank correlations; without those where there are
    fewer than three networks.
  """
  networks = [name for name in rows if name in final]
  found: dict[str, Any] = {'final_networks': len(networks)}
  if len(networks) < LEAST:
    return found
  values = np.array([rows[name] for name in networks])
  target = {
      name: np.array([np.mean(final[one][name]) for one in networks])
      for name in ('accuracy', 'loss')
  }
  single = {
      name: correlations(values, goal) for name, goal in target.items()
  }
  mean = values.mean(axis=1)
  return found | {
      'spearman': float(single['accuracy'][0]),
      'error': float(np.nanstd(single['accuracy'][1:])),
      'spearman_loss': float(single['loss'][0]),
      'error_loss': float(np.nanstd(single['loss'][1:])),
      'spearman_mean': float(_spearman(mean, target['accuracy'])),
      'spearman_loss_mean': float(_spearman(mean, target['loss'])),
  }


def correlations(values: np.ndarray, target: np.ndarray) -> np.ndarray:
  """Rank correlations of one training, by the mean over the seeds.

  Args:
    values: shape (networks, seeds).
    target: shape (networks,).

  Returns:
    Of all networks, then of networks resampled; the same ones whenever the
    number of networks is the same, so that differences may be taken.
  """
  everyone = np.arange(len(target))
  resampled = np.random.default_rng(0).choice(
      everyone, (_RESAMPLES, len(everyone))
  )
  # One network alone has no order.
  resampled = resampled[np.ptp(resampled, axis=1) > 0]
  chosen = np.concatenate([everyone[None], resampled])
  return np.mean([
      _spearman(column[chosen], target[chosen]) for column in values.T
  ], axis=0)


def _spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Rank correlations over the last axis."""
  ranks = [
      stats.zscore(stats.rankdata(each, axis=-1), axis=-1)
      for each in (first, second)
  ]
  return np.mean(ranks[0] * ranks[1], axis=-1)


def table_text(rows: Sequence[Mapping[str, Any]]) -> str:
  """Makes the table of docs/rewards.md, the best rewards of the loss first.

  Args:
    rows: of `figures`.

  Returns:
    Markdown without a newline at the end.
  """
  lines = [
      '| recipe | weights | reward | sd between | sd within | reliability |'
      ' with accuracy, one | three | with loss, one | three | seconds | per'
      ' second |',
      '|---|---|---|' + '---:|' * 9,
  ]
  for row in sorted(rows, key=lambda row: -row.get('spearman_loss', 0)):
    cells = [
        row['recipe'], row['weights'] or 'last', row['reward'],
        f'{row["between"]:.4f}', f'{row["within"]:.4f}',
        f'{row["reliability"]:.2f}', *correlation_cells(row),
    ]
    lines.append(f'| {" | ".join(cells)} |')
  return '\n'.join(lines)


def correlation_cells(row: Mapping[str, Any]) -> list[str]:
  """The last six cells of a row of `figures`."""
  seconds = f'{row["seconds"]:.1f}'
  if 'spearman' not in row:
    return [*['-'] * 4, seconds, '-']
  return [
      f'{row["spearman"]:.2f} ± {row["error"]:.2f}',
      f'{row["spearman_mean"]:.2f}',
      f'{row["spearman_loss"]:.2f} ± {row["error_loss"]:.2f}',
      f'{row["spearman_loss_mean"]:.2f}', seconds,
      f'{row["spearman_loss"] / row["seconds"]:.3f}',
  ]


def run(
    path: pathlib.Path, trainer: Trainer, networks: int,
    seeds: Callable[[str, int], Sequence[int]], recipes: Sequence[str],
) -> list[dict[str, Any]]:
  """Does the trainings that are missing.

  Args:
    path: trainings.jsonl.
    trainer: does them.
    networks: how many.
    seeds: of a recipe and a network's number.
    recipes: their names, in the order in which they are done.

  Returns:
    All lines of the file.
  """
  lines = Lines(path)
  for recipe in recipes:
    for index, network in enumerate(trainer.networks(networks)):
      done = {
          line['seed'] for line in lines.all
          if (line['recipe'], line['network']) == (recipe, network)
      }
      missing = [seed for seed in seeds(recipe, index) if seed not in done]
      trained = (
          trainer.trainings(RECIPES[recipe], network, missing)
          if missing else ()
      )
      for seed, found in zip(missing, trained, strict=True):
        line = {
            'recipe': recipe, 'network': network, 'seed': seed, **found
        }
        lines.add(line)
        print(line, flush=True)
      if missing and index % 8 == 7:
        # JAX would keep all networks that it traced.
        jax.clear_caches()
  return lines.all


_FLAGS = flags.FLAGS


def _define_flags() -> None:
  """Defines them for this program alone: others import this module."""
  define_result_flags('reward_study')
  cli.define_path(
      'cache', 'Compiled programs.', default='workdir/reward_study_cache'
  )
  flags.DEFINE_integer('networks', 24, 'Drawn from the target.', 3)
  flags.DEFINE_integer('seeds', 3, 'Of every short recipe.', 2)
  flags.DEFINE_integer('final_seeds', 2, 'Of the final recipe.', 1)
  flags.DEFINE_list('recipes', list(RECIPES), 'Names, in their order.')


def _seeds(recipe: str, index: int) -> Sequence[int]:
  if recipe == 'final':
    return range(_FLAGS.final_seeds)
  first = 100 + _FLAGS.seeds * index
  return range(first, first + _FLAGS.seeds)


def main() -> None:
  """Does the trainings that are missing and prints the table."""
  unknown = set(_FLAGS.recipes) - set(RECIPES)
  if unknown:
    raise UserError(
        f'flag --recipes: {sorted(unknown)}: allowed are {list(RECIPES)}'
    )
  folder = pathlib.Path(_FLAGS.output)
  folder.mkdir(parents=True, exist_ok=True)
  path = folder / 'trainings.jsonl'
  if _FLAGS.report:
    lines = Lines(path).all
  else:
    keep_freed_memory()
    enable_compilation_cache(_FLAGS.cache)
    lines = run(path, Trainer(), _FLAGS.networks, _seeds, _FLAGS.recipes)
    (folder / 'machine.json').write_text(
        json.dumps(machine(jax=jax.__version__), indent=1) + '\n'
    )
  rows = figures(lines)
  (folder / 'summary.json').write_text(json.dumps(rows, indent=1) + '\n')
  print(table_text(rows))


if __name__ == '__main__':
  _define_flags()
  cli.run(main)
