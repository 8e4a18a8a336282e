"""What early stop does to the embedded search: its winner and its time.

  PYTHONPATH=. python tools/perf/early_stop.py --seeds=3
  PYTHONPATH=. python tools/perf/early_stop.py --seeds=3 --report

Searches configs/cifar10_small.py for each seed without early stop and with each
fraction and margin, one after the other and each in a process of its own. All
take their programs from one cache, which a first search that is not recorded
has filled: what is compiled costs all of them alike nothing. The same command
goes on with the searches that are missing in early_stop.json.
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
from absl import app
from absl import flags

from configs import cifar10_small
from layernas.runs.run_search import run_search
from tools.perf import early_stop_report
from tools.perf.machine import machine

_OUTPUT = flags.DEFINE_string(
    'output', 'docs/results/early_stop', 'Where the results are written.'
)
_CACHE = flags.DEFINE_string(
    'cache', 'workdir/early_stop_cache', 'Compiled programs of all searches.'
)
_SEEDS = flags.DEFINE_integer('seeds', 3, 'Seeds, from 0.', 1)
_FRACTIONS = flags.DEFINE_list('fractions', ['0.5', '0.25'], 'Early points.')
_MARGINS = flags.DEFINE_list('margins', ['0', '0.02', '0.05'], 'Margins.')
_TRIALS = flags.DEFINE_integer('trials', 0, 'Trials at most; 0 = all.', 0)
_EPOCHS = flags.DEFINE_float(
    'epochs', 0.0, "Of a candidate; 0 = the config's.", 0.0
)
_REPORT = flags.DEFINE_bool('report', False, 'Print the table and end.')
_ONE = flags.DEFINE_string('one', '', 'One search: seed,fraction,margin; ours.')


def main(argv: list[str]) -> None:
  """Runs the searches that are missing and prints the table."""
  del argv
  if _ONE.value:
    print(json.dumps(_search(*_ONE.value.split(','))))
    return
  path = pathlib.Path(_OUTPUT.value) / 'early_stop.json'
  path.parent.mkdir(parents=True, exist_ok=True)
  pathlib.Path(_CACHE.value).mkdir(parents=True, exist_ok=True)
  settings = {'trials': _TRIALS.value, 'epochs': _EPOCHS.value}
  found = json.loads(path.read_text()) if path.exists() else {
      'settings': settings, 'searches': {},
  }
  if found['settings'] != settings:
    raise app.UsageError(f'{path}: of {found["settings"]}, not {settings}')
  for key in [] if _REPORT.value else _keys():
    if key in found['searches']:
      continue
    if not pathlib.Path(_CACHE.value, f'filled_{_seed(key)}').exists():
      # A search without early stop meets all networks but few.
      _run(f'{_seed(key)},0,0')
      pathlib.Path(_CACHE.value, f'filled_{_seed(key)}').touch()
    found['searches'][key] = _run(key)
    found['machine'] = machine(jax=jax.__version__)
    path.write_text(json.dumps(found, indent=1) + '\n')
    print(key, found['searches'][key], flush=True)
  print(early_stop_report.table(found['searches']))


def _keys() -> list[str]:
  """All searches as seed,fraction,margin; 0,0 is the one without."""
  kinds = ['0,0', *(
      f'{fraction},{margin}'
      for fraction in _FRACTIONS.value for margin in _MARGINS.value
  )]
  return [f'{seed},{kind}' for seed in range(_SEEDS.value) for kind in kinds]


def _seed(key: str) -> str:
  return key.partition(',')[0]


def _run(key: str) -> dict[str, Any]:
  """One search in a process of its own."""
  done = subprocess.run(
      [sys.executable, __file__, f'--one={key}',
       f'--trials={_TRIALS.value}', f'--epochs={_EPOCHS.value}'],
      env=os.environ | {'JAX_COMPILATION_CACHE_DIR': _CACHE.value},
      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
  )
  return json.loads(done.stdout.splitlines()[-1])


def _search(seed: str, fraction: str, margin: str) -> dict[str, Any]:
  config = cifar10_small.get_config().unlock()
  config.seed = int(seed)
  config.early_stop.fraction = float(fraction)
  config.early_stop.margin = float(margin)
  config.budget.trials = _TRIALS.value
  config.training.epochs = _EPOCHS.value or config.training.epochs
  config.training.warmup_epochs *= (
      config.training.epochs / cifar10_small.get_config().training.epochs
  )
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
  app.run(main)
