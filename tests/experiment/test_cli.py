"""One line and exit code 2 for everything that the user got wrong."""

import pathlib
import subprocess
import sys

import pytest

from layernas.errors import Preempted
from layernas.runs import cli
from tests import tiny

_PROGRAM = """
from absl import flags
from layernas.errors import UserError
from layernas.runs import cli
config = cli.define_config('A config.')
flags.DEFINE_string('mode', '', 'What to do.')
def main():
  cli.config_of(config)
  if flags.FLAGS.mode == 'wrong':
    raise UserError('field x: 1:\\n allowed is 2')
  if flags.FLAGS.mode == 'interrupt':
    raise KeyboardInterrupt
  print('fine')
cli.run(main)
"""


@pytest.fixture
def program(tmp_path: pathlib.Path) -> pathlib.Path:
  """A program with a config flag."""
  path = tmp_path / 'program.py'
  path.write_text(_PROGRAM)
  return path


def _run(program: pathlib.Path, *flags: str) -> subprocess.CompletedProcess:
  return subprocess.run(
      [sys.executable, str(program), *flags], cwd=tiny.ROOT,
      capture_output=True, text=True, timeout=60, check=False,
  )


@pytest.mark.parametrize(('flags', 'parts'), [
    ([], ['--config', 'missing', 'allowed']),
    (['--config=nowhere.py'], ['nowhere.py', 'allowed']),
    (['--config=tests/tiny.py', '--config.search.bucket=3'],
     ['config.search.bucket', 'unknown', "'buckets'"]),
    (['--config=tests/tiny.py', '--config.search.buckets=many'],
     ['config.search.buckets', 'many']),
    (['--config=tests/tiny.py', '--mod=wrong'], ['mod', 'mode']),
    (['--config=tests/tiny.py', 'stray'], ['stray', 'allowed']),
    (['--config=configs/cifar10_small.py:tiny'], ['tiny', 'smoke', 'allowed']),
    (['--config=tests/tiny.py', '--mode=wrong'], ['field x: 1: allowed is 2']),
])
def test_wrong_command_lines(
    program: pathlib.Path, flags: list[str], parts: list[str]
) -> None:
  done = _run(program, *flags)
  assert done.returncode == 2, done.stderr
  [line] = tiny.lines_of(done.stderr)
  assert line.startswith('error: ')
  for part in parts:
    assert part in line


def test_right_command_line(program: pathlib.Path) -> None:
  done = _run(program, '--config=tests/tiny.py', '--config.seed=3')
  assert (done.returncode, done.stdout) == (0, 'fine\n')


def test_interrupt_says_how_to_go_on(program: pathlib.Path) -> None:
  done = _run(program, '--config=tests/tiny.py', '--mode=interrupt')
  assert done.returncode == 130
  assert 'goes on' in done.stderr


def test_preempted_program_ends_with_zero_and_a_line(
    capsys: pytest.CaptureFixture,
) -> None:
  def main() -> None:
    try:
      raise Preempted('saved after step 3')
    except Exception:
      pytest.fail('taken for a failure')

  with pytest.raises(SystemExit) as caught:
    cli._guarded(main, ['program'])
  assert caught.value.code == 0
  assert capsys.readouterr().out == (
      'preempted: saved after step 3; the same command goes on from here\n'
  )
