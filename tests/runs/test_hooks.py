"""Every moment of a search and of a final training comes to every hook."""

import contextlib
import json
import pathlib

import pytest

from layernas.executors.executor import ExecutorSettings
from layernas.reports.console import Progress
from layernas.reports.console import new_console
from layernas.reports.hooks import Hook
from layernas.reports.result import search_result
from layernas.runs import evaluator
from layernas.runs import final
from layernas.runs.listeners import SearchListener
from layernas.runs.run_search import run_search
from layernas.runs.search_record import SearchRecord
from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search.sweep import Sweep
from layernas.storage.workdir import Workdir
from layernas.training.train import TrainResult
from tests import tiny
from tests.search import problems


class Heard(Hook):
  """Keeps what it hears."""

  def __init__(self, workdir: pathlib.Path | None = None):
    self.lines = []
    self._workdir = workdir

  def before_search(self, search, steps, page):
    self.lines.append(('before_search', len(search.trials), steps, page))

  def before_training(self, training, worker):
    self.lines.append(('before_training', training.name, worker))

  def after_step(self, training, step, metrics):
    del metrics
    self.lines.append(('after_step', training.name, step))

  def after_test(self, training, metrics):
    self.lines.append(('after_test', training.name, sorted(metrics)))

  def after_failure(self, training, message):
    self.lines.append(('after_failure', training.title, message))

  def after_training(self, training):
    self.lines.append(('after_training', training.name))

  def after_trial(self, trial):
    self.lines.append(('after_trial', trial.candidate.id))
    # It is recorded, and the candidate's files are still there.
    lines = (self._workdir / 'trials.jsonl').read_text().splitlines()
    assert len(lines) == trial.candidate.id + 1
    assert (self._workdir / f'candidates/{trial.candidate.id:06d}').exists()

  def after_timing(self, trial, seconds):
    self.lines.append(('after_timing', trial.candidate.id))
    assert not (self._workdir / f'candidates/{trial.candidate.id:06d}').exists()
    assert seconds['save'] > 0

  def after_search(self, result, trace):
    self.lines.append(('after_search', result['stop_reason'], bool(trace)))

  def close(self):
    self.lines.append(('close',))


