"""kill -9 or SIGTERM, then the same command: the same result.

kill -9 comes in the middle of a save, where each workdir is killed at one
moment after another and what lies there shows that the moment was met; and at
random moments.
"""

import json
import pathlib
import random
import signal
import subprocess
import time

import pytest

from layernas.runs.run_search import run_search
from tests import tiny
from tools.perf.search_outcome import without_times

_KILLED = tiny.ROOT / 'tests' / 'runs' / 'killed_in_save.py'
_TEMPORARY = '.orbax-checkpoint-tmp'

# Moments in compiling, training, saving and between trials are all met.
_KILLS = 20

pytestmark = pytest.mark.long


def _killed(
    moment: str, saved: str, command: list[str], workdir: pathlib.Path
) -> None:
  """Runs a command until it dies inside a save, and looks what it left.

  Args:
    moment: see killed_in_save.py.
    saved: path in the workdir of what is saved.
    command: to run.
    workdir: of the run.
  """
  [python, *rest] = command
  done = subprocess.run(
      [python, str(_KILLED), moment, f'{workdir.name}/{saved}', *rest],
      cwd=tiny.ROOT, capture_output=True, text=True, timeout=120, check=False,
  )
  assert done.returncode == -signal.SIGKILL, done.stderr
  path = workdir / saved
  temporary = path.with_name(path.name + _TEMPORARY)
  if moment == 'arrays':
    tree = temporary / f'tree{_TEMPORARY}'
    assert any(file.is_file() for file in tree.rglob('ocdbt.process_0/d/*'))
    assert not (tree / 'commit_success.txt').exists()
  elif moment == 'before_rename':
    assert (temporary / 'commit_success.txt').exists()
    assert (temporary / 'record').is_dir()
  elif moment == 'after_rename':
    assert (path / 'commit_success.txt').exists()
  else:
    assert not path.read_bytes().endswith(b'\n')
  assert temporary.exists() == (moment in ('arrays', 'before_rename'))
  assert path.exists() != temporary.exists()


def _steps(directory: pathlib.Path) -> dict[int, int]:
  """Complete checkpoints and the files that they are to the file system."""
  return {
      int(path.name): path.stat().st_ino
      for path in directory.iterdir() if path.name.isdigit()
  }


def _killed_in_training(
    command: list[str], workdir: pathlib.Path, first: str, second: str
) -> None:
  """Kills in saves of two trainings, and sees that the first goes on."""
  one, two = (f'{name}/checkpoints' for name in (first, second))
  _killed('arrays', f'{one}/8', command, workdir)
  before = _steps(workdir / one)
  assert list(before) == [4]
  _killed('before_rename', f'{one}/12', command, workdir)
  after = _steps(workdir / one)
  assert sorted(after) == [4, 8]
  # Nobody wrote step 4 once more: the run began behind it.
  assert after[4] == before[4]
  _killed('after_rename', f'{two}/16', command, workdir)
  # The oldest is removed behind the rename.
  assert sorted(_steps(workdir / two)) == [8, 12, 16]


def test_search_goes_on(tmp_path: pathlib.Path) -> None:
  config = tiny.get_config()
  config.budget.trials = 3
  run_search(config, tmp_path / 'whole')
  workdir = tmp_path / 'killed'
  command = tiny.command(
      'search', '--config=tests/tiny.py', '--config.budget.trials=3',
      f'--workdir={workdir}',
  )
  _killed_in_training(
      command, workdir, 'candidates/000000', 'candidates/000001'
  )
  _killed('half_line', 'trials.jsonl', command, workdir)
  _killed('before_rename', 'checkpoints/3', command, workdir)
  assert len((workdir / 'trials.jsonl').read_text().splitlines()) == 3
  assert sorted(_steps(workdir / 'checkpoints')) == [1, 2]
  run_search(config, workdir)
  assert without_times(workdir) == without_times(tmp_path / 'whole')
  assert not list((workdir / 'candidates').iterdir())


