"""Trials on disk, kept twice so that each copy heals the other; their times."""

import json
import pathlib
import shutil

import pytest

from layernas.errors import UserError
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Trial
from layernas.storage.checkpoints import Checkpoints
from layernas.storage.history import History
from layernas.storage.history import Timings
from layernas.storage.history import recorded_further_costs
from layernas.storage.history import recorded_trials
from tests.fake_gcs import Bucket


def _trial(number: int) -> Trial:
  candidate = Candidate(number, 1, (number, 0), 10 * number, 100 + number)
  return Trial(candidate, Evaluation(0.1 * number, 1.5, metrics={'loss': 2.0}))


@pytest.fixture
def workdir(tmp_path: pathlib.Path) -> pathlib.Path:
  """Holds trials 0, 1 and 2."""
  history = History(tmp_path)
  for number in range(3):
    history.append(_trial(number))
  history.close()
  return tmp_path


def _trials(workdir: pathlib.Path | str) -> list[Trial]:
  history = History(workdir)
  history.close()
  return history.trials


_THREE = [_trial(number) for number in range(3)]


def test_trials_come_back(workdir: pathlib.Path) -> None:
  assert _trials(workdir) == _THREE
  assert len((workdir / 'trials.jsonl').read_text().splitlines()) == 3


def test_lines_are_restored_from_the_checkpoint(workdir: pathlib.Path) -> None:
  text = (workdir / 'trials.jsonl').read_text()
  (workdir / 'trials.jsonl').write_text(text[:50] + '\x00garbage\n')
  assert _trials(workdir) == _THREE
  assert (workdir / 'trials.jsonl').read_text() == text


def test_trials_are_restored_from_the_lines(workdir: pathlib.Path) -> None:
  shutil.rmtree(workdir / 'checkpoints')
  assert _trials(workdir) == _THREE


def test_damaged_newest_checkpoint(workdir: pathlib.Path) -> None:
  for path in (workdir / 'checkpoints' / '3' / 'record').iterdir():
    path.write_bytes(b'')
  assert _trials(workdir) == _THREE
  assert (workdir / 'checkpoints_unreadable' / '3').exists()


def test_a_half_written_line_is_dropped(workdir: pathlib.Path) -> None:
  shutil.rmtree(workdir / 'checkpoints')
  with open(workdir / 'trials.jsonl', 'a') as file:
    file.write(json.dumps(_trial(3).to_dict())[:40])
  assert _trials(workdir) == _THREE


def test_a_damaged_line_ends_what_only_lines_know(
    workdir: pathlib.Path,
) -> None:
  shutil.rmtree(workdir / 'checkpoints')
  lines = (workdir / 'trials.jsonl').read_text().splitlines()
  (workdir / 'trials.jsonl').write_text(f'{lines[0]}\n?\n{lines[2]}\n')
  assert _trials(workdir) == _THREE[:1]


def test_nothing_readable_is_an_error(workdir: pathlib.Path) -> None:
  for step in ('2', '3'):
    shutil.rmtree(workdir / 'checkpoints' / step / 'record')
  (workdir / 'trials.jsonl').write_text('?\n')
  with pytest.raises(UserError, match='remove the workdir'):
    History(workdir)


