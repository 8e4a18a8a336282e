"""Studies run without the training half, and their workers without plots."""

import subprocess
import sys

import pytest

_TRAINING = ('jax', 'flax', 'optax', 'orbax', 'tensorflow')
_PLOTS = ('matplotlib', 'scipy', 'optuna')


@pytest.mark.parametrize(('modules', 'absent'), [
    (('run_study', 'run_audit', 'trace_run'), _TRAINING),
    (('run',), (*_TRAINING, *_PLOTS)),
])
def test_what_is_not_imported(modules, absent):
  names = ', '.join(f'layernas.study.{name}' for name in modules)
  done = subprocess.run(
      [sys.executable, '-c', f'import sys, {names}; print(*sys.modules)'],
      capture_output=True, text=True, check=True,
  )
  assert not set(done.stdout.split()) & set(absent)
