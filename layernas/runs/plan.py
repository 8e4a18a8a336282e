"""What a search and its final training will take, before anything is rented.

Trainings, steps, images and bytes are counted; hours are these images divided
by the images per second that one training comes to, and a guess for compiling.
"""

import dataclasses
import math
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from rich import box
from rich.table import Table

from layernas import activity
from layernas.data.dataset import Batch
from layernas.data.dataset import Dataset
from layernas.data.registry import load_dataset
from layernas.errors import UserError
from layernas.executors.executor import executor_settings
from layernas.networks.registry import make_space
from layernas.reports.console import Counting
from layernas.reports.console import new_console
from layernas.runs.rewards import configured_reward
from layernas.runs.setup import make_problem
from layernas.runs.setup import make_search
from layernas.runs.setup import with_width_scaled
from layernas.runs.warm_start import read_warm_start
from layernas.search import Search
from layernas.search import Sweep
from layernas.search.cost import cost_text
from layernas.search.outlook import outlook
from layernas.search.outlook import sweep_trials
from layernas.search.warm_start import warm_start_from_dict
from layernas.training.checks import check_training
from layernas.training.programs import make_steps
from layernas.training.train import training_steps

# An evaluation has the forward pass alone, a third of a training step's
# arithmetic.
_EVALUATION = 1 / 3

# Buckets whose sweeps are counted: the paper's number, and two smaller ones.
_BUCKETS = (100, 10, 1)


class Sizes(Dataset):
  """A data set that has no images: what is known of one that is not here."""

  def __init__(self, image_size: int, classes: int, counts: Mapping[str, int]):
    """Describes one.

    Args:
      image_size: side of its images, pixels.
      classes: number of them.
      counts: images of each split.
    """
    self.name = 'data that are not here'
    self.image_size = image_size
    self.num_classes = classes
    self.class_names = None
    self._counts = dict(counts)

  def num_examples(self, split: str) -> int:
    """See `Dataset`."""
    return self._counts[split]

  def train_batches(self, *arguments: Any) -> Iterator[Batch]:
    """There are none."""
    raise NotImplementedError

  def evaluation_batches(self, *arguments: Any) -> Iterator[Batch]:
    """There are none."""
    raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Speed:
  """What is assumed of the machines.

  Attributes:
    images_per_second: that one training takes in, on the devices of a worker.
    workers: candidates that are trained at a time.
    compile_seconds: of a candidate.
  """

  images_per_second: float
  workers: int = 1
  compile_seconds: float = 60.0


def sizes_of(
    config: Any, images: int, held_out: int, test: int, classes: int
) -> Dataset:
  """The data set of a config, or its sizes where it is not here.

  Args:
    config: whose data section counts where no number is given.
    images: training images, those held out included; 0 loads the data set.
    held_out: of them, for the reward.
    test: images of the final test.
    classes: of the data set.

  Returns:
    A data set whose sizes are right.

  Raises:
    UserError: it is not here and its sizes are not given, or they are wrong.
  """
  if not images:
    try:
      return load_dataset(config.data)
    except UserError as error:
      raise UserError(
          f'{error}; or --images, --held_out, --test and --classes, the sizes'
          ' of data that are not here'
      ) from error
  if min(held_out, test, classes) < 1 or held_out >= images:
    raise UserError(
        f'flags --images, --held_out, --test, --classes: {images}, {held_out},'
        f' {test}, {classes}: allowed are numbers of at least one, less held'
        ' out than there are'
    )
  return Sizes(config.data.image_size, classes, {
      'train': images - held_out, 'validation': held_out,
      'all_train': images, 'test': test,
  })


def make_plan(config: Any, dataset: Dataset, speed: Speed) -> dict[str, Any]:
  """Counts what a config asks for.

  Args:
    config: of a search.
    dataset: its data, or their sizes.
    speed: of the machines.

  Returns:
    JSON types: 'space', 'candidate', 'search', 'final' and 'sweeps', see
    `plan_tables`.

  Raises:
    UserError: something in the config is wrong.
  """
  check_training(config)
  check_training(config, 'final')
  configured_reward(config)
  executor_settings(config.executor)
  space = make_space(config.space)
  space.progress = Counting()
  space = with_width_scaled(space, config, dataset)
  shape = dataset.image_size, dataset.num_classes
  with activity.doing('pricing the networks'):
    problem = make_problem(config, space, *shape)
  warm = read_warm_start(config, space, problem)
  search = make_search(config, problem, warm_start_from_dict(warm))
  network = space.network(space.search_space.default)
  seeds = config.reference.seeds
  final_config = config.copy_and_resolve_references().unlock()
  final_config.training = final_config.final
  with activity.doing('counting steps and checkpoints'):
    candidate = _training(config, network, dataset, 'train', 'validation')
    final = _training(final_config, network, dataset, 'all_train', 'test')
  with activity.doing('counting the trainings of sweeps'):
    sweeps = [
        {'buckets': buckets, 'trials': sweep_trials(
            search, Sweep(buckets=buckets)
        )} for buckets in _BUCKETS
    ]
  trials, bound = _trials(search)
  seconds = candidate['images'] / speed.images_per_second
  hours = (seconds + speed.compile_seconds) / 3600
  return {
      'space': {
          'name': config.space, 'layers': len(problem.space),
          'networks': float(problem.space.size),
          'target': [
              cost_text(problem.target.low),
              ', '.join(map(cost_text, (
                  *problem.smaller_highs, problem.target.high
              ))),
          ],
          'limits': {
              limit.cost.name: cost_text(limit.high)
              for limit in problem.limits
          },
      },
      'candidate': candidate | {'hours': hours},
      'search': {
          'schedule': config.search.schedule, 'trials': trials,
          'bound': bound, 'workers': speed.workers,
          'outlook': str(outlook(search) or ''),
          'hours': trials and hours * math.ceil(trials / speed.workers),
      },
      'final': final | {
          'trainings': 2 * seeds,
          'hours': 2 * seeds * final['images'] / speed.images_per_second / 3600,
      },
      'sweeps': sweeps,
  }


