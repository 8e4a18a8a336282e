"""What the environments of users set: harmless, or one line."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests import tiny


def _run(
    environment: dict[str, str], *command: str
) -> subprocess.CompletedProcess:
  return subprocess.run(
      [sys.executable, *command], cwd=tiny.ROOT, capture_output=True, text=True,
      env=os.environ | {'PYTHONPATH': '.'} | environment,
  )


def _search(
    workdir: pathlib.Path, environment: dict[str, str]
) -> subprocess.CompletedProcess:
  return _run(
      environment, 'experiments/search.py', '--config=tests/tiny.py',
      f'--workdir={workdir}',
  )


@pytest.mark.parametrize(('name', 'value', 'parts'), [
    ('JAX_PLATFORMS', 'cuda', ['allowed here are cpu']),
    ('XLA_FLAGS', '--xla_fly=true', ['Unknown flag', 'installed XLA']),
    *(pytest.param(*case, marks=pytest.mark.long) for case in (
        ('JAX_PLATFORMS', 'nonsense',
         ['not in the list of known', 'here are cpu']),
        ('JAX_ENABLE_X64', 'perhaps', ['truth value', 'what JAX documents']),
        ('JAX_NUM_CPU_DEVICES', 'two', ['Invalid value', 'what JAX documents']),
        ('XLA_FLAGS', 'nothing', ['Could not open file', 'installed XLA']),
    )),
])
def test_wrong_variables_are_one_line(
    tmp_path: pathlib.Path, name: str, value: str, parts: list[str]
) -> None:
  done = _search(tmp_path / 'run', {name: value})
  assert done.returncode == 2
  assert done.stderr.count('\n') == 1, done.stderr
  start = f"error: environment variable {name}: '{value}': "
  assert done.stderr.startswith(start)
  for part in parts:
    assert part in done.stderr
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('backend', [
    'module://matplotlib_inline.backend_inline',
    pytest.param('nonsense', marks=pytest.mark.long),
])
def test_the_backend_of_a_notebook(
    tmp_path: pathlib.Path, backend: str
) -> None:
  done = _run(
      {'MPLBACKEND': backend}, 'experiments/audit.py',
      '--config=configs/study/audit.py:smoke', f'--workdir={tmp_path}/run',
      '--config.top=1',
  )
  assert (done.returncode, done.stderr) == (0, '')
  assert (tmp_path / 'run/audit.png').exists()


_PROGRAM = """
import os, sys, warnings
from layernas.runs import cli
def main():
  warnings.warn('a note')
  print('Größe', '★', os.environ['MPLBACKEND'])
sys.argv = ['program']
cli.run(main)
"""


def test_terminals_without_letters_and_warnings_as_errors() -> None:
  done = _run(
      {'PYTHONIOENCODING': 'ascii', 'PYTHONWARNINGS': 'error',
       'COLUMNS': 'abc', 'TERM': 'dumb', 'MPLBACKEND': 'x'},
      '-c', _PROGRAM,
  )
  assert (done.returncode, done.stderr) == (0, '')
  assert done.stdout == 'Gr\\xf6\\xdfe \\u2605 agg\n'


def test_pictures_leave_a_notebook_its_backend() -> None:
  done = _run({}, '-c', """
import matplotlib
matplotlib.use('svg')
from layernas.reports import plots, trace_plot
from layernas.study import run_audit, study_plots
plots.subplots(figsize=(1, 1))
print(matplotlib.get_backend())
""")
  assert done.stdout == 'svg\n', done.stderr
