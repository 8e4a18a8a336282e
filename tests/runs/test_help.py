"""--help: exit code 0, at once, and every field of the config."""

import os
import subprocess
import sys
import time

import pytest

from configs import cifar10_small
from configs import default
from configs.study import audit
from tests import tiny

_PROGRAMS = sorted(
    path.relative_to(tiny.ROOT)
    for folder in ('experiments', 'tools')
    for path in (tiny.ROOT / folder).glob('*.py')
)
_HEAVY = """
import atexit, sys
heavy = {'jax', 'tensorflow', 'matplotlib', 'scipy', 'orbax'}
def say():
  print(sorted(heavy & sys.modules.keys()), file=sys.stderr)
atexit.register(say)
import runpy
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def _help(*arguments: str) -> subprocess.CompletedProcess:
  return subprocess.run(
      [sys.executable, '-c', _HEAVY, *arguments], cwd=tiny.ROOT,
      env=os.environ | {'PYTHONPATH': '.'}, capture_output=True, text=True,
  )


@pytest.mark.parametrize('program', _PROGRAMS, ids=str)
def test_help_imports_nothing_heavy(program: os.PathLike) -> None:
  begun = time.monotonic()
  done = _help(str(program), '--help')
  assert done.returncode == 0, done.stderr
  # Without other processes beside it: a tenth of a second.
  assert time.monotonic() - begun < 5
  assert done.stderr == '[]\n'
  assert 'Flags:\n  --' in done.stdout
  assert done.stdout.startswith(program.read_text().strip('r"')[:20])
  if program.parent.name == 'experiments':
    assert max(map(len, done.stdout.splitlines())) <= 80


def _names(section: object, prefix: str = '') -> list[str]:
  names = []
  for name, value in section.items():
    if hasattr(value, 'items') and value:
      names += _names(value, f'{prefix}{name}.')
    else:
      names.append(prefix + name)
  return names


def test_help_lists_every_field_with_its_comment() -> None:
  lines = _help('experiments/search.py', '-h').stdout.splitlines()
  rows = {
      line.split('=')[0].strip(): place for place, line in enumerate(lines)
      if '=' in line
  }
  for name in _names(default.get_config()):
    row = lines[rows[name]]
    # Beside it or in the next line.
    comment = row[36:] or lines[rows[name] + 1]
    assert comment.strip(), name
  assert lines[rows['search.guided.batch']] == (
      f'{"  search.guided.batch=5":36}Networks trained between two fits.'
  )
  assert 'final.momentum' in rows
  assert list(rows).index('search.buckets') < list(rows).index('budget.trials')


def test_help_shows_the_values_of_the_config_that_is_named() -> None:
  text = _help(
      'experiments/search.py', '--config=configs/cifar10_small.py', '--help'
  ).stdout
  assert 'Fields of the config configs/cifar10_small.py' in text
  assert f'  target.high={cifar10_small.get_config().target.high} ' in text


def test_help_of_studies() -> None:
  text = _help('experiments/audit.py', '--help').stdout
  for name in audit.get_config():
    assert f'\n  {name}=' in text or f'\n{name}: ' in text
  text = _help('experiments/benchmark.py', '--help').stdout
  assert "\n  benchmarks.NAME.cost=''           Column that is limited" in text
  assert '\n  methods.NAME.kind=layernas        layernas, default, ' in text
  assert 'methods.NAME.settings.buckets=100 H, cost buckets' in text


def test_help_of_a_missing_config() -> None:
  done = _help('experiments/search.py', '--config=nothing.py', '--help')
  assert done.returncode == 2
  assert done.stderr.startswith("error: flag --config: 'nothing.py': no such")
