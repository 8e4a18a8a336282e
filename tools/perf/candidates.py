"""Wall time of a search's candidates, beside a plain loop and beside PyTorch.

  pip install -r tools/perf/requirements.txt
  PYTHONPATH=. python tools/perf/candidates.py --mode=all
  PYTHONPATH=. python tools/perf/candidates.py --mode=whole

Modes, each of which writes JSON files to OUTPUT/WORKLOAD:
  ours    the search, cut to its first candidates, with a cache of its own; then
          again in a new workdir with the same cache, which must compile nothing
  naive   the same networks in tools/perf/plain_loop.py, without a cache
  torch   the same networks in tools/perf/torch_loop.py
  report  prints what was measured as Markdown and draws candidates.png
  all     ours, naive, torch and report
  whole   the search to its end, nothing compiled before
All measure in processes of their own, one after the other. The machine must be
idle otherwise.
"""

import importlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from absl import app
from absl import flags
from absl import logging

from layernas.errors import UserError
from tools.perf import candidates_report
from tools.perf.candidates_picture import save_picture
from tools.perf.workloads import WORKLOADS
from tools.perf.workloads import make_config

_WORKLOAD = flags.DEFINE_enum(
    'workload', WORKLOADS[0], WORKLOADS, 'What is searched.'
)
_OUTPUT = flags.DEFINE_string(
    'output', 'docs/results/candidates',
    'Where the results are written, in a directory of the workload.',
)
_MODE = flags.DEFINE_enum(
    'mode', 'report', ['all', 'ours', 'naive', 'torch', 'report', 'whole'],
    'What is measured.',
)
_CANDIDATES = flags.DEFINE_integer(
    'candidates', 8, 'How many at most; 0 = all of the search.', 0
)
_AHEAD = flags.DEFINE_integer(
    'compile_ahead', 2, "As the config's field; 0 waits for every compilation.",
    0,
)
_STEPS = flags.DEFINE_integer(
    'steps', 0, 'Of each training; 0 = as many as the workload has.', 0
)
_NAIVE_STEPS = flags.DEFINE_integer(
    'naive_steps', 10, 'Of each training in the plain loop.', 2
)
_RUN = flags.DEFINE_enum(
    'run', '', ['', 'ours', 'naive', 'torch'],
    'Measures in this process and prints it; for us.',
)


def main(argv: list[str]) -> None:
  """Runs one mode."""
  del argv
  output = pathlib.Path(_OUTPUT.value) / _WORKLOAD.value
  try:
    if _RUN.value:
      logging.set_verbosity(logging.WARNING)
      print(json.dumps(_run(output)))
      return
    output.mkdir(parents=True, exist_ok=True)
    if _MODE.value == 'all':
      for mode in ('ours', 'naive', 'torch', 'report'):
        _MODES[mode](output)
    else:
      _MODES[_MODE.value](output)
  except UserError as error:
    print(error, file=sys.stderr)
    sys.exit(2)


def _ours(output: pathlib.Path) -> None:
  """A first pass and a second one with its cache."""
  suffix = '' if _AHEAD.value else '_not_ahead'
  with tempfile.TemporaryDirectory() as cache:
    for name in ('ours', 'ours_second_run'):
      _measure(output, name + suffix, 'ours', JAX_COMPILATION_CACHE_DIR=cache)


def _whole(output: pathlib.Path) -> None:
  """All trials of the search."""
  with tempfile.TemporaryDirectory() as cache:
    _measure(
        output, candidates_report.WHOLE_SEARCH, 'ours', '--candidates=0',
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
  systems = candidates_report.read_systems(output)
  print(candidates_report.report_text(systems))
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
      # Of a flag that is given twice the last one counts.
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
      _WORKLOAD.value, _CANDIDATES.value, _AHEAD.value, _STEPS.value
  )
  # One of them needs PyTorch, which is not to start threads beside JAX's.
  if _RUN.value == 'ours':
    return importlib.import_module('tools.perf.our_search').measure(config)
  candidates = candidates_report.read_one(output, 'ours')['candidates']
  if _RUN.value == 'torch':
    loop = importlib.import_module('tools.perf.torch_loop')
    return loop.measure(config, candidates)
  loop = importlib.import_module('tools.perf.plain_loop')
  return loop.measure(config, candidates, _NAIVE_STEPS.value)


if __name__ == '__main__':
  app.run(main)
