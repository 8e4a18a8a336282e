"""Measures the wall time of a search's candidates and of two other loops.

  .venv/bin/pip install -r tools/perf/requirements.txt
  .venv/bin/python tools/perf/candidates.py --mode=all
  .venv/bin/python tools/perf/candidates.py --mode=whole

The loops are in candidate_loops.py and torch_loop.py. Each mode writes JSON
files to OUTPUT/WORKLOAD:
  ours    the search, stopped after its first candidates, with a cache of its
          own; then again in a new workdir with the same cache, where it must
          compile nothing
  naive   the same networks in the plain loop, without a cache
  torch   the same networks in PyTorch
  report  prints the stored results as Markdown and draws candidates.png
  all     ours, naive, torch and report
  whole   the search to its end, starting with an empty cache
Every measurement runs in a process of its own, one after the other. The machine
must be idle otherwise.
"""

import importlib
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import flags
from absl import logging
from ml_collections import ConfigDict

from layernas.errors import UserError
from layernas.networks.mobilenet_spaces import block_layer
from layernas.networks.reference import mobilenet_v3_large
from layernas.networks.space import NetworkSpace
from layernas.reports.plots import subplots
from layernas.runs import cli
from layernas.study.report import table_text
from layernas.study.report_tables import Table
from tools.perf import candidate_loops
from tools.perf import small_search
from tools.perf.candidate_loops import PARTS
from tools.perf.candidate_loops import training_images
from tools.perf.train_step import make_case

WORKLOADS = ('cifar10_small', 'mobilenet_v3_large_224')