def test_final_training_goes_on(tmp_path: pathlib.Path) -> None:
  # The reference, scaled to as many MAdds, is the same: compiled once.
  network = tiny.space().network((0, 0, 0)).to_dict()
  config = tiny.get_config()
  config.reference.seeds = 1
  found = tmp_path / 'result.json'
  found.write_text(json.dumps(
      {'winner': {'network': network}, 'config': config.to_dict()}
  ))
  results = []
  for name in ('whole', 'killed'):
    workdir = tmp_path / name
    command = tiny.command(
        'train', f'--architecture={found}', f'--workdir={workdir}'
    )
    if name == 'killed':
      _killed_in_training(
          command, workdir, 'winner/seed0', 'width-scaled_reference/seed0'
      )
    subprocess.run(
        command, cwd=tiny.ROOT, capture_output=True, check=True, timeout=120
    )
    results.append(json.loads((workdir / 'final.json').read_text())['networks'])
  assert results[0] == results[1]


def _run(workdir: pathlib.Path, seconds: float) -> bool:
  """Runs the search, killed so long after its first lines.

  Returns:
    Whether it came to its end before.
  """
  process = subprocess.Popen(
      tiny.command('search', '--config=tests/tiny.py', f'--workdir={workdir}'),
      cwd=tiny.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
      text=True,
  )
  for line in process.stdout:
    if line.startswith('bound'):
      break
  try:
    process.wait(timeout=seconds)
  except subprocess.TimeoutExpired:
    process.kill()
  process.stdout.close()
  return process.wait() == 0


def test_kills_at_random_moments_change_nothing(
    tmp_path: pathlib.Path
) -> None:
  assert _run(tmp_path / 'whole', 300)
  expected = without_times(tmp_path / 'whole')
  rng = random.Random(0)
  kills = searches = 0
  # In a fresh workdir candidates compile for seconds, later they do not.
  while kills < _KILLS:
    workdir = tmp_path / str(searches)
    while not _run(workdir, rng.uniform(0.0, 4.0)):
      kills += 1
    searches += 1
    assert without_times(workdir) == expected


def _preempted_in_training(command: list[str], workdir: pathlib.Path) -> str:
  """Output of a program that got SIGTERM when it had begun to train."""
  process = subprocess.Popen(
      command, cwd=tiny.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
      text=True,
  )
  while process.poll() is None and not any(
      path.name.isdigit() for path in workdir.glob('*/*/checkpoints/*')
  ):
    time.sleep(0.005)
  process.send_signal(signal.SIGTERM)
  output, errors = process.communicate(timeout=120)
  assert process.returncode == 0, errors
  return output


@pytest.mark.parametrize('gap', [0.0, 0.3])
def test_ctrl_c_twice_while_networks_compile(
    tmp_path: pathlib.Path, finished: pathlib.Path, gap: float
) -> None:
  """In a fresh workdir trial 1 compiles when trial 0 is told."""
  # The tests may be a job of a script, in which the signal is ignored.
  restore = 'import signal, sys, runpy; sys.argv = sys.argv[1:]; ' + (
      'signal.signal(signal.SIGINT, signal.default_int_handler); '
      "runpy.run_path(sys.argv[0], run_name='__main__')"
  )
  python, *rest = _search(tmp_path)
  process = subprocess.Popen(
      [python, '-uc', restore, *rest], cwd=tiny.ROOT, text=True,
      stdout=subprocess.PIPE, stderr=subprocess.PIPE,
  )
  for line in process.stdout:
    if line.startswith('trial 0 '):
      break
  begun = time.monotonic()
  process.send_signal(signal.SIGINT)
  time.sleep(gap)
  process.send_signal(signal.SIGINT)
  _, errors = process.communicate(timeout=60)
  assert process.returncode == 130, errors
  assert errors == 'interrupted; the same command goes on from here\n'
  # 1.5 s until the process ends where XLA does not let the thread go.
  assert time.monotonic() - begun < 8
  subprocess.run(
      _search(tmp_path), cwd=tiny.ROOT, capture_output=True, check=True,
      timeout=300,
  )
  assert without_times(tmp_path) == without_times(finished)


def _search(workdir: pathlib.Path) -> list[str]:
  return tiny.command(
      'search', '--config=tests/tiny.py', f'--workdir={workdir}'
  )


def test_preempted_search_goes_on(
    tmp_path: pathlib.Path, finished: pathlib.Path
) -> None:
  output = _preempted_in_training(_search(tmp_path), tmp_path)
  last = output.splitlines()[-1]
  assert last.startswith('preempted: saved after step ')
  assert last.endswith('; the same command goes on from here')
  assert (tmp_path / 'candidates' / '000000' / 'checkpoints').exists()
  subprocess.run(
      _search(tmp_path), cwd=tiny.ROOT, capture_output=True, check=True,
      timeout=300,
  )
  assert without_times(tmp_path) == without_times(finished)
