"""Whole studies: resumed, killed, refused; and experiments/benchmark.py."""

import os
import pathlib
import signal
import subprocess
import time

import pytest

from configs.study import default
from layernas.errors import UserError
from layernas.study import report
from layernas.study.run import Key
from layernas.study.run_study import keys_of
from layernas.study.run_study import run_study
from tests import tiny
from tests.search import problems

CONFIG = tiny.ROOT / 'tests' / 'study' / 'study_config.py'

# So many that the signal comes long before the end.
FLAGS = ('--config.seeds=300', '--config.workers=2')


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
  """Drawing takes longer than a small study; test_report draws."""
  monkeypatch.setattr(report, 'render', lambda summary, directory: None)


def config(**changes):
  made = default.get_config()
  made.benchmarks.macro = default.benchmark(
      table__name='nas_bench_macro', rewards=('acc1', 'acc2', 'acc3'),
      report='held_out', cost='madds', target__high=5e7, budget__trials=20,
  )
  made.methods.layernas = default.method('layernas', buckets=3)
  made.methods.evolution = default.method('evolution')
  made.methods.tpe = default.method(
      'optuna', seeds=3, sampler='tpe'
  )
  made.seeds = 45
  made.workers = 1
  made.update(changes)
  return made.lock()


def test_keys_are_methods_times_seeds_of_their_own():
  """A benchmark may have fewer."""
  made = config(seeds=2)
  keys = keys_of(made)
  assert len(keys) == len(set(keys)) == 2 * (2 + 2 + 3)
  assert Key('macro', 'every_query', 'tpe', 2) in keys
  assert Key('macro', 'every_query', 'evolution', 2) not in keys
  with made.unlocked():
    made.benchmarks.macro.seeds = 1
  assert {key.seed for key in keys_of(made)} == {0}


@pytest.mark.long
def test_number_of_workers_changes_nothing(tmp_path):
  for workers in (1, 2):
    run_study(config(workers=workers), tmp_path / str(workers))
  files = [(tmp_path / str(n) / 'runs.jsonl').read_bytes() for n in (1, 2)]
  assert files[0] == files[1]
  assert files[0].count(b'\n') == 2 * (45 + 45 + 3)


def test_resumed_study_plays_only_what_is_missing(tmp_path, capsys):
  run_study(config(seeds=2), tmp_path)
  lines = (tmp_path / 'runs.jsonl').read_text().splitlines()
  (tmp_path / 'runs.jsonl').write_text('\n'.join(lines[3:]) + '\n{"broken')
  run_study(config(seeds=3), tmp_path)
  assert '11 runs are finished already' in capsys.readouterr().out
  again = (tmp_path / 'runs.jsonl').read_text().splitlines()
  assert set(lines) <= set(again)
  assert len(again) == 2 * (3 + 3 + 3)
  # Fewer seeds than there are runs of: the others are not reported.
  summary = run_study(config(seeds=2), tmp_path)
  assert summary['sections'][0]['methods']['layernas']['runs'] == 2
  assert len((tmp_path / 'runs.jsonl').read_text().splitlines()) == len(again)


def test_what_takes_long_is_said(tmp_path, said):
  run_study(config(seeds=1), tmp_path)
  assert list(dict.fromkeys(said)) == [
      'reading benchmark macro', 'writing the report'
  ]


def test_an_own_schedule_is_a_method_and_a_schedule_of_layernas(tmp_path):
  own = 'examples.own_schedule:CoordinateDescent'
  made = config(seeds=2).copy_and_resolve_references()
  with made.unlocked():
    made.methods = {
        'method': default.method(own, rounds=2),
        'schedule': default.method(
            'layernas', schedule=own, settings={'rounds': 2}
        ),
    }
  summary = run_study(made, tmp_path)
  for section in summary['sections']:
    first, second = section['methods'].values()
    assert first == second
    assert first['trials'] <= 20
    assert first['unanswered'] == 0


def test_another_config_is_refused(tmp_path):
  run_study(config(seeds=1), tmp_path)
  other = config(seeds=1).copy_and_resolve_references()
  other.unlock()
  other.methods.layernas.settings.buckets = 4
  with problems.refuses('methods.layernas.settings.buckets was 3 and is 4'):
    run_study(other, tmp_path)


def test_a_bucket_is_refused():
  with pytest.raises(UserError, match='gs://bucket/run: allowed is'):
    run_study(default.get_config(), 'gs://bucket/run')


def test_wrong_config_leaves_no_workdir(tmp_path):
  with problems.refuses("compared: 'nobody'"):
    run_study(config(compared='nobody'), tmp_path / 'new')
  assert not (tmp_path / 'new').exists()


def command(workdir, *flags):
  return tiny.command(
      'benchmark', f'--config={CONFIG}', f'--workdir={workdir}', *flags
  )


def wait_for_runs(path: pathlib.Path, count: int, process) -> None:
  for _ in range(600):
    if path.exists() and path.read_bytes().count(b'\n') >= count:
      return
    assert process.poll() is None, process.communicate()
    time.sleep(0.05)
  raise AssertionError('the study did not get on')


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """Runs of a study that was not killed."""
  workdir = tmp_path_factory.mktemp('whole')
  subprocess.run(
      command(workdir, *FLAGS), cwd=tiny.ROOT, capture_output=True, check=True,
      timeout=120,
  )
  return (workdir / 'runs.jsonl').read_bytes()


@pytest.fixture(name='_ctrl_c')
def _heeds_ctrl_c():
  """A suite in the background ignores it, and so would what it starts."""
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  yield
  signal.signal(signal.SIGINT, before)


@pytest.mark.long
@pytest.mark.usefixtures('_ctrl_c')
@pytest.mark.parametrize(('kill', 'code', 'last'), [
    (signal.SIGKILL, -signal.SIGKILL, ''),
    (signal.SIGINT, 130, 'interrupted; the same command goes on from here'),
    (signal.SIGTERM, 0, 'preempted: what was finished is saved; the same'
     ' command goes on from here'),
])
def test_killed_study_goes_on(tmp_path, whole, kill, code, last):
  """The file is at last the same as that of a study which was not killed.

  All its processes get the signal, as from a terminal or a scheduler.
  """
  process = subprocess.Popen(
      command(tmp_path, *FLAGS), cwd=tiny.ROOT, stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT, text=True, start_new_session=True,
  )
  wait_for_runs(tmp_path / 'runs.jsonl', 20, process)
  begun = time.monotonic()
  os.killpg(process.pid, kill)
  process.wait(60)
  assert time.monotonic() - begun < 4
  output, _ = process.communicate(timeout=60)
  assert process.returncode == code, output
  if last:
    assert output.splitlines()[-1] == last
    assert 'Traceback' not in output
  assert (tmp_path / 'runs.jsonl').read_bytes() != whole
  done = subprocess.run(
      command(tmp_path, *FLAGS), cwd=tiny.ROOT, capture_output=True,
      text=True, check=True, timeout=120,
  )
  assert 'runs are finished already' in done.stdout
  assert (tmp_path / 'runs.jsonl').read_bytes() == whole


@pytest.mark.long
def test_wrong_flags_are_one_line(tmp_path):
  done = subprocess.run(
      command(tmp_path / 'x', '--config.methods.random.kind=bohb'),
      cwd=tiny.ROOT, capture_output=True, text=True, check=False,
  )
  assert done.returncode == 2
  [error] = done.stderr.splitlines()
  assert "methods.random: kind: 'bohb'" in error
  assert not (tmp_path / 'x').exists()
