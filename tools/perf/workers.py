"""Simulates how ImageNet searches speed up with the number of workers.

  OPENBLAS_NUM_THREADS=1 .venv/bin/python tools/perf/workers.py
  .venv/bin/python tools/perf/workers.py --mode=report

Real searches run on a virtual clock (tools/perf/virtual_workers.py). Nothing is
trained, and only model_guided's linear algebra depends on the machine. Spaces,
targets, buckets and schedules are those of the ImageNet configs, except for the
settings below. Times and rewards are invented: a training's time grows with its
MAdds, in units of the default network's, and a reward is a sum of terms.

Idle workers may train ahead of the next layer: with `none` they idle, with
`certain` they train children of entries that are certain to be kept, with
`leading` also children of the best entries so far. The program writes
workers.json.gz and workers.png and prints the tables of docs/scale.md;
--mode=report prints the tables of the stored file.
"""

import dataclasses
import functools
import gzip
import json
import pathlib
import re
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from ml_collections import ConfigDict

from configs import imagenet
from layernas.networks.registry import make_space
from layernas.reports.plots import save_picture
from layernas.reports.plots import subplots
from layernas.runs import cli
from layernas.runs.setup import make_problem
from layernas.runs.setup import make_search
from layernas.search import Architecture
from layernas.search import Factor
from layernas.search import FactoredCost
from layernas.search import Problem
from layernas.search import Search
from layernas.search import SearchSpace
from layernas.study.report import table_text
from layernas.study.report_tables import Table
from tools.perf.virtual_workers import Ahead
from tools.perf.virtual_workers import NextLayer
from tools.perf.virtual_workers import Task
from tools.perf.virtual_workers import Timeline
from tools.perf.virtual_workers import VirtualWorkers

OVERLAPS = ('none', 'certain', 'leading')
"""Which children idle workers train ahead."""

SHOWN = (4, 16, 64, 256)
"""Numbers of workers in the tables."""

_INTERACTIONS = 0.5
"""Standard deviation of all terms of neighbouring layers together, relative to
that of the terms of single layers; the same as in model_guided_ask.py."""

_IMAGENET = (
    'v3_small_60m', 'v3_large_220m', 'v3_large_220m_no_se', 'v2_300m',
    'v2_300m_se', 'v2_600m',
)


@dataclasses.dataclass(frozen=True)
class Case:
  """A simulated search.

  Attributes:
    config: name of the config: imagenet_, then a variant.
    label: of the schedule, in the tables.
    settings: changed fields of the config, by their path.
    losses: whether workers are lost, see `Times.between_losses`.
  """

  config: str
  label: str
  settings: Mapping[str, object]
  losses: bool = False

  @property
  def schedule(self) -> str:
    """Name of the schedule."""
    return self.settings.get('search.schedule', 'sweep')


def _cases() -> dict[str, Case]:
  cases = []
  for name in _IMAGENET:
    for buckets in (100, 5):
      cases.append(Case(
          f'imagenet_{name}', f'sweep, H = {buckets}',
          {'search.schedule': 'sweep', 'search.buckets': buckets},
      ))
  cases.append(Case(
      'imagenet_v3_large_220m', 'sweep, H = 5, workers lost',
      {'search.schedule': 'sweep', 'search.buckets': 5}, losses=True,
  ))
  for name in ('v3_small_60m', 'v3_large_220m'):
    cases += _others(f'imagenet_{name}')
  return {f'{case.config}: {case.label}': case for case in cases}


def _others(config: str) -> list[Case]:
  """The other schedules, with small and with large batches."""
  interleaved = {'search.schedule': 'interleaved', 'budget.trials': 1000}
  guided = {
      'search.schedule': 'model_guided', 'budget.trials': 500,
      'search.buckets': 10, 'search.keep': 2,
  }
  return [
      Case(config, 'recentred, H = 5',
           {'search.schedule': 'recentred', 'search.buckets': 5}),
      *(Case(config, f'interleaved, {side} x {side}', interleaved | {
          'search.visit.entries': side, 'search.visit.options': side,
      }) for side in (1, 8)),
      *(Case(config, f'model_guided, batches of {batch}', guided | {
          'search.guided.batch': batch,
      }) for batch in (5, 64)),
  ]


CASES = _cases()
"""Cases by their name in the results."""


