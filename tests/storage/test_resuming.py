"""Which configs and inputs a run may go on with."""

import pathlib

import pytest

from configs.study import default as study
from layernas.errors import UserError
from layernas.storage import resuming
from layernas.storage.resuming import FINAL
from layernas.storage.resuming import LATENCY
from layernas.storage.resuming import SEARCH
from layernas.storage.resuming import STUDY
from layernas.storage.resuming import Input
from tests import tiny


def _changed(**changes: object) -> dict[str, object]:
  return tiny.changed(**changes).to_dict()


def _names(
    recorded: dict[str, object], config: dict[str, object],
    rules: resuming.Rules = SEARCH,
) -> list[str]:
  return [
      name for name, _, _ in resuming.differences(recorded, config, rules)
  ]


_FREE = {
    'budget.trials': 200, 'budget.seconds': 9.0, 'compile_ahead': 0,
    'raise_failures': True, 'profile.steps': 3, 'executor.name': 'processes',
    'executor.retries': 7, 'executor.per_device': 2,
    'training.checkpoint_every_steps': 9,
    'training.log_every_steps': 9, 'final.epochs': 9.0, 'latency.repeats': 9,
    'reference.seeds': 9, 'data.augment_on': 'device',
}


@pytest.mark.parametrize('name', _FREE)
def test_what_changes_no_search_may_differ(name: str) -> None:
  assert not _names(_changed(), _changed(**{name: _FREE[name]}))


_DECIDE = {
    'seed': 3, 'executor.threads': 2, 'executor.devices': 2,
    'training.epochs': 9.0, 'model.dropout': 0.5, 'search.buckets': 9,
    'target.high': 9.0, 'reward': 'loss', 'data.crop_padding': 1,
    'early_stop.fraction': 0.5, 'cost.metric': 'params',
}


@pytest.mark.parametrize('name', _DECIDE)
def test_what_decides_a_search_may_not(name: str) -> None:
  assert _names(_changed(), _changed(**{name: _DECIDE[name]})) == [name]
  # Neither where the recorded config lacks the field.
  recorded = _changed()
  *sections, field = name.split('.')
  section = recorded
  for one in sections:
    section = section[one]
  del section[field]
  assert _names(recorded, _changed(**{name: _DECIDE[name]})) == [name]


def test_absent_fields_and_sections_stand_at_their_defaults() -> None:
  recorded = _changed()
  del recorded['profile'], recorded['early_stop'], recorded['model']['dtype']
  del recorded['search']['visit']['select'], recorded['cost']['settings']
  assert not _names(recorded, _changed())


def test_fields_that_came_later_count_as_what_was_done_before() -> None:
  recorded = _changed()
  del recorded['reward'], recorded['reference']['trainings']
  assert not _names(recorded, _changed(**{
      'reward': 'accuracy', 'reference.trainings': 0,
  }))
  assert _names(recorded, _changed(**{
      'reward': 'loss', 'reference.trainings': 3,
  })) == ['reference.trainings', 'reward']


@pytest.mark.parametrize(('section', 'schedule'), [
    ('guided.batch', 'model_guided'), ('visit.entries', 'interleaved'),
])
def test_settings_of_another_schedule_may_differ(
    section: str, schedule: str
) -> None:
  def config(name: str, value: int) -> dict[str, object]:
    return _changed(**{
        'search.schedule': name, f'search.{section}': value,
    })

  assert not _names(config('sweep', 3), config('sweep', 4))
  assert _names(config(schedule, 3), config(schedule, 4)) == [
      f'search.{section}'
  ]
  assert f'search.{section}' in _names(config('sweep', 3), config(schedule, 4))


def test_what_decides_other_runs() -> None:
  other = _changed(**{
      'search.buckets': 9, 'training.epochs': 9.0, 'reference.seeds': 9,
      'budget.trials': 9, 'cost.metric': 'params', 'target.high': 9.0,
  })
  assert not _names(_changed(), other, FINAL)
  assert _names(_changed(), _changed(**{'final.epochs': 9.0}), FINAL) == [
      'final.epochs'
  ]
  other = _changed(**{'search.buckets': 9, 'cost.latency_table': 'x.csv'})
  assert not _names(_changed(), other, LATENCY)
  assert _names(_changed(), _changed(**{'latency.repeats': 9}), LATENCY)


