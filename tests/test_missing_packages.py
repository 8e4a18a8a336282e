"""Commands that first need a package which is not installed."""

import os
import pathlib
import re
import sys

import pytest

from layernas import errors
from tests import tiny

_STUDY = 'benchmark', '--config=tests/study/study_config.py'

_COMMANDS = {
    'ray': (
        ('search', '--config=tests/tiny.py', '--config.executor.name=ray'),
        "executor.name: 'ray': Ray", 'ray',
    ),
    'gcsfs': (
        ('search', '--config=tests/tiny.py', '--workdir=gs://bucket/run'),
        'a path on gs://: gcsfs', 'gcsfs google-cloud-storage',
    ),
    'tensorflow': (
        ('search', '--config=tests/tiny.py', '--config.data.source=tfds'),
        "data.source: 'tfds': TensorFlow",
        ' tensorflow-datasets importlib_resources',
    ),
    'optuna': (
        (*_STUDY, '--config.methods.random.kind=optuna'),
        'methods.random: method optuna: Optuna', 'optuna',
    ),
    'smac': (
        (*_STUDY, '--config.methods.random.kind=smac'),
        'methods.random: method smac: SMAC3', 'smac',
    ),
}
"""Module -> a command that asks for it, how its error begins, and what is to be
installed."""


@pytest.mark.long
@pytest.mark.parametrize('module', _COMMANDS)
def test_a_missing_package_is_one_line_with_a_command(
    tmp_path: pathlib.Path, module: str
) -> None:
  (name, *flags), begin, packages = _COMMANDS[module]
  if not any(flag.startswith('--workdir') for flag in flags):
    flags.append(f'--workdir={tmp_path}/run')
  done = tiny.run_without([module], name, *flags)
  [line] = done.stderr.splitlines()
  assert done.returncode == 2
  assert line.startswith(f'error: {begin}')
  assert re.search(rf' install \S*{packages}$', line)
  assert 'is not installed; allowed where it is: ' in line
  assert not (tmp_path / 'run').exists()


def test_the_command_is_that_of_this_environment(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr(sys, 'prefix', str(tmp_path / '.venv'))
  monkeypatch.chdir(tmp_path)

  def said() -> str:
    return str(errors.not_installed('field', 'It', 'one', 'two'))

  begin = 'field: It is not installed; allowed where it is: '
  assert said() == f'{begin}{sys.executable} -m pip install one two'
  pip = tmp_path / '.venv' / 'bin' / 'pip'
  pip.parent.mkdir(parents=True)
  pip.touch()
  inside = os.path.join('.venv', 'bin', 'pip')
  assert said() == f'{begin}{inside} install one two'
  (tmp_path / 'elsewhere').mkdir()
  monkeypatch.chdir('elsewhere')
  assert said() == f'{begin}{pip} install one two'