@dataclasses.dataclass(frozen=True)
class Times:
  """Times in units of the default network's training.

  Attributes:
    start: compilation before a training: one minute for a training of 35, as
      docs/reproduce.md estimates.
    hidden: whether a worker compiles while it trains the previous candidate.
    jitter: standard deviation of the logarithm of a training's time, given its
      MAdds.
    between_losses: mean time until a worker is lost, exponentially distributed;
      another one continues from the last checkpoint.
    checkpoint: time between two checkpoints: 300 of about 1,500 steps in the
      ImageNet configs.
    restart: time until a lost training continues.
    seed: of the rewards, the losses and the jitter.
  """

  start: float = 0.03
  hidden: bool = True
  jitter: float = 0.1
  between_losses: float = 10.0
  checkpoint: float = 0.2
  restart: float = 0.1
  seed: int = 0


def search_of(case: Case) -> Search:
  """The search of a case, before its first candidate."""
  config = _config(case.config)
  with config.unlocked():
    config.budget.trials = config.reference.trainings = 0
    config.update_from_flattened_dict(dict(case.settings))
  return make_search(config, _problem(case.config))


def _config(name: str) -> ConfigDict:
  return imagenet.get_config(name.removeprefix('imagenet_'))


@functools.cache
def _problem(name: str) -> Problem:
  config = _config(name)
  return make_problem(
      config, make_space(config.space), config.data.image_size,
      config.data.num_classes,
  )


def task_of(case: Case, times: Times) -> Callable[[Architecture], Task]:
  """Makes the times and rewards of a case's candidates.

  Args:
    case: the search.
    times: of trainings.

  Returns:
    A function that depends on the architecture alone.
  """
  cost = _problem(case.config).cost
  unit = cost.cost(cost.space.default)
  rewards = synthetic_rewards(cost.space, times.seed)

  @functools.cache
  def task(architecture: Architecture) -> Task:
    rng = np.random.default_rng([times.seed, *architecture])
    time = cost.cost(architecture) / unit
    time *= np.exp(times.jitter * rng.standard_normal())
    if case.losses:
      time = with_losses(time, times, rng)
    return Task(float(time), rewards.cost(architecture))

  return task


def synthetic_rewards(space: SearchSpace, seed: int) -> FactoredCost:
  """Draws normal terms for options and for pairs of neighbours' options.

  Like `layernas.study.tables.synthetic`, but layers may have different numbers
  of options.

  Args:
    space: of the architectures.
    seed: of the terms.

  Returns:
    The sum of the terms; its `cost` is the reward.
  """
  rng = np.random.default_rng(seed)
  counts = space.option_counts
  terms = [
      Factor((layer,), rng.standard_normal(count))
      for layer, count in enumerate(counts)
  ]
  scale = _INTERACTIONS * np.sqrt(len(counts) / max(len(counts) - 1, 1))
  terms += [
      Factor((layer - 1, layer),
             scale * rng.standard_normal(counts[layer - 1:layer + 1]))
      for layer in range(1, len(counts))
  ]
  return FactoredCost('reward', space, terms)


def with_losses(
    time: float, times: Times, rng: np.random.Generator
) -> float:
  """Time of a training whose workers may be lost.

  Args:
    time: of the undisturbed training.
    times: of losses, checkpoints and restarts.
    rng: random source.

  Returns:
    Time until the end, including repeated steps and restarts.
  """
  saved = elapsed = 0.0
  while True:
    until = rng.exponential(times.between_losses)
    if until >= time - saved:
      return elapsed + time - saved
    saved += until // times.checkpoint * times.checkpoint
    elapsed += until + times.restart


_FORESEEN = ('sweep', 'recentred')
"""Schedules whose next layer follows from their tables."""


def case_runs(
    case: Case, times: Times, counts: Sequence[int]
) -> dict[str, Any]:
  """Simulates a case with every number of workers.

  Args:
    case: the search.
    times: of trainings.
    counts: numbers of workers, 1 first.

  Returns:
    JSON types: facts of the search, and the figures of each run by overlap and
    number of workers.
  """
  task = task_of(case, times)
  overlaps = OVERLAPS if case.schedule in _FORESEEN else OVERLAPS[:1]
  runs: dict[str, dict[str, Any]] = {overlap: {} for overlap in overlaps}
  alone = None
  for overlap in overlaps:
    for count in counts:
      search = search_of(case)
      timeline = VirtualWorkers(
          search, task, count, times.start, times.hidden,
          _ahead(overlap, search),
      ).run()
      alone = alone or timeline
      runs[overlap][str(count)] = _figures(timeline, alone)
  return {
      'config': case.config, 'schedule': case.label,
      'candidates': len(search.trials),
      'generations': len(alone.generations),
      'runs': runs,
  }


def _ahead(overlap: str, search: Search) -> Ahead | None:
  if overlap == 'none':
    return None
  return NextLayer(search, leading=overlap == 'leading')