@pytest.mark.long
def test_a_hook_of_your_own_follows_a_search(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
  errors = iter([RuntimeError('bad luck')])

  def train(*args, hooks, **named):
    [step_hook] = hooks
    step_hook(5, {'train_loss': 1.5})
    for error in errors:
      raise error
    return TrainResult({'accuracy': 0.5}, 10, 1.0)

  monkeypatch.setattr(evaluator, 'train_and_evaluate', train)
  heard = Heard(tmp_path)
  config = tiny.changed(compile_ahead=0, **{'budget.trials': 2})
  run_search(config, tmp_path, [heard])
  name, other = 'trials/000000', 'trials/000001'
  assert heard.lines == [
      ('before_search', 0, 20, ''),
      ('before_training', name, ''), ('after_step', name, 5),
      ('after_failure', 'trial 0', 'RuntimeError: bad luck'),
      ('before_training', name, ''), ('after_step', name, 5),
      ('after_training', name), ('after_trial', 0), ('after_timing', 0),
      ('before_training', other, ''), ('after_step', other, 5),
      ('after_training', other), ('after_trial', 1), ('after_timing', 1),
      ('after_search', 'budget of 2 trials spent', True), ('close',),
  ]
  printed = capsys.readouterr().out
  assert 'trial 0: RuntimeError: bad luck; tried again' in printed
  assert 'trial 1 (2/2)' in printed
  again = Heard(tmp_path)
  run_search(config, tmp_path, [again])
  assert [line[:2] for line in again.lines] == [
      ('before_search', 2), ('after_search', 'budget of 2 trials spent'),
      ('close',),
  ]
  assert '2 trials are finished already' in capsys.readouterr().out


def test_a_hook_of_your_own_follows_a_final_training(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:

  def train(*args, hooks, **named):
    [step_hook] = hooks
    step_hook(5, {'train_loss': 1.5})
    return TrainResult({'accuracy': 0.5}, 10, 1.0)

  monkeypatch.setattr(final, 'train_and_evaluate', train)
  heard = Heard()
  network = final.read_architecture(str(tiny.result_file(tmp_path)))
  final.run_final(
      tiny.changed(**{'reference.seeds': 1}), network, tmp_path / 'final',
      [heard],
  )
  assert heard.lines == [
      (moment, name, *rest)
      for name in ('winner/seed0', 'width-scaled_reference/seed0')
      for moment, *rest in (
          ('before_training', ''), ('after_step', 5),
          ('after_test', ['accuracy']), ('after_training',),
      )
  ] + [('close',)]
  assert list((tmp_path / 'final/tensorboard/winner/seed0').iterdir())


def test_steps_of_withdrawn_candidates_are_dropped() -> None:
  search = Search(
      problems.make_problem([(1, 2, 3)]), Sweep(), Budget(seconds=1.0)
  )
  heard = Heard()
  listener = SearchListener([heard], 9, search)
  first, second = search.ask(2)
  listener.stepped(second, 1, {})
  search.tell(first.id, Evaluation(0.5, 2.0))
  listener.stepped(second, 2, {})
  assert heard.lines == [('after_step', 'trials/000001', 1)]


def test_the_record_is_there_when_it_is_opened_again(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
  config, search = tiny.get_config(), tiny.new_search()
  record = SearchRecord(Workdir(tmp_path), new_console())
  with contextlib.closing(record):
    budgets = [{'from': 0, **config.budget.to_dict()}]
    assert record.open(config, ExecutorSettings()) == {
        'trials': [], 'budgets': budgets
    }
    record.before_search(search, 3, '')
    while candidates := search.ask():
      search.tell(candidates[0].id, Evaluation(candidates[0].id / 10, 1.0))
      record.after_trial(search.trials[-1])
      record.after_timing(search.trials[-1], {'compile': 1.0, 'train': 3.0})
    record.after_search(
        search_result(search, tiny.space(), config, 16, 10), None
    )
  count = len(search.trials)
  assert f'waiting for compilation: 25.0% of {4 * count} s' in (
      capsys.readouterr().out
  )
  assert len((tmp_path / 'timings.jsonl').read_text().splitlines()) == count
  assert json.loads((tmp_path / 'tables.json').read_text())
  with contextlib.closing(SearchRecord(Workdir(tmp_path), new_console())) as it:
    assert it.open(config, ExecutorSettings()) == {
        'trials': [trial.to_dict() for trial in search.trials],
        'budgets': budgets,
    }


def test_a_record_has_every_budget(tmp_path: pathlib.Path) -> None:
  """Each with the id of the first trial that it held for."""
  def opened(trials: int) -> dict[str, object]:
    config = tiny.changed(**{'budget.trials': trials})
    record = SearchRecord(Workdir(tmp_path), new_console())
    with contextlib.closing(record):
      recorded = record.open(config, ExecutorSettings())
      record.before_search(search, 3, '')
      if len(recorded['trials']) < trials:
        search.tell(search.ask()[0].id, Evaluation(0.5, 1.0))
        record.after_trial(search.trials[-1])
    return [(one['from'], one['trials']) for one in recorded['budgets']]

  search = tiny.new_search()
  assert opened(1) == [(0, 1)]
  assert opened(1) == [(0, 1)]
  assert opened(3) == [(0, 1), (1, 3)]
  assert opened(3) == [(0, 1), (1, 3)]
  # Older versions left the last budget alone, in the config.
  (tmp_path / 'budgets.json').unlink()
  assert opened(4) == [(0, 3), (3, 4)]


def test_hooks_that_never_began_can_be_closed(tmp_path: pathlib.Path) -> None:
  for hook in (
      Hook(), Progress(new_console()),
      SearchRecord(Workdir(tmp_path / 'run'), new_console()),
  ):
    hook.close()
  assert not (tmp_path / 'run').exists()
