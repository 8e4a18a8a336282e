"""Measures the latency table of a config's space, and what it is worth.

Modules first, each distinct one once; then random whole networks, timed in the
same way, which the sums of their modules are compared with. Of a space of Flax
modules, whole networks are timed alone, every option in some of them, and each
random one is compared with what a fit to the others predicts. Every timing goes
to a CSV file at once, and what a file holds already is not timed again.

What else runs on a machine slows for seconds at a time, all of a series of
calls alike. So everything is timed several times over, in sweeps, and the
fastest counts.
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

from layernas import activity
from layernas.data.dataset import Dataset
from layernas.data.registry import load_dataset
from layernas.errors import UserError
from layernas.latency.frames import framed
from layernas.latency.frames import module_timings
from layernas.latency.runtimes import XLA
from layernas.latency.runtimes import FileTimer
from layernas.latency.runtimes import GraphMaker
from layernas.latency.runtimes import Timer
from layernas.latency.runtimes import XlaTimer
from layernas.latency.runtimes import find_runtime
from layernas.latency.stopwatch import Stopwatch
from layernas.latency.stopwatch import Timing
from layernas.networks.fitted_latency import fit_latency
from layernas.networks.interface import Space
from layernas.networks.latency import ARCHITECTURE
from layernas.networks.latency import SIGNATURE
from layernas.networks.latency import VALUE
from layernas.networks.latency import space_modules
from layernas.networks.registry import make_space
from layernas.networks.space import NetworkSpace
from layernas.networks.space import SizedModule
from layernas.networks.space import network_modules
from layernas.reports.console import Counting
from layernas.reports.console import new_console
from layernas.reports.plots import save_picture
from layernas.reports.plots import subplots
from layernas.reports.result import versions
from layernas.runs.inputs import space_input
from layernas.search.cost import Cost
from layernas.search.space import Architecture
from layernas.search.space import SearchSpace
from layernas.search.space import architecture_id
from layernas.storage.csv_file import CsvFile
from layernas.storage.resuming import LATENCY
from layernas.storage.resuming import Input
from layernas.storage.resuming import digest
from layernas.storage.workdir import Workdir
from layernas.training.checks import check_training

_COLUMNS = (VALUE, 'lower_quartile', 'upper_quartile', 'repeats')

_LEAST = {
    'batch_size': 1, 'threads': 1, 'warmup': 0, 'repeats': 1, 'sweeps': 1,
    'networks': 2,
}
"""Fields of the config's section `latency` and their smallest values."""

PASSES = 'name'
"""First column of what modules in frames took."""

# Programs that are ready at the same time; a sweep is over one group.
_GROUP = 32


class Measurements:
  """What was timed; what the file holds already is not timed again.

  Attributes:
    timings: by what was timed; the fastest sweep's.
    calls: timed ones, likewise.
  """

  def __init__(
      self, directory: Workdir, name: str, key: str, repeats: int,
      sweeps: int = 1,
  ):
    """Reads what was timed before.

    Args:
      directory: open.
      name: of the file.
      key: heading of the first column.
      repeats: timed calls of a sweep.
      sweeps: times over that everything is timed.

    Raises:
      UserError: the file is damaged.
    """
    self._directory = directory
    self._name = name
    self._key = key
    self._repeats = repeats
    self._sweeps = sweeps
    path = directory.path / name
    self.timings, self.calls = (
        _read(path, key) if path.exists() else ({}, {})
    )

  def sweeps_left(self, text: str) -> int:
    """How many times something is still to be timed."""
    missing = self._sweeps * self._repeats - self.calls.get(text, 0)
    return max(math.ceil(missing / self._repeats), 0)

  def measure(self, text: str, time: Callable[[], Timing]) -> None:
    """Times something once more, and writes the file.

    Args:
      text: key of what is timed.
      time: times it.
    """
    values = dataclasses.astuple(time())
    # Six digits are more than a clock is good for.
    new = Timing(*(float(f'{value:.6g}') for value in values))
    known = self.timings.get(text, new)
    self.timings[text] = min(known, new, key=lambda one: one.milliseconds)
    self.calls[text] = self.calls.get(text, 0) + self._repeats
    self._write()

  def _write(self) -> None:
    self._directory.write_text(
        self._name, timings_text(self._key, self.timings, self.calls)
    )