def _study(**changes: object) -> dict[str, object]:
  config = study.get_config()
  config.benchmarks.own = study.benchmark(
      table__file='x.csv', rewards=('a', 'b'), report='c', **changes
  )
  config.benchmarks.own.published.others = (1.0, 2.0, 'a paper')
  config.methods.layernas = study.method('layernas', buckets=5)
  config.methods.random = study.method('random')
  return config.to_dict()


def test_fields_of_a_study() -> None:
  assert not _names(_study(), _study(signal='words', seeds=3), STUDY)
  assert _names(_study(), _study(noise=0.1), STUDY) == ['benchmarks.own.noise']
  older = _study()
  del older['benchmarks']['own']['noise']
  del older['methods']['layernas']['settings']['guided']
  del older['methods']['random']['finalists']
  assert not _names(older, _study(), STUDY)
  assert _names(older, _study(noise=0.1), STUDY) == ['benchmarks.own.noise']
  # A benchmark that the study did not have is none at its defaults.
  del older['benchmarks']['own']
  assert 'benchmarks.own.noise' in _names(older, _study(), STUDY)


def test_settings_say_that_they_were_not_set() -> None:
  recorded, config = _changed(), _changed()
  config['search']['settings'] = {'rounds': 3}
  with pytest.raises(UserError) as error:
    resuming.check_config('workdir w', recorded, config, SEARCH)
  assert str(error.value) == (
      'workdir w: belongs to a run of another config (search.settings.rounds'
      ' was not set and is 3); allowed is the same config (its'
      ' config.json is one for --config), or another workdir'
  )


@pytest.mark.parametrize(('before', 'now', 'same'), [
    ('~/images', 'HOME/images/', True), ('images', 'HERE/images', True),
    ('$HOME/images', '~/images', True), ('~/images', '~/others', False),
    ('gs://bucket/images', 'gs://bucket/images/', True), ('', '.', False),
    ('$NOT_SET_ANYWHERE/images', '~/images', False),
])
def test_one_path_in_several_spellings(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, before: str,
    now: str, same: bool,
) -> None:
  here = tmp_path / 'here'
  here.mkdir()
  monkeypatch.chdir(here)
  monkeypatch.setenv('HOME', str(tmp_path))
  now = now.replace('HOME', str(tmp_path)).replace('HERE', str(here))
  for name in ('data.directory', 'cost.latency_table'):
    found = _names(_changed(**{name: before}), _changed(**{name: now}))
    assert found == ([] if same else [name])
  # Other fields are no paths.
  assert _names(_changed(reward='~/a'), _changed(reward='~/a/')) == ['reward']


def test_a_config_that_is_none() -> None:
  with pytest.raises(UserError, match='holds no config'):
    resuming.check_config('workdir w', [3], _changed(), SEARCH)


def test_inputs_are_compared_by_content() -> None:
  first = Input('data', resuming.digest({'a': 1}), '3 images')
  recorded = resuming.inputs_to_dict([first])
  # New ones are recorded by later versions.
  resuming.check_inputs('w', recorded, [first, Input('space', 'x', 'y')])
  other = Input('data', resuming.digest({'a': 2}), '4 images')
  with pytest.raises(UserError) as error:
    resuming.check_inputs('workdir w', recorded, [other])
  assert str(error.value) == (
      'workdir w: the content of data is not what its run began with (it was 3'
      ' images, and is 4 images); allowed is the same content, or another'
      ' workdir'
  )


def test_only_comments_of_own_code_may_change(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  file = tmp_path / 'own_code_of_test_resuming.py'
  file.write_text('def one(): pass\n')
  monkeypatch.syspath_prepend(tmp_path)

  def digest_of(text: str) -> str:
    file.write_bytes(text.encode())
    [found] = resuming.code_inputs({'space': f'{file.stem}:one'})
    return found.digest

  for before in ('', '# ä\n', '\f\n', "text = 'a\u2028b'\n", 'x = 1\r\n'):
    code = before + 'def one(): return 1'
    digest = digest_of(code + '\n')
    assert digest_of(code + '  # of it\n\n# more\n') == digest
    assert digest_of(code + '0\n') != digest
    assert digest_of(code + '0  # of it\n') != digest
