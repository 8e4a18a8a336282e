"""Studies run without the training half, and their workers without plots."""

import subprocess
import sys

import pytest

_TRAINING = ('jax', 'flax', 'optax', 'orbax', 'tensorflow')
_PLOTS = ('matplotlib', 'scipy', 'optuna')


@pytest.mark.parametrize(('module', 'absent'), [
    ('layernas.study.run_study', _TRAINING),
    ('layernas.study.run_audit', _TRAINING),
    ('layernas.study.trace_run', _TRAINING),
    ('layernas.study.run', (*_TRAINING, *_PLOTS)),
])
def test_what_is_not_imported(module, absent):
  program = f'import sys, {module}; print(*sys.modules)'
  done = subprocess.run(
      [sys.executable, '-c', program], capture_output=True, text=True,
      check=True,
  )
  assert not set(done.stdout.split()) & set(absent)