def _trials(search: Search) -> tuple[int | None, int | None]:
  """Trials that a search makes at most, and the bound of its schedule."""
  bound = search.strategy.bound(search.problem)
  limits = [
      int(one) for one in (search.budget.trials, bound or math.inf)
      if math.isfinite(one)
  ]
  return min(limits, default=None), bound


def _training(
    config: Any, network: Any, dataset: Dataset, split: str, evaluated: str
) -> dict[str, Any]:
  """Steps, images that count as trained, and bytes of a checkpoint."""
  examples = dataset.num_examples(split)
  steps = training_steps(config.training, examples)
  state = make_steps(config, network, dataset, split).train[1][0]
  devices = jax.local_device_count()
  return {
      'epochs': config.training.epochs,
      'batch_size': config.training.batch_size,
      'steps': steps,
      'images': round(
          steps * config.training.batch_size
          + _EVALUATION * dataset.num_examples(evaluated)
      ),
      'checkpoint_bytes': sum(
          math.prod(leaf.shape) // devices * np.dtype(leaf.dtype).itemsize
          for leaf in jax.tree.leaves(state)
      ),
      'checkpoint_every_steps': config.training.checkpoint_every_steps,
  }


def plan_tables(plan: Mapping[str, Any]) -> Iterator[Table]:
  """What `make_plan` found, for people.

  Args:
    plan: of it.

  Yields:
    Tables of rich.
  """
  search, space = plan['search'], plan['space']
  table = Table(title='the search', box=box.SIMPLE, show_header=False)
  for row in (
      ('space', f'{space["name"]}, {space["layers"]} layers,'
                f' {space["networks"]:.3g} networks'),
      ('target', ' to '.join(space['target'])),
      *((f'{name} at most', high) for name, high in space['limits'].items()),
      ('schedule', search['schedule']),
      ('trainings', _count(search['trials'])),
      ('bound of the schedule', _count(search['bound'])),
      ('layers reached', search['outlook'] or 'needs no pass over the layers'),
      ('candidates at a time', f'{search["workers"]}'),
      ('hours', _hours(search['hours'])),
  ):
    table.add_row(*row)
  yield table
  table = Table(title='trainings', box=box.SIMPLE)
  for heading in ('', 'a candidate', 'final, each', 'final, all'):
    table.add_column(heading, justify='left' if not heading else 'right')
  candidate, final = plan['candidate'], plan['final']
  for name, key in (('epochs', 'epochs'), ('images a step', 'batch_size'),
                    ('steps', 'steps'), ('images', 'images')):
    table.add_row(name, f'{candidate[key]:,}', f'{final[key]:,}', '')
  table.add_row(
      'checkpoint, MB, every steps',
      *(f'{one["checkpoint_bytes"] / 1e6:.1f},'
        f' {one["checkpoint_every_steps"]:,}' for one in (candidate, final)),
      '',
  )
  table.add_row(
      'hours', _hours(candidate['hours']),
      _hours(final['hours'] / final['trainings']),
      f'{_hours(final["hours"])} ({final["trainings"]} trainings)',
  )
  yield table
  table = Table(title='sweeps that reach the last layer', box=box.SIMPLE)
  for heading in ('search.buckets', 'trainings', 'hours'):
    table.add_column(heading, justify='right')
  for sweep in plan['sweeps']:
    rounds = sweep['trials'] and math.ceil(
        sweep['trials'] / search['workers']
    )
    table.add_row(
        f'{sweep["buckets"]}', _count(sweep['trials']),
        _hours(rounds and rounds * candidate['hours']),
    )
  yield table


def print_plan(plan: Mapping[str, Any], speed: Speed) -> None:
  """Prints the tables and what they assume.

  Args:
    plan: of `make_plan`.
    speed: that it assumed.
  """
  console = new_console()
  for table in plan_tables(plan):
    console.print(table)
  console.print(
      f'hours are estimates: {speed.images_per_second:,.0f} images a second of'
      f' each training, an evaluated image as a third of a trained one,'
      f' {speed.compile_seconds:.0f} s of compiling for a candidate'
  )


def _count(number: int | None) -> str:
  return 'more than is counted' if number is None else f'{number:,}'


def _hours(hours: float | None) -> str:
  return '-' if hours is None else f'{hours:,.1f}' if hours >= 1 else (
      f'{hours:.2g}'
  )