def timings_text(
    key: str, timings: Mapping[str, Timing], calls: Mapping[str, int]
) -> str:
  """Content of a CSV file of timings.

  Args:
    key: heading of the first column.
    timings: by its cells.
    calls: timed ones behind each.

  Returns:
    The file.
  """
  file = io.StringIO()
  writer = csv.writer(file, lineterminator='\n')
  writer.writerow([key, *_COLUMNS])
  for text, timing in timings.items():
    writer.writerow([text, *dataclasses.astuple(timing), calls[text]])
  return file.getvalue()


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
    madds: multiply-adds, which are not milliseconds, but often taken for them.
  """

  architecture: str
  whole: float
  lower_quartile: float
  upper_quartile: float
  predicted: float
  madds: int


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
  """What latencies are measured of.

  Attributes:
    space: of the networks.
    dataset: of which only the side of the images and the classes count.
    modules: distinct ones of the space; none where whole networks are timed
      alone.
    drawn: random networks to compare with.
    madds: of the networks.
  """

  space: Space
  dataset: Dataset
  modules: Sequence[SizedModule]
  drawn: Sequence[Architecture]
  madds: Cost

  @property
  def shape(self) -> tuple[int, int]:
    """Side of the images in pixels, number of classes."""
    return self.dataset.image_size, self.dataset.num_classes

  @property
  def inputs(self) -> list[Input]:
    """What the config only names; images are none of it."""
    classes = self.dataset.num_classes
    return [Input('data', digest(classes), f'{classes} classes')]

  def sums(
      self, timings: Mapping[str, Timing]
  ) -> dict[Architecture, float]:
    """Milliseconds of the random networks as sums over their modules.

    Args:
      timings: by signature.

    Returns:
      By architecture.
    """
    return {
        one: sum(
            timings[module.signature].milliseconds for module in
            network_modules(self.space.network(one), *self.shape)
        )
        for one in self.drawn
    }


def subject_of(config: config_dict.ConfigDict) -> Subject:
  """What a config has measured.

  Args:
    config: see configs/default.py, section `latency`.

  Returns:
    Its space, modules and random networks.

  Raises:
    UserError: something in it is wrong, or the runtime cannot run it.
  """
  check_training(config)
  _check_latency(config)
  space = make_space(config.space)
  space.progress = Counting()
  dataset = load_dataset(config.data)
  shape = (dataset.image_size, dataset.num_classes)
  modules = []
  if isinstance(space, NetworkSpace):
    with activity.doing('listing the modules of the space'):
      modules = space_modules(space, *shape)
    if find_runtime(config.latency.runtime):
      graphs_of(config, shape).check(config.latency.runtime, modules)
  elif config.latency.runtime != XLA:
    raise UserError(
        f'latency.runtime: {config.latency.runtime!r}: the space'
        f' {config.space} is of Flax modules, which have no inference graph;'
        f' allowed is {XLA!r}'
    )
  with activity.doing('pricing the networks'):
    madds = space.cost('madds', *shape)
  return Subject(
      space, dataset, [] if config.latency.whole_networks else modules,
      random_architectures(
          space.search_space, config.latency.networks, config.seed
      ),
      madds,
  )


def graphs_of(config: Any, shape: tuple[int, int]) -> GraphMaker:
  """Makes the graphs of a config's networks; see `Subject.shape`."""
  return GraphMaker(*shape, config.model.batch_norm_epsilon)


