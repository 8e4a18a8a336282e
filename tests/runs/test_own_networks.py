"""Searches over Flax modules and own tasks, from config to files."""

import json
import pathlib
import sys

import pytest

from layernas.errors import UserError
from layernas.runs import final
from layernas.runs.run_search import run_search
from tests import tiny

pytestmark = pytest.mark.long

MIXER = {
    'space': 'examples.mixer_space:space', 'target.high': 4e5,
    'search.keep': 1, 'search.buckets': 1, 'budget.trials': 3,
    'training.epochs': 0.05, 'final.epochs': 0.05, 'compile_ahead': 0,
}

TABLE = {
    'space': 'examples.own_task:space', 'data.source': 'examples.own_task:load',
    'reward': 'loss', 'cost.metric': 'params', 'target.high': 300.0,
    'training.batch_size': 32, 'training.evaluation_batch_size': 64,
    'training.epochs': 5.0, 'final.batch_size': 32, 'final.epochs': 2.0,
    'final.evaluation_batch_size': 64, 'budget.trials': 4, 'compile_ahead': 0,
}


def _trials(workdir: pathlib.Path) -> list[dict[str, object]]:
  lines = (workdir / 'trials.jsonl').read_text().splitlines()
  return list(map(json.loads, lines))


@pytest.mark.parametrize('schedule', ['sweep', 'model_guided'])
@pytest.mark.parametrize('fields', [MIXER, TABLE], ids=['mixer', 'table'])
def test_it_is_searched_resumed_and_trained_to_the_end(
    tmp_path: pathlib.Path, fields: dict[str, object], schedule: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
  config = tiny.changed(**fields, **{'search.schedule': schedule})
  brief = tiny.changed(**{
      **fields, 'search.schedule': schedule, 'budget.trials': 2,
  })
  result = run_search(config, tmp_path / 'whole')
  assert 'verified on' in capfd.readouterr().out
  run_search(brief, tmp_path / 'parts')
  run_search(config, tmp_path / 'parts')
  for there, here in zip(
      _trials(tmp_path / 'whole'), _trials(tmp_path / 'parts'), strict=True
  ):
    assert {**there, 'seconds': 0} == {**here, 'seconds': 0}
  assert result['winner']['cost'] <= fields['target.high']
  # Costs are not counted again.
  assert json.loads((tmp_path / 'parts' / 'space.json').read_text())
  rows = final.run_final(
      config, final.read_architecture(str(tmp_path / 'whole/result.json')),
      tmp_path / 'final',
  )
  assert rows[0]['name'] == 'winner'
  names = {row['name'] for row in rows}
  scales = fields is MIXER
  assert ('width-scaled reference' in names) == scales
  assert ('accuracies' in rows[0]) == scales


def test_workers_give_the_same(tmp_path: pathlib.Path) -> None:
  """In processes of their own: how many threads XLA has is set once in each."""
  for name, executor in (
      ('alone', ()),
      ('many', ('--config.executor.name=processes',
                '--config.executor.workers=2')),
  ):
    fields = {**MIXER, 'executor.threads': 1}
    done = tiny.run_program(
        'search', '--config=tests/tiny.py', f'--workdir={tmp_path / name}',
        *(f'--config.{field}={value}' for field, value in fields.items()),
        *executor,
    )
    assert done.returncode == 0, done.stderr
  rewards = [
      [trial['reward'] for trial in _trials(tmp_path / name)]
      for name in ('alone', 'many')
  ]
  assert rewards[0] == rewards[1]


@pytest.mark.parametrize('schedule', ['sweep', 'model_guided'])
def test_a_built_in_space_as_own_modules_has_the_same_rewards(
    tmp_path: pathlib.Path, schedule: str
) -> None:
  for name in ('tests.tiny:space', 'tests.networks.flax_spaces:same_as_tiny'):
    run_search(tiny.changed(**{
        'space': name, 'search.schedule': schedule, 'budget.trials': 6,
        'target.high': 6e4, 'model.depthwise': 'native',
        'model.sync_batch_norm': False,
    }), tmp_path / name)
  built_in, own = map(_trials, sorted(tmp_path.iterdir(), reverse=True))
  for there, here in zip(built_in, own, strict=True):
    assert {**there, 'seconds': 0} == {**here, 'seconds': 0}
  assert len(own) >= 5


def test_another_module_continues_no_search(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  package = tmp_path / 'code'
  package.mkdir()
  source = (tiny.ROOT / 'examples' / 'mixer_space.py').read_text()
  (package / 'my_mixer_of_a_test.py').write_text(source)
  monkeypatch.syspath_prepend(str(package))
  config = tiny.changed(**{
      **MIXER, 'space': 'my_mixer_of_a_test:space', 'budget.trials': 1,
  })
  run_search(config, tmp_path / 'run')
  (package / 'my_mixer_of_a_test.py').write_text(
      source.replace('nn.gelu', 'nn.tanh')
  )
  monkeypatch.delitem(sys.modules, 'my_mixer_of_a_test')
  with pytest.raises(UserError, match='the content of space is not'):
    run_search(config, tmp_path / 'run')


def test_a_reward_that_the_task_lacks_is_one_line(
    tmp_path: pathlib.Path
) -> None:
  config = tiny.changed(**{**TABLE, 'reward': 'accuracy'})
  with pytest.raises(UserError, match=r"'accuracy': this task measures.*error"):
    run_search(config, tmp_path)
