"""What the environments of users set: harmless, or one line."""

import json
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


@pytest.mark.long
@pytest.mark.parametrize('backend', [
    'module://matplotlib_inline.backend_inline', 'nonsense',
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


@pytest.mark.long
@pytest.mark.parametrize(('name', 'value'), [
    ('JAX_ENABLE_X64', 'True'), ('JAX_DISABLE_JIT', '1'),
    ('JAX_NUMPY_DTYPE_PROMOTION', 'strict'),
    ('JAX_NUMPY_RANK_PROMOTION', 'raise'),
])
def test_variables_that_would_train_otherwise_are_left_out(
    tmp_path: pathlib.Path, plain_trials: list[float], name: str, value: str
) -> None:
  done = _search(tmp_path / 'run', {name: value})
  assert done.returncode == 0, done.stderr
  assert done.stderr.startswith(
      f"environment variable {name}: '{value}' is left out: "
  )
  assert done.stderr.count('\n') == 1
  assert _rewards(tmp_path / 'run') == plain_trials


@pytest.fixture(scope='module')
def plain_trials(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
  """Rewards of a search in an environment without such variables."""
  workdir = tmp_path_factory.mktemp('plain') / 'run'
  assert not _search(workdir, {}).returncode
  return _rewards(workdir)


def _rewards(workdir: pathlib.Path) -> list[float]:
  lines = (workdir / 'trials.jsonl').read_text().splitlines()
  return [json.loads(line)['reward'] for line in lines]


def test_a_variable_that_is_left_out_is_said() -> None:
  code = """
import os, sys
from layernas.runs import cli
sys.argv = ['program']
cli.run(lambda: print(os.environ.get('JAX_ENABLE_X64')))
"""
  done = _run({'JAX_ENABLE_X64': '1'}, '-c', code)
  assert (done.returncode, done.stdout) == (0, 'None\n')
  assert done.stderr == (
      "environment variable JAX_ENABLE_X64: '1' is left out: networks are"
      ' trained in 32 bits\n'
  )
  done = _run({'JAX_ENABLE_X64': '0'}, '-c', code)
  assert (done.stdout, done.stderr) == ('0\n', '')


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


_DRAWING = """
import sys
from layernas.runs import cli
def main():
  from layernas.reports import plots
  figure, axes = plots.subplots(figsize=(1, 1))
  axes.set_title('a title')
  plots.save_picture(figure, file)
  print('drawn')
file = sys.argv.pop()
cli.run(main)
"""


@pytest.mark.parametrize('name', ['MPLCONFIGDIR', 'XDG_CONFIG_HOME', 'HOME'])
def test_a_directory_of_settings_that_cannot_be_made(
    tmp_path: pathlib.Path, name: str
) -> None:
  done = _run({name: '/proc/none'}, '-c', _DRAWING, str(tmp_path / 'a.png'))
  assert (done.returncode, done.stdout, done.stderr) == (0, 'drawn\n', '')
  assert (tmp_path / 'a.png').stat().st_size


@pytest.mark.long
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