def make_config(
    workload: str, trials: int = 0, compile_ahead: int = 2, steps: int = 0
) -> ConfigDict:
  """The config of a workload's search.

  Args:
    workload: one of `WORKLOADS`.
    trials: number of first trials; 0 = all.
    compile_ahead: the config's field.
    steps: of each training; 0 = as many as the workload has.

  Returns:
    A locked config.
  """
  if workload == 'cifar10_small':
    config = small_search.get_config()
  else:
    config = _mobilenet_v3_large_224()
  config.budget.trials = trials
  config.compile_ahead = compile_ahead
  if steps:
    training = config.training
    epochs = steps / (training_images(config.data) // training.batch_size)
    training.warmup_epochs *= epochs / training.epochs
    training.epochs = epochs
  return config.lock()


def mobilenet_v3_space() -> NetworkSpace:
  """MobileNetV3-Large, and two networks with another last block."""
  return NetworkSpace(
      mobilenet_v3_large(),
      (block_layer(14, ((5, 960), (3, 960), (5, 640)), (5, 960)),),
  )


def _mobilenet_v3_large_224() -> ConfigDict:
  """Three candidates: 49 steps each, 200 images to evaluate on."""
  case = make_case('mobilenet_v3_large_224')
  config = case.config
  config.space = 'tools.perf.candidates:mobilenet_v3_space'
  config.search.schedule = 'sweep'
  config.reference.trainings = 0
  config.data.image_size = case.image_size
  config.data.validation_share = 0.02
  training = config.training
  training.epochs = 0.04
  training.warmup_epochs = 0.0
  # The rate of MobileNetV3's recipe.
  training.learning_rate = 0.016
  training.evaluation_batch_size = 50
  # The other loops save the state once as well.
  training.checkpoint_every_steps = 40
  return config


Systems = Mapping[str, Mapping[str, Any]]
"""Measurements by name, see `LABELS`."""

LABELS = {
    'naive': 'plain loop', 'torch': 'PyTorch', 'ours': 'ours',
    'ours_second_run': 'ours, second run', 'ours_not_ahead': 'ours, not ahead',
    'ours_second_run_not_ahead': 'ours, second run, not ahead',
}
WHOLE_SEARCH = 'whole_search'
"""Name of the search to its end, which has no row but a sentence."""


def read_systems(output: pathlib.Path) -> dict[str, Any]:
  """Reads all measurements of a workload.

  Args:
    output: directory of the workload.

  Returns:
    Measurements by name: those of `LABELS` in that order, then `WHOLE_SEARCH`.

  Raises:
    UserError: ours is missing, or the measurements cannot be compared.
  """
  ours = read_one(output, 'ours')
  systems = {
      name: read_one(output, name) for name in (*LABELS, WHOLE_SEARCH)
      if (output / f'{name}.json').exists()
  }
  images = {one['architecture']: one['images'] for one in ours['candidates']}
  for name, found in systems.items():
    for fact in ('processor', 'cores'):
      if found['machine'][fact] != ours['machine'][fact]:
        raise UserError(
            f'{output}/{name}.json: {fact} {found["machine"][fact]!r}: allowed'
            f' is that of ours.json, {ours["machine"][fact]!r}; measure anew'
        )
    for one in found['candidates']:
      if one['images'] != images.get(one['architecture'], one['images']):
        raise UserError(
            f'{output}/{name}.json: {one["architecture"]}: trained on'
            f' {one["images"]} images: allowed are as many as in ours.json,'
            f' {images[one["architecture"]]}; measure anew'
        )
  return systems


def read_one(output: pathlib.Path, name: str) -> dict[str, Any]:
  """Reads one measurement.

  Args:
    output: directory of the workload.
    name: of the file, without `.json`.

  Returns:
    Its content.

  Raises:
    UserError: it is missing.
  """
  path = output / f'{name}.json'
  if not path.exists():
    raise UserError(f'{path}: no such file: --mode={name} comes first')
  return json.loads(path.read_text())


def report_text(systems: Systems) -> str:
  """Makes the table of all systems and its notes.

  Args:
    systems: as `read_systems` gives them.

  Returns:
    Markdown without a newline at the end.
  """
  ours = systems['ours']
  compared = {name: systems[name] for name in LABELS if name in systems}
  table = Table(
      '', ('', *PARTS, 'sum', 'images/s', 'images/s in training', 'waiting',
           'compiled', 'ours is faster by'),
      tuple(
          (LABELS[name], *_cells(found, ours))
          for name, found in compared.items()
      ),
  )
  return '\n\n'.join([table_text(table), ' '.join(_notes(systems))])


def waiting(found: Mapping[str, Any]) -> float:
  """Seconds that all candidates waited for tracing and compilation."""
  return sum(
      one['seconds'].get('trace', 0.0) + one['seconds'].get('compile', 0.0)
      for one in found['candidates']
  )


def _seconds(candidate: Mapping[str, Any]) -> float:
  return sum(candidate['seconds'].values())


def _share_waiting(found: Mapping[str, Any]) -> float:
  return waiting(found) / sum(map(_seconds, found['candidates']))


def _cells(found: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
  """Medians over the candidates; ratios are those of one candidate each."""
  candidates = found['candidates']
  known = {part for one in candidates for part in one['seconds']}
  wholes = list(map(_seconds, candidates))
  own = {one['architecture']: _seconds(one) for one in ours['candidates']}
  ratios = [
      whole / own[one['architecture']]
      for one, whole in zip(candidates, wholes, strict=True)
      if one['architecture'] in own
  ]
  return [
      *(f'{_median(one["seconds"].get(part, 0.0) for one in candidates):.2f}'
        if part in known else '' for part in PARTS),
      f'{statistics.median(wholes):.2f}',
      f'{_median(one["images"] / _seconds(one) for one in candidates):.0f}',
      f'{_median(_training_rate(one) for one in candidates):.0f}',
      f'{_share_waiting(found):.1%}', str(found.get('compilations', '')),
      '' if found is ours else
      f'{statistics.median(ratios):.2f} ({min(ratios):.2f} to'
      f' {max(ratios):.2f})',
  ]


def _training_rate(candidate: Mapping[str, Any]) -> float:
  return candidate['images'] / candidate['seconds']['train']


def _median(values: Any) -> float:
  return statistics.median(list(values))


def _notes(systems: Systems) -> list[str]:
  ours = systems['ours']
  where = ours['machine']
  notes = [
      f'Seconds a candidate, medians of {len(ours["candidates"])};'
      f' {where["cores"]} cores of {where["processor"]}.'
  ]
  if 'naive' in systems:
    notes.append(
        f'The plain loop ran {systems["naive"]["naive_steps"]} steps of each'
        ' training, whose time is scaled up to all.'
    )
  if whole := systems.get(WHOLE_SEARCH):
    seconds, waited = whole['whole_seconds'], waiting(whole)
    notes.append(
        f'The whole search, nothing compiled before: {len(whole["candidates"])}'
        f' trainings and {whole["compilations"]} compilations in'
        f' {seconds:.0f} s, of which {waited:.1f} s ({waited / seconds:.1%})'
        ' were spent waiting for compilation.'
    )
  return notes


def save_picture(systems: Systems, path: pathlib.Path) -> None:
  """Draws a bar for each candidate, split into the parts of its time.

  Args:
    systems: as `read_systems` gives them.
    path: of the PNG file.
  """
  figure, panels = subplots(
      1, len(systems), figsize=(3.2 * len(systems), 3.4),
      squeeze=False,
  )
  for axes, (name, found) in zip(panels[0], systems.items(), strict=True):
    places = np.arange(len(found['candidates']))
    bottom = np.zeros(len(places))
    for part in PARTS:
      seconds = np.array([
          one['seconds'].get(part, 0.0) for one in found['candidates']
      ])
      axes.bar(places, seconds, bottom=bottom, label=part)
      bottom += seconds
    axes.set_title(LABELS.get(name, 'whole search'))
    axes.set_xlabel('candidate')
  panels[0][0].set_ylabel('seconds')
  panels[0][-1].legend(fontsize='small')
  figure.savefig(path, dpi=130)


_FLAGS = flags.FLAGS


def _define_flags() -> None:
  """Defines them for this program alone: others import this module."""
  flags.DEFINE_enum(
      'workload', WORKLOADS[0], WORKLOADS, 'What is searched.'
  )
  cli.define_path(
      'output',
      'Where the results are written, in a directory of the workload.',
      default='docs/results/candidates',
  )
  flags.DEFINE_enum(
      'mode', 'report', ['all', 'ours', 'naive', 'torch', 'report', 'whole'],
      'What is measured.',
  )
  flags.DEFINE_integer(
      'candidates', 8, 'Candidates at most; 0 = all of the search.', 0
  )
  flags.DEFINE_integer(
      'compile_ahead', 2, "The config's field; 0 waits for every compilation.",
      0,
  )
  flags.DEFINE_integer(
      'steps', 0, 'Of each training; 0 = as many as the workload has.', 0
  )
  flags.DEFINE_integer(
      'naive_steps', 10, 'Of each training in the plain loop.', 2
  )
  flags.DEFINE_enum(
      'run', '', ['', 'ours', 'naive', 'torch'],
      'Measures in this process and prints the result.',
  )


def main() -> None:
  """Runs one mode."""
  output = pathlib.Path(_FLAGS.output) / _FLAGS.workload
  if _FLAGS.run:
    logging.set_verbosity(logging.WARNING)
    print(json.dumps(_run(output)))
    return
  output.mkdir(parents=True, exist_ok=True)
  if _FLAGS.mode == 'all':
    for mode in ('ours', 'naive', 'torch', 'report'):
      _MODES[mode](output)
  else:
    _MODES[_FLAGS.mode](output)


def _ours(output: pathlib.Path) -> None:
  """Measures a first run, and a second one with its cache."""
  suffix = '' if _FLAGS.compile_ahead else '_not_ahead'
  with tempfile.TemporaryDirectory() as cache:
    for name in ('ours', 'ours_second_run'):
      _measure(output, name + suffix, 'ours', JAX_COMPILATION_CACHE_DIR=cache)


def _whole(output: pathlib.Path) -> None:
  """Measures all trials of the search."""
  with tempfile.TemporaryDirectory() as cache:
    _measure(
        output, WHOLE_SEARCH, 'ours', '--candidates=0',
        JAX_COMPILATION_CACHE_DIR=cache,
    )


def _naive(output: pathlib.Path) -> None:
  _measure(output, 'naive', 'naive', JAX_ENABLE_COMPILATION_CACHE='false')


def _torch(output: pathlib.Path) -> None:
  if importlib.util.find_spec('torch') is None:
    raise UserError(
        "--mode=torch: no module named 'torch'; pip install -r"
        ' tools/perf/requirements.txt first'
    )
  _measure(output, 'torch', 'torch')


def _report(output: pathlib.Path) -> None:
  systems = read_systems(output)
  print(report_text(systems))
  save_picture(systems, output / 'candidates.png')


_MODES = {
    'ours': _ours, 'naive': _naive, 'torch': _torch, 'whole': _whole,
    'report': _report,
}


def _measure(
    output: pathlib.Path, name: str, run: str, *more: str, **environment: str
) -> None:
  """Measures in a process of its own and writes NAME.json."""
  done = subprocess.run(
      # The last one counts if a flag is given twice.
      [sys.executable, __file__, *sys.argv[1:], f'--run={run}', *more],
      env=os.environ | environment, stdout=subprocess.PIPE, text=True,
      check=False,
  )
  if done.returncode:
    sys.exit(f'{name}: ended with exit code {done.returncode}')
  found: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
  text = json.dumps(
      {**found, 'load_at_end': round(os.getloadavg()[0], 2)}, indent=1
  )
  (output / f'{name}.json').write_text(text + '\n')
  print(f'{name}: {len(found["candidates"])} candidates', flush=True)


def _run(output: pathlib.Path) -> dict[str, Any]:
  """Measures in this process."""
  config = make_config(
      _FLAGS.workload, _FLAGS.candidates, _FLAGS.compile_ahead, _FLAGS.steps
  )
  if _FLAGS.run == 'ours':
    return candidate_loops.measure_search(config)
  candidates = read_one(output, 'ours')['candidates']
  if _FLAGS.run == 'naive':
    return candidate_loops.measure_plain_loop(
        config, candidates, _FLAGS.naive_steps
    )
  # PyTorch may be missing, and its threads must not start beside JAX's.
  loop = importlib.import_module('tools.perf.torch_loop')
  return loop.measure(config, candidates)


if __name__ == '__main__':
  _define_flags()
  cli.run(main)