def run_latency(
    config: config_dict.ConfigDict, workdir: epath.PathLike,
    timer: Timer | None = None,
) -> dict[str, Any]:
  """Measures, or goes on measuring, the space of a config.

  Args:
    config: see configs/default.py, section `latency`.
    workdir: of this run; gets latency.csv, latency.json and latency.png; where
      modules are timed, also networks.csv, and in runtimes of files passes.csv,
      what modules in frames took.
    timer: instead of the runtime.

  Returns:
    Content of latency.json.

  Raises:
    UserError: something in config or workdir is wrong.
  """
  if config.latency.runtime == XLA:
    # Of JAX's CPU, before it computes for the first time.
    os.environ['NPROC'] = str(config.latency.threads)
  # What is wrong with the space is told before the workdir is touched.
  subject = subject_of(config)
  device = _device(config)
  stopwatch = Stopwatch(config.latency.warmup, config.latency.repeats)
  timer = timer or _timer(config, subject, stopwatch)
  directory = Workdir(workdir, LATENCY)
  space = subject.space
  inputs = [space_input(config, space, subject.dataset), *subject.inputs]
  with directory.opened(config, inputs):
    _check_device(directory, device)
    console = new_console()
    for line in space.found:
      console.print(f'multiply-adds: {line}')

    def measured(name: str, key: str, what: Mapping[str, Any]) -> Measurements:
      table = Measurements(
          directory, name, key, config.latency.repeats, config.latency.sweeps
      )
      _measure(what, timer, table, console)
      return table

    def networks(
        name: str, architectures: Sequence[Architecture]
    ) -> dict[Architecture, Timing]:
      table = measured(name, ARCHITECTURE, {
          architecture_id(one): space.network(one) for one in architectures
      })
      return {
          one: table.timings[architecture_id(one)] for one in architectures
      }

    if subject.modules and config.latency.runtime == XLA:
      modules = measured('latency.csv', SIGNATURE, {
          one.signature: one for one in subject.modules
      }).timings
    elif subject.modules:
      programs = framed(subject.modules)
      passes = measured('passes.csv', PASSES, {
          one.name: one for one in programs
      })
      modules = module_timings(programs, passes.timings)
      directory.write_text('latency.csv', timings_text(
          SIGNATURE, modules, passes.calls
      ))
      say_unseen(modules, console)
    if subject.modules:
      wholes = networks('networks.csv', subject.drawn)
      predicted = subject.sums(modules)
    else:
      wholes = networks('latency.csv', list(dict.fromkeys(
          [*space.search_space.each_option(), *subject.drawn]
      )))
      fit = fit_latency(space.search_space, subject.madds, {
          one: timing.milliseconds for one, timing in wholes.items()
      })
      predicted = dict(zip(wholes, fit.left_out.tolist(), strict=True))
    result = latency_result(config, subject, device, wholes, predicted, {
        'empty_loop': stopwatch.empty_loop().milliseconds,
        'empty_call': stopwatch.empty_call().milliseconds,
    } if config.latency.runtime == XLA else {})
    write_result(directory, result, console)
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
    the whole network; correlations over the networks, of what is predicted and
    of the multiply-adds, None where all of a kind are equal.
  """
  predicted, wholes, madds = (
      np.array([getattr(point, name) for point in points])
      for name in ('predicted', 'whole', 'madds')
  )
  errors = 100 * (predicted - wholes) / wholes
  return {
      'mean_percent': errors.mean().item(),
      'mean_absolute_percent': np.abs(errors).mean().item(),
      'largest_absolute_percent': np.abs(errors).max().item(),
      'pearson': _statistic(stats.pearsonr, predicted, wholes),
      'spearman': _statistic(stats.spearmanr, predicted, wholes),
      'madds_pearson': _statistic(stats.pearsonr, madds, wholes),
      'madds_spearman': _statistic(stats.spearmanr, madds, wholes),
  }


def save_predictions(
    result: Mapping[str, Any], path: epath.PathLike
) -> None:
  """Draws what is predicted, and the multiply-adds, against whole networks.

  Args:
    result: content of latency.json.
    path: of the PNG; bars are the quartiles of the whole.
  """
  figure, (left, right) = subplots(1, 2, figsize=(10.5, 5))
  points, errors = result['points'], result['errors']
  wholes, predicted, low, high, madds = (
      np.array([point[name] for point in points]) for name in
      ('whole', 'predicted', 'lower_quartile', 'upper_quartile', 'madds')
  )
  # A median of few calls may stand on a quartile, never beyond it.
  bars = np.abs([wholes - low, high - wholes])
  for axes, values in ((left, predicted), (right, madds / 1e6)):
    axes.errorbar(
        wholes, values, xerr=bars, fmt='o', ms=4, lw=0.8, alpha=0.7,
        label='networks (bars: quartiles)',
    )
    axes.set_xlabel('whole network, ms')
  both = np.concatenate([wholes, predicted])
  ends = [both.min() * 0.95, both.max() * 1.05]
  left.plot(ends, ends, color='0.5', lw=1, label='equal')
  left.set(xlim=ends, ylim=ends, aspect='equal')
  left.set_ylabel(f'{_predicted_by(result)}, ms')
  left.set_title(
      f'mean error {errors["mean_percent"]:+.1f} %, absolute'
      f' {errors["mean_absolute_percent"]:.1f} %; Spearman'
      f' {_number(errors["spearman"])}', fontsize=10,
  )
  right.set_ylabel('multiply-adds, millions')
  right.set_title(
      f'multiply-adds: Spearman {_number(errors["madds_spearman"])}',
      fontsize=10,
  )
  left.legend(loc='upper left', fontsize=8)
  figure.suptitle(_described(result['device']), fontsize=10)
  save_picture(figure, path)


def _described(device: Mapping[str, Any]) -> str:
  """A device in one line."""
  if 'results' in device:
    return f'measured elsewhere, {device["results"]}'
  threads = device['threads']
  return (
      f'{device["runtime"]} {device["version"]}, {threads}'
      f' thread{"s" * (threads > 1)}, {device["kind"]} ({device["platform"]},'
      f' {device["cpu_cores"]} CPU cores)'
  )


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
      ('runtime', _described(device)),
      ('batch', f'{result["batch_size"]}'),
      ('modules', f'{result["modules"] or "none, whole networks alone"}'),
      ('random networks', f'{len(result["points"])}'),
      (f'{_predicted_by(result)}, mean error',
       f'{errors["mean_percent"]:+.1f} %'),
      ('mean absolute error', f'{errors["mean_absolute_percent"]:.1f} %'),
      ('largest absolute error', f'{errors["largest_absolute_percent"]:.1f} %'),
      ('Pearson correlation', _number(errors['pearson'])),
      ('Spearman correlation', _number(errors['spearman'])),
      ('Spearman correlation of MAdds', _number(errors['madds_spearman'])),
      *(
          (name.replace('_', ' '), f'{1e3 * result[name]:.2f} µs')
          for name in ('empty_loop', 'empty_call') if name in result
      ),
  ]
  for row in rows:
    table.add_row(*row)
  return table


def latency_result(
    config: Any, subject: Subject, device: Mapping[str, Any],
    wholes: Mapping[Architecture, Timing],
    predicted: Mapping[Architecture, float], empty: Mapping[str, float],
) -> dict[str, Any]:
  """Content of latency.json.

  Args:
    config: of the run.
    subject: what was measured.
    device: that ran it, see `_device`.
    wholes: timings of whole networks, the random ones among them.
    predicted: milliseconds of the random ones.
    empty: milliseconds that measuring itself takes, by name.

  Returns:
    JSON types; times are milliseconds.
  """
  points = [
      Point(
          architecture_id(one), *dataclasses.astuple(wholes[one]),
          predicted[one], int(subject.madds.cost(one)),
      )
      for one in subject.drawn if one in wholes
  ]
  of_files = config.latency.runtime != XLA
  return {
      'device': device,
      'versions': versions(),
      'space': config.space,
      'image_size': subject.shape[0],
      'num_classes': subject.shape[1],
      'dtype': 'float32' if of_files else config.model.dtype,
      'batch_size': config.latency.batch_size,
      'warmup': config.latency.warmup,
      'repeats': config.latency.repeats,
      'sweeps': config.latency.sweeps,
      **empty,
      'modules': len(subject.modules),
      'errors': prediction_errors(points),
      'points': [dataclasses.asdict(point) for point in points],
  }


def say_unseen(
    timings: Mapping[str, Timing], console: Console
) -> None:
  """Tells of modules that have no time of their own.

  Args:
    timings: of modules without their frames, by signature.
    console: to print to.
  """
  unseen = [name for name, one in timings.items() if not one.milliseconds]
  if unseen:
    console.print(
        f'{len(unseen)} modules seem no slower than their frames and count 0'
        f' ms: both should be measured again; the first is {unseen[0]!r}'
    )


def write_result(
    directory: Workdir, result: Mapping[str, Any], console: Console
) -> None:
  """Writes latency.json and latency.png, and says what they say.

  Args:
    directory: open.
    result: content of latency.json.
    console: to print to.
  """
  directory.write_json('latency.json', result)
  save_predictions(result, directory.path / 'latency.png')
  console.print(summary_table(result))
  console.print(f'results: {directory.path}/latency.csv, latency.json')


def _timer(config: Any, subject: Subject, stopwatch: Stopwatch) -> Timer:
  """Of the config's runtime."""
  runtime = find_runtime(config.latency.runtime)
  if not runtime:
    return XlaTimer(config, *subject.shape, stopwatch)
  return FileTimer(
      runtime, graphs_of(config, subject.shape), config.latency.batch_size,
      config.latency.threads, stopwatch,
  )


