"""Search and final training with everything on gs://, as users start them."""

import json
import pathlib
import signal
import subprocess
import time

import pytest

from tests import tiny
from tests.fake_gcs import Bucket
from tests.fake_gcs import FakeGcs
from tools.perf.search_outcome import without_times

pytestmark = pytest.mark.long


@pytest.fixture(scope='module', name='local')
def _local(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """A search on a disk, left alone."""
  workdir = tmp_path_factory.mktemp('local')
  done = _search(str(workdir))
  assert done.returncode == 0, done.stderr
  return workdir


@pytest.fixture(scope='module', name='searched')
def _searched(gcs: FakeGcs) -> Bucket:
  """The same search in a bucket, killed in a candidate and resumed."""
  bucket = gcs.bucket()
  _kill_when(bucket, r'run/candidates/000002/.*/commit_success\.txt')
  assert len(bucket.objects['run/trials.jsonl'].splitlines()) == 2
  done = _search(f'{bucket.url}/run')
  assert done.returncode == 0, done.stderr
  assert 'is or was used by' in done.stderr
  return bucket


def _search(workdir: str) -> subprocess.CompletedProcess:
  return tiny.run_program(
      'search', '--config=tests/tiny.py', f'--workdir={workdir}'
  )


def _kill_when(bucket: Bucket, pattern: str) -> None:
  """Searches until there is an object of such a name."""
  process = subprocess.Popen(
      tiny.command('search', '--config=tests/tiny.py',
                   f'--workdir={bucket.url}/run'),
      cwd=tiny.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
  )
  while process.poll() is None and not bucket.names(pattern):
    time.sleep(0.01)
  process.kill()
  assert process.wait() == -signal.SIGKILL


def test_a_killed_search_ends_as_one_on_a_disk(
    searched: Bucket, local: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  searched.download(tmp_path)
  assert without_times(tmp_path / 'run') == without_times(local)
  top = {name.split('/')[1] for name in searched.names('run/.*')}
  # Directories that are empty on a disk do not exist in a bucket.
  assert top == {path.name for path in local.iterdir()} - {
      '.lock', 'candidates'
  }


def test_final_training_from_and_to_a_bucket(
    searched: Bucket, local: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  for result, workdir in (
      (f'{searched.url}/run', f'{searched.url}/final'), (local, tmp_path)
  ):
    done = tiny.run_program(
        'train', f'--architecture={result}/result.json',
        f'--workdir={workdir}', '--config=tests/tiny.py',
        '--config.reference.seeds=1',
    )
    assert done.returncode == 0, done.stderr
  there = json.loads(searched.objects['final/final.json'])['networks']
  here = json.loads((tmp_path / 'final.json').read_text())['networks']
  assert there == here
  metrics = json.loads(searched.objects['final/winner/seed0/metrics.json'])
  assert metrics == there[0]['metrics'][0]
  assert searched.names(r'final/final\.png')
  assert searched.names(r'final/tensorboard/winner/seed0/events.*')
