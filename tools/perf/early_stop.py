"""Measures what early stop changes in the embedded search: winner and time.

  .venv/bin/python tools/perf/early_stop.py --seeds=3
  .venv/bin/python tools/perf/early_stop.py --seeds=3 --report

For each seed it searches the space cifar10_small by the schedule sweep, without
early stop and with each fraction and margin; the reward is the accuracy, and
all else is that of configs/cifar10_small.py. Searches run one after the other,
each in a process of its own. All take their programs from one cache, which an
unrecorded first search has filled, so that compilation costs none of them
anything. The same command continues with the searches that are missing in
early_stop.json.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

import jax
from absl import flags

from layernas.errors import UserError
from layernas.runs import cli
from layernas.runs.run_search import run_search
from tools.perf import small_search
from tools.perf.machine import machine


def table(searches: dict[str, Any]) -> str:
  """Makes the table of docs/configs.md, with a row for each search.

  Args:
    searches: as in early_stop.json.

  Returns:
    Markdown without a newline at the end.
  """
  lines = [
      '| seed | fraction | margin | trials | stopped | seconds in trials | wall'
      ' time / without | reward | MAdds | same winner |',
      '|---|---|---|---:|---:|---:|---:|---:|---:|---|',
  ]
  for key, one in searches.items():
    seed, fraction, margin = key.split(',')
    plain = searches[f'{seed},0,0']
    reward = '-' if one['reward'] is None else f'{one["reward"]:.4f}'
    cost = '-' if one['cost'] is None else f'{one["cost"]:,}'
    same = 'yes' if one['winner'] == plain['winner'] else 'no'
    if fraction == '0' or not plain['winner']:
      same = '-'
    ratio = one['wall_seconds'] / plain['wall_seconds']
    point = 'off | -' if fraction == '0' else f'{fraction} | {margin}'
    lines.append(
        f'| {seed} | {point} |'
        f' {one["trials"]} | {one["stopped"]} | {one["seconds_in_trials"]:.1f}'
        f' | {ratio:.2f} | {reward} | {cost} | {same} |'
    )
  return '\n'.join(lines)


_FLAGS = flags.FLAGS


def _define_flags() -> None:
  """Defines them for this program alone: others import this module."""
  cli.define_path(
      'output', 'Where the results are written.',
      default='docs/results/early_stop',
  )
  cli.define_path(
      'cache', 'Compiled programs of all searches.',
      default='workdir/early_stop_cache',
  )
  flags.DEFINE_integer('seeds', 3, 'Seeds, from 0.', 1)
  flags.DEFINE_list('fractions', ['0.5', '0.25'], 'Early points.')
  flags.DEFINE_list('margins', ['0', '0.02', '0.05'], 'Margins.')
  flags.DEFINE_integer('trials', 0, 'Trials at most; 0 = all.', 0)
  flags.DEFINE_float(
      'epochs', 0.0, 'Of a candidate; 0 = one.', 0.0
  )
  flags.DEFINE_bool('report', False, 'Print the table and end.')
  flags.DEFINE_string(
      'one', '', 'Runs one search in this process: seed,fraction,margin.'
  )


def main() -> None:
  """Runs the searches that are missing and prints the table."""
  if _FLAGS.one:
    print(json.dumps(_search(*_FLAGS.one.split(','))))
    return
  path = pathlib.Path(_FLAGS.output) / 'early_stop.json'
  path.parent.mkdir(parents=True, exist_ok=True)
  pathlib.Path(_FLAGS.cache).mkdir(parents=True, exist_ok=True)
  settings = {'trials': _FLAGS.trials, 'epochs': _FLAGS.epochs}
  found = json.loads(path.read_text()) if path.exists() else {
      'settings': settings, 'searches': {},
  }
  if found['settings'] != settings:
    raise UserError(
        f'file {path}: its searches have the settings {found["settings"]}, and'
        f' the flags give {settings}: allowed are the same, or another --output'
    )
  for key in [] if _FLAGS.report else _keys():
    if key in found['searches']:
      continue
    if not pathlib.Path(_FLAGS.cache, f'filled_{_seed(key)}').exists():
      # A search without early stop meets nearly all networks.
      _run(f'{_seed(key)},0,0')
      pathlib.Path(_FLAGS.cache, f'filled_{_seed(key)}').touch()
    found['searches'][key] = _run(key)
    found['machine'] = machine(jax=jax.__version__)
    path.write_text(json.dumps(found, indent=1) + '\n')
    print(key, found['searches'][key], flush=True)
  print(table(found['searches']))


def _keys() -> list[str]:
  """All searches as seed,fraction,margin; 0,0 is the one without stops."""
  kinds = ['0,0', *(
      f'{fraction},{margin}'
      for fraction in _FLAGS.fractions for margin in _FLAGS.margins
  )]
  return [f'{seed},{kind}' for seed in range(_FLAGS.seeds) for kind in kinds]


def _seed(key: str) -> str:
  return key.partition(',')[0]


def _run(key: str) -> dict[str, Any]:
  """Runs a search in a process of its own."""
  done = subprocess.run(
      [sys.executable, __file__, f'--one={key}',
       f'--trials={_FLAGS.trials}', f'--epochs={_FLAGS.epochs}'],
      env=os.environ | {'JAX_COMPILATION_CACHE_DIR': _FLAGS.cache},
      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
  )
  return json.loads(done.stdout.splitlines()[-1])


def _search(seed: str, fraction: str, margin: str) -> dict[str, Any]:
  config = small_search.get_config()
  config.seed = int(seed)
  config.early_stop.fraction = float(fraction)
  config.early_stop.margin = float(margin)
  config.budget.trials = _FLAGS.trials
  config.training.epochs = _FLAGS.epochs or 1.0
  config.training.warmup_epochs = 0.2 * config.training.epochs
  with tempfile.TemporaryDirectory() as workdir:
    begun = time.monotonic()
    result = run_search(config.lock(), workdir)
    whole = time.monotonic() - begun
  winner = result['winner'] or {}
  return {
      'trials': sum(result['trials'].values()),
      'stopped': result['trials'].get('stopped', 0),
      'seconds_in_trials': round(result['seconds'], 2),
      'wall_seconds': round(whole, 2),
      'winner': winner.get('architecture'), 'reward': winner.get('reward'),
      'cost': winner.get('cost'),
  }


if __name__ == '__main__':
  _define_flags()
  cli.run(main)