def _figures(timeline: Timeline, alone: Timeline) -> dict[str, Any]:
  """Figures of a run; shares are of the time of all its workers."""
  whole = timeline.workers * timeline.makespan
  parts = ('training', 'starting', 'wasted', 'spare', 'barriers', 'tail')
  shares = {part: getattr(timeline, part) / whole for part in parts}
  figures = {
      'makespan': timeline.makespan,
      'speed_up': alone.makespan / timeline.makespan,
      'efficiency': alone.makespan / whole,
      # No order of the candidates is faster if the search waits at barriers.
      'bound': alone.makespan / timeline.shortest,
      **shares,
  }
  rounded = {name: round(value, 4) for name, value in figures.items()}
  if timeline.workers in SHOWN:
    rounded['idle_by_layer'] = _idle_by_layer(timeline)
  return rounded


def _idle_by_layer(timeline: Timeline) -> dict[str, float]:
  """Idle share of all workers' time, by the layer that was searched."""
  idle: dict[int, float] = {}
  for one in timeline.generations:
    idle[one.layer] = idle.get(one.layer, 0) + one.spare + one.waiting
  whole = timeline.workers * timeline.makespan
  return {
      str(layer): round(time / whole, 4) for layer, time in sorted(idle.items())
  }


DETAILED = 64
"""Number of workers whose time is itemised."""

LINES = ('-', '--', ':')
"""Line styles of one colour."""

FOREGROUND = ('v3_small_60m, ', 'v3_large_220m, ')
"""Spaces of the lower panels; the last one also has the other schedules."""

BUCKETS = ('H = 100', 'H = 5')
"""Sweeps in the picture."""

Results = Mapping[str, Any]


def tables(results: Results) -> list[str]:
  """The tables of docs/scale.md.

  Args:
    results: content of workers.json.gz.

  Returns:
    Two tables in Markdown: speed-ups and where the time goes; the gain by
    training ahead.
  """
  cases = list(results['cases'].values())
  return [_speed_ups(cases), _overlaps(cases)]


def _speed_ups(cases: list[Results]) -> str:
  header = (
      'config, schedule', 'candidates', 'generations',
      *(f'{workers} workers' for workers in SHOWN),
      f'at {DETAILED}: barriers', 'too few', 'tail', 'bound',
  )
  rows = []
  for case in cases:
    runs = case['runs']['none']
    detailed = runs[str(DETAILED)]
    rows.append((
        _name(case), f'{case["candidates"]:,}', f'{case["generations"]:,}',
        *(_number(runs[str(workers)]['speed_up']) for workers in SHOWN),
        *(_share(detailed[part]) for part in ('barriers', 'spare', 'tail')),
        _number(detailed['bound']),
    ))
  return table_text(Table('', header, tuple(rows)))


def _overlaps(cases: list[Results]) -> str:
  header = ['config, schedule']
  for workers in SHOWN[1:]:
    header += [f'{workers} workers: none', *OVERLAPS[1:], 'wasted']
  rows = []
  for case in cases:
    if len(case['runs']) == 1:
      continue
    row = [_name(case)]
    for workers in map(str, SHOWN[1:]):
      row += [
          _number(case['runs'][overlap][workers]['speed_up'])
          for overlap in OVERLAPS
      ]
      row.append(_share(case['runs'][OVERLAPS[-1]][workers]['wasted']))
    rows.append(tuple(row))
  return table_text(Table('', tuple(header), tuple(rows)))


def _name(case: Results) -> str:
  return f'{case["config"].removeprefix("imagenet_")}, {case["schedule"]}'


def _number(value: float) -> str:
  return f'{value:.1f}'


def _share(value: float) -> str:
  return f'{100 * value:.1f} %'


def save_plot(results: Results, path: pathlib.Path) -> None:
  """Draws speed-ups, the gain by training ahead, and idle time by layer.

  Args:
    results: content of workers.json.gz.
    path: of the PNG.
  """
  figure, axes = subplots(2, 2, figsize=(11, 9))
  cases = {_name(case): case for case in results['cases'].values()}
  sweeps = [
      name for name in cases if name.endswith(BUCKETS) and 'sweep' in name
  ]
  foreground = [name for name in sweeps if name.startswith(FOREGROUND)]
  schedules = [
      name for name in cases
      if name.startswith(FOREGROUND[1]) and 'sweep' not in name
  ]
  _draw_speed_ups(axes[0, 0], cases, sweeps, len(BUCKETS))
  _draw_speed_ups(axes[0, 1], cases, schedules, 1)
  for number, name in enumerate(foreground):
    _draw_overlaps(axes[1, 0], cases[name], f'C{number}')
    _draw_layers(axes[1, 1], cases[name], f'C{number}')
  axes[1, 0].set_ylabel('speed-up / workers')
  axes[1, 0].set_ylim(0, 1.02)
  axes[1, 1].set_ylabel(f'idle, % of all time of {DETAILED} workers')
  axes[1, 1].set_xlabel('layer')
  axes[1, 1].xaxis.set_major_locator(MaxNLocator(integer=True))
  # The legend is above the lines.
  axes[1, 1].set_ylim(0, 1.5 * axes[1, 1].get_ylim()[1])
  for one in axes.flat[:3]:
    one.set_xlabel('workers')
    one.set_xscale('log', base=2)
    one.xaxis.set_major_formatter('{x:g}')
  for one in axes.flat:
    one.grid(alpha=0.3)
    one.legend(fontsize=7)
  save_picture(figure, path, dpi=100)


