"""Measures the latency table of a config's space, and what it is worth.

Modules first, each distinct one once; then random whole networks, timed in the
same way, which the sums of their modules are compared with. Of a space of Flax
modules, whole networks are timed alone, every option in some of them, and each
random one is compared with what a fit to the others predicts. Every timing goes
to a CSV file at once, and what a file holds already is not timed again.
"""

import csv
import dataclasses
import io
import itertools
import math
import os
import platform
import random
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from etils import epath
from ml_collections import config_dict
from rich import box
from rich.console import Console
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import TextColumn
from rich.progress import TimeElapsedColumn
from rich.progress import TimeRemainingColumn
from rich.table import Table
from scipy import stats

from layernas.data.registry import load_dataset
from layernas.errors import UserError
from layernas.latency.stopwatch import ForwardTimer
from layernas.latency.stopwatch import Stopwatch
from layernas.latency.stopwatch import Timing
from layernas.networks.fitted_latency import fit_latency
from layernas.networks.interface import Space
from layernas.networks.latency import ARCHITECTURE
from layernas.networks.latency import SIGNATURE
from layernas.networks.latency import VALUE
from layernas.networks.latency import space_modules
from layernas.networks.network import NetworkLike
from layernas.networks.registry import make_space
from layernas.networks.space import NetworkSpace
from layernas.networks.space import PlacedModule
from layernas.networks.space import network_modules
from layernas.reports.console import Counting
from layernas.reports.console import new_console
from layernas.reports.plots import save_picture
from layernas.reports.plots import subplots
from layernas.reports.result import versions
from layernas.runs.inputs import space_input
from layernas.search.space import Architecture
from layernas.search.space import SearchSpace
from layernas.search.space import architecture_id
from layernas.storage.csv_file import CsvFile
from layernas.storage.resuming import LATENCY
from layernas.storage.resuming import Input
from layernas.storage.resuming import digest
from layernas.storage.workdir import Workdir
from layernas.training.checks import check_training

Timer = Callable[[PlacedModule | NetworkLike], Timing]
"""Times a forward pass of a module or of a whole network."""

_COLUMNS = (VALUE, 'lower_quartile', 'upper_quartile', 'repeats')

_LEAST = {'batch_size': 1, 'warmup': 0, 'repeats': 1, 'networks': 2}
"""Fields of the config's section `latency` and their smallest values."""


class Measurements:
  """What was timed; what the file holds already is not timed again.

  Attributes:
    timings: by what was timed.
  """

  def __init__(self, directory: Workdir, name: str, key: str, repeats: int):
    """Reads what was timed before.

    Args:
      directory: open.
      name: of the file.
      key: heading of the first column.
      repeats: timed calls behind each timing.

    Raises:
      UserError: the file is damaged.
    """
    self._directory = directory
    self._name = name
    self._key = key
    self._repeats = repeats
    path = directory.path / name
    self.timings = _read(path, key) if path.exists() else {}

  def measure(self, text: str, time: Callable[[], Timing]) -> Timing:
    """Times what is new, and writes the file.

    Args:
      text: key of what is timed.
      time: times it.

    Returns:
      Its timing, as the file holds it.
    """
    if text not in self.timings:
      values = dataclasses.astuple(time())
      # Six digits are more than a clock is good for.
      self.timings[text] = Timing(*(float(f'{value:.6g}') for value in values))
      self._write()
    return self.timings[text]

  def _write(self) -> None:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow([self._key, *_COLUMNS])
    for text, timing in self.timings.items():
      writer.writerow([text, *dataclasses.astuple(timing), self._repeats])
    self._directory.write_text(self._name, file.getvalue())


@dataclasses.dataclass(frozen=True)
class Point:
  """A random network, timed whole and predicted; milliseconds.

  Attributes:
    architecture: its id.
    whole: median time of the network.
    lower_quartile: of that time.
    upper_quartile: of that time.
    predicted: sum of the medians of its modules; or what a fit to the other
      networks says.
  """

  architecture: str
  whole: float
  lower_quartile: float
  upper_quartile: float
  predicted: float