def _measure(
    what: Mapping[str, Any], timer: Timer, table: Measurements,
    console: Console,
) -> None:
  """Times modules in frames, or networks, by what the table calls them."""
  new = [text for text in what if table.sweeps_left(text)]
  console.print(f'{len(what)} to time, {len(what) - len(new)} timed already')
  with _bar(console) as bar:
    task = bar.add_task('timed', total=len(new))
    for start in range(0, len(new), _GROUP):
      group = new[start:start + _GROUP]
      with activity.doing(
          f'compiling {start + 1} to {start + len(group)} of {len(new)}'
      ):
        ready = {text: timer(what[text]) for text in group}
      while ready:
        for text, time in list(ready.items()):
          table.measure(text, time)
          if not table.sweeps_left(text):
            del ready[text]
            bar.advance(task)


def _device(config: Any) -> dict[str, Any]:
  """What runs the networks: two of them never share a table."""
  runtime = find_runtime(config.latency.runtime)
  # The other runtimes are given the CPU.
  [device, *_] = jax.devices('cpu' if runtime else None)
  return {
      'runtime': config.latency.runtime,
      'version': runtime.version() if runtime else jax.__version__,
      'threads': config.latency.threads,
      'platform': device.platform,
      'kind': device.device_kind,
      'machine': platform.machine(),
      'cpu_cores': os.cpu_count(),
  }