def _draw_speed_ups(
    axes: Axes, cases: Results, names: list[str], lines: int
) -> None:
  """Speed-up against workers; `lines` is the number of lines of a colour."""
  for number, name in enumerate(names):
    runs = cases[name]['runs']['none']
    axes.plot(
        list(map(int, runs)), [run['speed_up'] for run in runs.values()],
        LINES[number % lines], color=f'C{number // lines}', label=name,
    )
  axes.axline((1, 1), (2, 2), color='k', lw=0.8, label='ideal')
  axes.set_yscale('log', base=2)
  axes.yaxis.set_major_formatter('{x:g}')
  axes.set_ylabel('speed-up, nothing trained ahead')


def _draw_overlaps(axes: Axes, case: Results, color: str) -> None:
  """Speed-up per worker against workers, a line for each overlap."""
  for line, (overlap, runs) in zip(LINES, case['runs'].items(), strict=True):
    axes.plot(
        list(map(int, runs)), [run['efficiency'] for run in runs.values()],
        line, color=color, label=f'{_name(case)}: {overlap}',
    )


def _draw_layers(axes: Axes, case: Results, color: str) -> None:
  """Idle workers by layer, a line for each overlap."""
  for line, (overlap, runs) in zip(LINES, case['runs'].items(), strict=True):
    idle = runs[str(DETAILED)]['idle_by_layer']
    axes.plot(
        list(map(int, idle)), [100 * share for share in idle.values()], line,
        color=color, marker='.', label=f'{_name(case)}: {overlap}',
    )


_FLAGS = flags.FLAGS


def _define_flags() -> None:
  """Defines them for this program alone: others import this module."""
  flags.DEFINE_enum(
      'mode', 'simulate', ['simulate', 'report'], 'Simulates or shows results.'
  )
  cli.define_path(
      'output', 'Where the results are written.',
      default='docs/results/workers',
  )
  flags.DEFINE_string(
      'cases', '', 'Regular expression; only cases whose names match.'
  )
  flags.DEFINE_integer(
      'largest', max(SHOWN), 'Workers at most; 1, 2, 4, ... are simulated.',
      max(SHOWN),
  )
  flags.DEFINE_float(
      'start', Times.start, 'Compilation, in trainings of the default network.',
      0,
  )
  flags.DEFINE_bool(
      'hidden', Times.hidden, 'Compile during the previous training.'
  )
  flags.DEFINE_float(
      'jitter', Times.jitter,
      "Standard deviation of the logarithm of trainings' times.", 0
  )
  flags.DEFINE_integer('seed', 0, 'Of rewards and times.', 0)


def main() -> None:
  """Simulates all cases, or reads what is stored, and prints the tables."""
  output = pathlib.Path(_FLAGS.output)
  path = output / 'workers.json.gz'
  if _FLAGS.mode == 'simulate':
    results = _simulate()
    output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1) + '\n'
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    save_plot(results, output / 'workers.png')
  print(*tables(read(path)), sep='\n\n')


def _simulate() -> dict[str, Any]:
  times = Times(
      start=_FLAGS.start, hidden=_FLAGS.hidden, jitter=_FLAGS.jitter,
      seed=_FLAGS.seed,
  )
  counts = [2**power for power in range(_FLAGS.largest.bit_length())]
  found = {}
  for name, case in CASES.items():
    if re.search(_FLAGS.cases, name):
      print(name, flush=True)
      found[name] = case_runs(case, times, counts)
  return {'times': dataclasses.asdict(times), 'cases': found}


def read(path: pathlib.Path) -> dict[str, Any]:
  """Content of a workers.json.gz."""
  return json.loads(gzip.decompress(path.read_bytes()))


if __name__ == '__main__':
  _define_flags()
  cli.run(main)