def run_latency(
    config: config_dict.ConfigDict, workdir: epath.PathLike,
    timer: Timer | None = None,
) -> dict[str, Any]:
  """Measures, or goes on measuring, the space of a config.

  Args:
    config: see configs/default.py, section `latency`.
    workdir: of this run; gets latency.csv, latency.json and latency.png, and
      networks.csv where modules are timed.
    timer: instead of the present device.

  Returns:
    Content of latency.json.

  Raises:
    UserError: something in config or workdir is wrong.
  """
  check_training(config)
  _check_latency(config)
  space = make_space(config.space)
  space.progress = Counting()
  dataset = load_dataset(config.data)
  shape = (dataset.image_size, dataset.num_classes)
  of_modules = isinstance(space, NetworkSpace) and (
      not config.latency.whole_networks
  )
  # What is wrong with the space is told before the workdir is touched.
  modules = space_modules(space, *shape) if of_modules else []
  work = None if of_modules else space.cost('madds', *shape)
  stopwatch = Stopwatch(config.latency.warmup, config.latency.repeats)
  timer = timer or ForwardTimer(config, *shape, stopwatch)
  directory = Workdir(workdir, LATENCY)
  # Images are none of its inputs: only their number of classes counts.
  inputs = [
      space_input(config, space, dataset),
      Input('data', digest(shape[1]), f'{shape[1]} classes'),
  ]
  with directory.opened(config, inputs):
    _check_device(directory)
    console = new_console()
    for line in space.found:
      console.print(f'multiply-adds: {line}')
    drawn = random_architectures(
        space.search_space, config.latency.networks, config.seed
    )

    def table(name: str, key: str) -> Measurements:
      return Measurements(directory, name, key, config.latency.repeats)

    if of_modules:
      timings = _measure_modules(
          modules, timer, table('latency.csv', SIGNATURE), console
      )
      wholes = _measure_networks(
          space, timer, table('networks.csv', ARCHITECTURE), drawn, console
      )
      predicted = {
          one: sum(
              timings[module.signature].milliseconds
              for module in network_modules(space.network(one), *shape)
          )
          for one in drawn
      }
    else:
      wholes = _measure_networks(
          space, timer, table('latency.csv', ARCHITECTURE),
          list(dict.fromkeys([*space.search_space.each_option(), *drawn])),
          console,
      )
      fit = fit_latency(space.search_space, work, {
          one: timing.milliseconds for one, timing in wholes.items()
      })
      predicted = dict(zip(wholes, fit.left_out.tolist(), strict=True))
    points = [
        Point(
            architecture_id(one), *dataclasses.astuple(wholes[one]),
            predicted[one],
        )
        for one in drawn
    ]
    result = _result(config, shape, len(modules), points, stopwatch)
    directory.write_json('latency.json', result)
    save_predictions(result, directory.path / 'latency.png')
    console.print(summary_table(result))
    files = 'latency.csv, ' + 'networks.csv, ' * of_modules
    console.print(
        f'results: {directory.path}/{files}latency.json, latency.png'
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


def prediction_errors(points: Sequence[Point]) -> dict[str, float | None]:
  """Errors of what is predicted against the whole networks.

  Args:
    points: at least two.

  Returns:
    Signed and absolute mean error and the largest absolute one, in percent of
    the whole network; correlations over the networks, None where all times are
    equal.
  """
  predicted = np.array([point.predicted for point in points])
  wholes = np.array([point.whole for point in points])
  errors = 100 * (predicted - wholes) / wholes
  both = predicted, wholes
  varies = all(np.ptp(times) > 0 for times in both)
  return {
      'mean_percent': errors.mean().item(),
      'mean_absolute_percent': np.abs(errors).mean().item(),
      'largest_absolute_percent': np.abs(errors).max().item(),
      'pearson': _statistic(stats.pearsonr, *both) if varies else None,
      'spearman': _statistic(stats.spearmanr, *both) if varies else None,
  }


def save_predictions(
    result: Mapping[str, Any], path: epath.PathLike
) -> None:
  """Draws what is predicted against the whole networks, with the diagonal.

  Args:
    result: content of latency.json.
    path: of the PNG; bars are the quartiles of the whole.
  """
  figure, axes = subplots(figsize=(5.5, 5))
  points, errors = result['points'], result['errors']
  wholes, predicted, low, high = (
      np.array([point[name] for point in points])
      for name in ('whole', 'predicted', 'lower_quartile', 'upper_quartile')
  )
  # A median of few calls may stand on a quartile, never beyond it.
  axes.errorbar(
      wholes, predicted, xerr=np.abs([wholes - low, high - wholes]), fmt='o',
      ms=4, lw=0.8, alpha=0.7, label='networks (bars: quartiles)',
  )
  both = np.concatenate([wholes, predicted])
  ends = [both.min() * 0.95, both.max() * 1.05]
  axes.plot(ends, ends, color='0.5', lw=1, label='equal')
  axes.set(xlim=ends, ylim=ends, aspect='equal')
  axes.set_xlabel('whole network, ms')
  axes.set_ylabel(f'{_predicted_by(result)}, ms')
  axes.set_title(
      f'mean error {errors["mean_percent"]:+.1f} %, absolute'
      f' {errors["mean_absolute_percent"]:.1f} %', fontsize=10,
  )
  axes.legend(loc='upper left', fontsize=8)
  save_picture(figure, path)


def _predicted_by(result: Mapping[str, Any]) -> str:
  return 'sum of its modules' if result['modules'] else 'fit to other networks'


def summary_table(result: Mapping[str, Any]) -> Table:
  """What was measured, and how far sums are from whole networks.

  Args:
    result: content of latency.json.

  Returns:
    A rich table.
  """
  table = Table(title='latency measured', box=box.SIMPLE, show_header=False)
  errors, device = result['errors'], result['device']
  rows = [
      ('device', f'{device["kind"]} ({device["platform"]},'
                 f' {device["cpu_cores"]} CPU cores)'),
      ('batch', f'{result["batch_size"]}'),
      ('modules', f'{result["modules"] or "none, whole networks alone"}'),
      ('random networks', f'{len(result["points"])}'),
      (f'{_predicted_by(result)}, mean error',
       f'{errors["mean_percent"]:+.1f} %'),
      ('mean absolute error', f'{errors["mean_absolute_percent"]:.1f} %'),
      ('largest absolute error', f'{errors["largest_absolute_percent"]:.1f} %'),
      ('Pearson correlation', _number(errors['pearson'])),
      ('Spearman correlation', _number(errors['spearman'])),
      ('empty pass of the loop', f'{1e3 * result["empty_loop"]:.2f} µs'),
      ('empty call', f'{1e3 * result["empty_call"]:.2f} µs'),
  ]
  for row in rows:
    table.add_row(*row)
  return table


def _measure_modules(
    modules: Sequence[PlacedModule], timer: Timer, table: Measurements,
    console: Console,
) -> Mapping[str, Timing]:
  """Timings of modules by signature."""
  new = [one for one in modules if one.signature not in table.timings]
  console.print(
      f'{len(modules)} modules, {len(modules) - len(new)} measured already'
  )
  with _bar(console) as bar:
    for module in bar.track(new, description='modules'):
      table.measure(module.signature, lambda module=module: timer(module))
  return table.timings


def _measure_networks(
    space: Space, timer: Timer, table: Measurements,
    architectures: Sequence[Architecture], console: Console,
) -> Mapping[Architecture, Timing]:
  """Timings of whole networks."""
  with _bar(console) as bar:
    return {
        one: table.measure(
            architecture_id(one), lambda one=one: timer(space.network(one))
        )
        for one in bar.track(architectures, description='networks')
    }


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
      'errors': prediction_errors(points),
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
      TextColumn('{task.description}', markup=False),
      BarColumn(bar_width=24),
      MofNCompleteColumn(),
      TimeElapsedColumn(),
      TextColumn('ETA'),
      TimeRemainingColumn(),
      console=console,
      disable=not console.is_terminal,
      speed_estimate_period=600,
  )


def _read(path: epath.Path, key: str) -> dict[str, Timing]:
  """Timings that a file holds, by the texts of its key column."""
  file = CsvFile(path)
  columns = [file.numbers(name, least=0) for name in _COLUMNS[:-1]]
  return {
      text: Timing(*values)
      for text, *values in zip(file.keys(key), *columns, strict=True)
  }


def _statistic(correlation: Any, x: np.ndarray, y: np.ndarray) -> float | None:
  value = float(correlation(x, y).statistic)
  return value if math.isfinite(value) else None


def _number(value: float | None) -> str:
  return 'none, all times are equal' if value is None else f'{value:.3f}'