def _check_device(directory: Workdir, device: Mapping[str, Any]) -> None:
  """Refuses to mix the timings of two devices or runtimes in one table."""
  recorded = directory.read_json('device.json')
  if recorded not in (None, device):
    raise UserError(
        f'workdir {directory.path}: was measured on {recorded}, this is'
        f' {device}; allowed is the same device and runtime, or another workdir'
    )
  directory.write_json('device.json', device)


def _check_latency(config: Any) -> None:
  find_runtime(config.latency.runtime)
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


def _read(
    path: epath.Path, key: str
) -> tuple[dict[str, Timing], dict[str, int]]:
  """Timings and timed calls that a file holds, by its key column."""
  file = CsvFile(path)
  columns = [file.numbers(name, least=0) for name in _COLUMNS]
  timings, calls = {}, {}
  for text, *values, count in zip(file.keys(key), *columns, strict=True):
    timings[text], calls[text] = Timing(*values), int(count)
  return timings, calls


def _statistic(correlation: Any, x: np.ndarray, y: np.ndarray) -> float | None:
  if not (np.ptp(x) > 0 and np.ptp(y) > 0):
    return None
  value = float(correlation(x, y).statistic)
  return value if math.isfinite(value) else None


def _number(value: float | None) -> str:
  return 'none, all times are equal' if value is None else f'{value:.3f}'