@pytest.mark.long
def test_what_a_trial_costs_does_not_grow(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  """Records written to checkpoints are a fixed multiple of the trials."""
  written = []
  monkeypatch.setattr(
      Checkpoints, 'save',
      lambda self, step, record: written.append((step, len(record['trials']))),
  )
  history = History(tmp_path)
  for number in range(599):
    history.append(_trial(number))
  assert [step for step, _ in written[:50]] == list(range(1, 51))
  assert all(step == records for step, records in written)
  for trials in (200, 400, 599):
    total = sum(records for step, records in written if step <= trials)
    assert total <= 53 * trials
  # A kill costs nothing: the lines hold what the checkpoint lacks.
  assert written[-1][0] < 599
  assert len((tmp_path / 'trials.jsonl').read_text().splitlines()) == 599


def test_last_trials_are_in_a_checkpoint_when_closed(
    tmp_path: pathlib.Path,
) -> None:
  history = History(tmp_path)
  for number in range(103):
    history.append(_trial(number))
  history.close()
  (tmp_path / 'trials.jsonl').unlink()
  assert len(_trials(tmp_path)) == 103


def test_another_process_reads_trials_and_touches_nothing(
    workdir: pathlib.Path
) -> None:
  with open(workdir / 'trials.jsonl', 'a') as file:
    file.write(json.dumps(_trial(3).to_dict())[:40])
  before = (workdir / 'trials.jsonl').read_bytes()
  assert recorded_trials(workdir) == _THREE
  assert (workdir / 'trials.jsonl').read_bytes() == before
  with pytest.raises(UserError, match=r'nowhere: has no trials\.jsonl'):
    recorded_trials(workdir / 'nowhere')


def _killed(bucket: Bucket, trials: int) -> str:
  """A workdir whose process was killed after so many trials."""
  workdir = f'{bucket.url}/run'
  history = History(workdir)
  for number in range(trials):
    history.append(_trial(number))
  return workdir


@pytest.mark.long
def test_a_bucket_has_every_trial_when_append_returns(bucket: Bucket) -> None:
  workdir = _killed(bucket, 53)
  assert bucket.names(r'run/trials\.jsonl\.parts/.*')
  assert _trials(workdir) == [_trial(number) for number in range(53)]
  assert len(bucket.objects['run/trials.jsonl'].splitlines()) == 53
  assert not bucket.names(r'run/trials\.jsonl\.parts/.*')


@pytest.mark.long
def test_a_bucket_without_checkpoints(bucket: Bucket) -> None:
  workdir = _killed(bucket, 53)
  for name in bucket.names('run/checkpoints/.*'):
    del bucket.objects[name]
  assert _trials(workdir) == [_trial(number) for number in range(53)]


def test_a_bucket_without_lines(bucket: Bucket) -> None:
  workdir = _killed(bucket, 3)
  del bucket.objects['run/trials.jsonl']
  assert _trials(workdir) == _THREE
  assert len(bucket.objects['run/trials.jsonl'].splitlines()) == 3


@pytest.mark.long
def test_a_damaged_line_in_a_bucket(bucket: Bucket) -> None:
  workdir = _killed(bucket, 3)
  for name in bucket.names('run/checkpoints/.*'):
    del bucket.objects[name]
  lines = bucket.objects['run/trials.jsonl'].splitlines(keepends=True)
  bucket.objects['run/trials.jsonl'] = lines[0] + lines[1] + lines[2][:40]
  assert _trials(workdir) == _THREE[:2]
  assert bucket.objects['run/trials.jsonl'] == lines[0] + lines[1]


def test_timings_and_their_sum(tmp_path: pathlib.Path) -> None:
  timings = Timings(tmp_path)
  assert timings.total() == {}
  timings.append(0, {'compile': 1.00004, 'train': 2.5})
  timings.append(1, {'compile': 0.0, 'train': 3.5})
  assert timings.total() == {'compile': 1.0, 'train': 6.0}
  timings.close()
  lines = (tmp_path / 'timings.jsonl').read_text().splitlines()
  assert json.loads(lines[0]) == {'id': 0, 'compile': 1.0, 'train': 2.5}
  again = Timings(tmp_path)
  again.append(2, {'compile': 0.5, 'train': 1.0})
  assert again.total() == {'compile': 1.5, 'train': 7.0}


def test_a_timing_that_a_kill_cut_short_is_dropped(
    tmp_path: pathlib.Path
) -> None:
  Timings(tmp_path).append(0, {'train': 2.0})
  path = tmp_path / 'timings.jsonl'
  with path.open('a') as file:
    file.write('{"id": 1, "tra')
  timings = Timings(tmp_path)
  assert timings.total() == {'train': 2.0}
  timings.append(1, {'train': 3.0})
  assert timings.total() == {'train': 5.0}
  assert len(path.read_text().splitlines()) == 2


def test_further_costs_end_at_a_damaged_line(tmp_path: pathlib.Path) -> None:
  """A page of them compares numbers."""
  (tmp_path / 'further_costs.jsonl').write_text(
      '{"id": 0, "params": 3}\n{"id": 1, "params": "x"}\n'
      '{"id": 2, "params": 4}\n'
  )
  assert recorded_further_costs(tmp_path) == {0: {'params': 3}}
