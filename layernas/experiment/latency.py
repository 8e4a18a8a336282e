"""Measures the latency table of a config's space, and what its sums are worth.

Modules first, each distinct one once; then random whole networks, timed in the
same way, which the sums of their modules are compared with.
"""

import contextlib
import dataclasses
import itertools
import os
import platform
import random
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import jax
from etils import epath
from ml_collections import config_dict
from rich.console import Console
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import TextColumn
from rich.progress import TimeElapsedColumn
from rich.progress import TimeRemainingColumn

from layernas.data.registry import load_dataset
from layernas.errors import UserError
from layernas.experiment.forward_timer import ForwardTimer
from layernas.experiment.latency_report import Point
from layernas.experiment.latency_report import save_sums
from layernas.experiment.latency_report import sum_errors
from layernas.experiment.latency_report import summary_table
from layernas.experiment.measurements import Measurements
from layernas.experiment.progress import new_console
from layernas.experiment.report import versions
from layernas.experiment.setup import make_space
from layernas.experiment.stopwatch import Stopwatch
from layernas.experiment.stopwatch import Timing
from layernas.experiment.workdir import Workdir
from layernas.networks.latency import KEY
from layernas.networks.latency import space_modules
from layernas.networks.signature import PlacedModule
from layernas.networks.signature import network_modules
from layernas.networks.space import NetworkSpace
from layernas.networks.spec import NetworkSpec
from layernas.search.space import Architecture
from layernas.search.space import SearchSpace
from layernas.search.space import architecture_id
from layernas.training.checks import check_training

Timer = Callable[[PlacedModule | NetworkSpec], Timing]
"""Times a forward pass of a module or of a whole network."""

_LEAST = {'batch_size': 1, 'warmup': 0, 'repeats': 1, 'networks': 2}


def run_latency(
    config: config_dict.ConfigDict, workdir: epath.PathLike,
    timer: Timer | None = None,
) -> dict[str, Any]:
  """Measures, or goes on measuring, the space of a config.

  Args:
    config: see configs/default.py, section `latency`.
    workdir: of this run; gets latency.csv, networks.csv, latency.json and
      latency.png.
    timer: instead of the present device.

  Returns:
    Content of latency.json.

  Raises:
    UserError: something in config or workdir is wrong.
  """
  check_training(config)
  _check_latency(config)
  space = make_space(config.space)
  dataset = load_dataset(config.data)
  shape = (dataset.image_size, dataset.num_classes)
  modules = space_modules(space, *shape)
  stopwatch = Stopwatch(config.latency.warmup, config.latency.repeats)
  timer = timer or ForwardTimer(config, *shape, stopwatch)
  directory = Workdir(workdir)
  directory.open(config)
  with contextlib.closing(directory):
    _check_device(directory)
    console = new_console()
    timings = _measure_modules(modules, timer, directory, config, console)
    points = _measure_networks(
        space, shape, timings, timer, directory, config, console
    )
    result = _result(config, shape, len(modules), points, stopwatch)
    directory.write_json('latency.json', result)
    save_sums(points, result['errors'], directory.path / 'latency.png')
    console.print(summary_table(result))
    console.print(
        f'results: {directory.path}/latency.csv, networks.csv, latency.json,'
        ' latency.png'
    )
  return result


def random_architectures(
    space: SearchSpace, count: int, seed: int
) -> list[Architecture]:
  """Different architectures, uniformly drawn.

  Args:
    space: to draw from.
    count: how many; a space that has no more is taken whole.
    seed: any integer.

  Returns:
    The architectures.
  """
  if count >= space.size:
    return list(itertools.product(*map(range, space.option_counts)))
  rng = random.Random(seed)
  drawn: dict[Architecture, None] = {}
  while len(drawn) < count:
    drawn[tuple(map(rng.randrange, space.option_counts))] = None
  return list(drawn)


def _measure_modules(
    modules: Sequence[PlacedModule], timer: Timer, directory: Workdir,
    config: Any, console: Console,
) -> dict[str, Timing]:
  table = Measurements(directory, 'latency.csv', KEY, config.latency.repeats)
  old = sum(module.signature in table.timings for module in modules)
  console.print(f'{len(modules)} modules, {old} measured already')
  with _bar(console) as bar:
    task = bar.add_task('modules', total=len(modules) - old)
    for module in modules:
      if module.signature not in table.timings:
        table.measure(module.signature, lambda module=module: timer(module))
        bar.advance(task)
  return table.timings


def _measure_networks(
    space: NetworkSpace, shape: tuple[int, int], timings: dict[str, Timing],
    timer: Timer, directory: Workdir, config: Any, console: Console,
) -> list[Point]:
  """Times random networks and adds up their modules."""
  table = Measurements(
      directory, 'networks.csv', 'architecture', config.latency.repeats
  )
  points = []
  architectures = random_architectures(
      space.search_space, config.latency.networks, config.seed
  )
  with _bar(console) as bar:
    for architecture in bar.track(architectures, description='networks'):
      network = space.network(architecture)
      name = architecture_id(architecture)
      whole = table.measure(name, lambda network=network: timer(network))
      total = sum(
          timings[module.signature].milliseconds
          for module in network_modules(network, *shape)
      )
      points.append(Point(name, *dataclasses.astuple(whole), total))
  return points


def _result(
    config: Any, shape: tuple[int, int], modules: int,
    points: Sequence[Point], stopwatch: Stopwatch,
) -> dict[str, Any]:
  """Content of latency.json; times are milliseconds."""
  return {
      'device': _device(),
      'versions': versions(),
      'space': config.space,
      'image_size': shape[0],
      'num_classes': shape[1],
      'dtype': config.model.dtype,
      'batch_size': config.latency.batch_size,
      'warmup': config.latency.warmup,
      'repeats': config.latency.repeats,
      'empty_loop': stopwatch.empty_loop().milliseconds,
      'empty_call': stopwatch.empty_call().milliseconds,
      'modules': modules,
      'errors': sum_errors(points),
      'points': [dataclasses.asdict(point) for point in points],
  }


def _device() -> dict[str, Any]:
  device = jax.devices()[0]
  return {
      'platform': device.platform,
      'kind': device.device_kind,
      'machine': platform.machine(),
      'cpu_cores': os.cpu_count(),
      'jax': jax.__version__,
  }


def _check_device(directory: Workdir) -> None:
  """Refuses to mix the timings of two devices in one table."""
  recorded = directory.read_json('device.json')
  if recorded not in (None, _device()):
    raise UserError(
        f'workdir {directory.path}: was measured on {recorded}, this is'
        f' {_device()}; allowed is the same device, or another workdir'
    )
  directory.write_json('device.json', _device())


def _check_latency(config: Any) -> None:
  for field, least in _LEAST.items():
    value = getattr(config.latency, field)
    if value < least:
      raise UserError(
          f'latency.{field}: {value!r}: allowed is an integer >= {least}'
      )


def _bar(console: Console) -> Progress:
  return Progress(
      TextColumn('{task.description}'),
      BarColumn(bar_width=24),
      MofNCompleteColumn(),
      TimeElapsedColumn(),
      TextColumn('ETA'),
      TimeRemainingColumn(),
      console=console,
      disable=not console.is_terminal,
      speed_estimate_period=600,
  )
