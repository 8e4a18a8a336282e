"""--config and changes of its fields, in every form that flags have."""

import json
import pathlib
from typing import Any

import pytest
from ml_collections import ConfigDict

from layernas.errors import UserError
from layernas.runs import config_flag
from layernas.runs import flag_files
from tests import programs
from tests import tiny


def _changed(*arguments: str) -> ConfigDict:
  config = tiny.get_config()
  rest, overrides = config_flag.split(arguments)
  assert rest == []
  config_flag.override(config, overrides)
  return config


@pytest.mark.parametrize(('arguments', 'field', 'value'), [
    (['--config.search.buckets=3'], 'search.buckets', 3),
    (['--config.search.buckets', '3'], 'search.buckets', 3),
    (['-config.search.buckets=3'], 'search.buckets', 3),
    (['-config.seed', '-3'], 'seed', -3),
    (['--config.seed=1', '--config.seed=2'], 'seed', 2),
    (['--config.training.epochs=5'], 'training.epochs', 5.0),
    (['--config.space=a=b:c'], 'space', 'a=b:c'),
    (['--config.data.name='], 'data.name', ''),
    (['--config.model.sync_batch_norm=false'], 'model.sync_batch_norm', False),
    (['--noconfig.model.sync_batch_norm'], 'model.sync_batch_norm', False),
    (['--config.raise_failures'], 'raise_failures', True),
    (['--config.search.guided.optimism=1,2.5'], 'search.guided.optimism',
     (1.0, 2.5)),
    (['--config.search.guided.optimism=(1, 2)'], 'search.guided.optimism',
     (1.0, 2.0)),
    (['--config.search.guided.optimism=1',
      '--config.search.guided.optimism=3'], 'search.guided.optimism',
     (1.0, 3.0)),
    (['--config.target.high=1.8e6'], 'target.high', 1.8e6),
    (['--config.target.high', '3'], 'target.high', 3.0),
    (['--config.target.high=(1.2e6,1.8e6,2.4e6)'], 'target.high',
     (1.2e6, 1.8e6, 2.4e6)),
    (['--config.target.high=2,1'], 'target.high', (2.0, 1.0)),
    (['--config.target.high=1,2', '--config.target.high=3'], 'target.high',
     3.0),
    (['--config.limits.params=5e6'], 'limits.params', 5e6),
    (['--config.limits.params', '7'], 'limits.params', 7),
    (["--config.limits={'params': 4}"], 'limits.params', 4),
    (["--config.search={'visit': {'entries': 4}}"], 'search.visit.entries', 4),
    (['--config.cost.settings.bits=8'], 'cost.settings.bits', 8),
    (['--config.cost.settings.of', 'abc'], 'cost.settings.of', 'abc'),
])
def test_changes(arguments: list[str], field: str, value: Any) -> None:
  found: Any = _changed(*arguments)
  for part in field.split('.'):
    found = found[part]
  assert found == value
  assert type(found) is type(value)


@pytest.mark.parametrize(('arguments', 'parts'), [
    (['--config.serch.buckets=3'],
     ['flag --config.serch.buckets', "'serch'", "did you mean 'search'",
      "'budget'"]),
    (['--config.search.buckets.of=3'], ["'of'", 'none below it']),
    (['--config.search.buckets', 'x'], ["'x'", 'allowed is an integer']),
    (['--config.search.buckets', '--config.seed=1'], ['no value']),
    (['--noconfig.seed'], ['allowed is an integer']),
    (['--config.target.high=much'], ["'much'", 'allowed is a number']),
    (['--config.target.high=1,x'], ["'1,x'", 'several joined by commas']),
    (['--config.target.high='], ["''", 'allowed is a number']),
    (['--config.target.high'], ['no value']),
    (['--config.limits.params.of=1'], ['limits.params.of', "'params'"]),
    (['--config.raise_failures=perhaps'], ['allowed is true or false']),
    (['--config.search.guided.optimism=1,x'], ["'x'", 'values as in (0.0']),
    (['--config.search=3'], ['a dict of its fields']),
    (["--config.search={'bucket': 3}"], ['config.search.bucket:', "'buckets'"]),
    (['--config.=3'], ["field ''"]),
])
def test_wrong_changes(arguments: list[str], parts: list[str]) -> None:
  with pytest.raises(UserError) as error:
    _changed(*arguments)
  for part in parts:
    assert part in str(error.value)


@pytest.mark.parametrize(('content', 'argument', 'parts'), [
    ('x = 1', '', ['no function get_config']),
    ('def get_config():\n  return 3', '', ['returned a int', 'a ConfigDict']),
    ('def get_config():\n  return 3', ':a', ['allowed as an argument', 'none']),
    ('def get_config(word):\n  return 3', '', ['FILE.py:ARGUMENT']),
    ('\n1 +', '', ['line 2: SyntaxError']),
    ('import nowhere_to_be_found', '', ['line 1: ModuleNotFoundError']),
    ('def get_config():\n  return 1 / 0', '', ['line 2: ZeroDivisionError']),
    ("def get_config():\n  raise ValueError('no\\nsense')", '', ['no\nsense']),
])
def test_wrong_files(
    tmp_path: pathlib.Path, content: str, argument: str, parts: list[str]
) -> None:
  file = tmp_path / 'a:b.py'
  file.write_text(content)
  with pytest.raises(UserError) as error:
    config_flag.load(f'{file}{argument}')
  for part in [f"flag --config: '{file}", *parts]:
    assert part in str(error.value)


def test_flag_files(tmp_path: pathlib.Path) -> None:
  inner, outer = tmp_path / 'inner', tmp_path / 'outer'
  inner.write_bytes(b'\xef\xbb\xbf--config.seed 3\r\n\r\n// no flag\r\n')
  outer.write_text(f'# no flag\n  --a=b c\n--flagfile={inner}\n')
  assert flag_files.expanded(['program', '--flagfile', str(outer), 'x']) == [
      'program', '--a=b c', '--config.seed', '3', 'x'
  ]


def test_wrong_flag_files(tmp_path: pathlib.Path) -> None:
  own = tmp_path / 'own'
  own.write_text(f'--flagfile={own}')
  with pytest.raises(UserError, match='names itself'):
    flag_files.expanded([f'--flagfile={own}'])
  with pytest.raises(UserError, match='No such file'):
    flag_files.expanded(['--flagfile=nothing'])


@pytest.mark.parametrize('form', ['space', 'flag file'])
def test_mistyped_field_is_one_line(tmp_path: pathlib.Path, form: str) -> None:
  if form == 'space':
    flags = ['--config', 'tests/tiny.py', '--workdir', f'{tmp_path}/run']
  else:
    file = tmp_path / 'run.flags'
    file.write_text(f'--config=tests/tiny.py\n--workdir={tmp_path}/run\n')
    flags = [f'--flagfile={file}']
  done = programs.run('search', *flags, '--config.serch.buckets=3')
  assert done.returncode == 2
  assert done.stderr.count('\n') == 1
  assert done.stderr.startswith('error: flag --config.serch.buckets: ')
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(('change', 'part'), [
    ('--config.final.epoch=5', "did you mean 'epochs'"),
    ('--config.final.epochs=long', "'long': allowed is a number"),
    # Only what is changed refuses it: nothing is trained.
    ('--config.final.batch_size=11000', 'final.batch_size: 11000'),
])
def test_fields_of_a_recorded_config(
    tmp_path: pathlib.Path, change: str, part: str
) -> None:
  found = tiny.result_file(tmp_path)
  done = programs.run('train', f'--architecture={found}', change)
  assert done.returncode == 2
  [line] = [
      line for line in done.stderr.splitlines() if line.startswith('error: ')
  ]
  assert part in line
  assert not (found.parent / 'final').exists()


def test_a_config_that_lies_below(tmp_path: pathlib.Path) -> None:
  """As the configs of studies do since they moved."""
  (tmp_path / 'study').mkdir()
  (tmp_path / 'study' / 'mine.py').touch()
  with pytest.raises(UserError) as error:
    config_flag.load(f'{tmp_path}/mine.py:smoke')
  assert (
      f"'{tmp_path}/mine.py': no such file (did you mean"
      f" '{tmp_path}/study/mine.py'?); allowed is"
  ) in str(error.value)


def test_a_config_that_is_no_python(tmp_path: pathlib.Path) -> None:
  (tmp_path / 'config.yaml').write_text('{}')
  with pytest.raises(UserError, match=r"yaml': no Python file; allowed"):
    config_flag.load(f'{tmp_path}/config.yaml')


def test_the_config_that_a_workdir_holds(tmp_path: pathlib.Path) -> None:
  """Also one that lacks fields; what it has no field for counts as before."""
  file = tmp_path / 'config.json'
  fields = tiny.changed(**{'search.buckets': 7}).to_dict()
  del fields['reward'], fields['reference']['trainings'], fields['profile']
  file.write_text(json.dumps(fields))
  config = config_flag.load(str(file))
  assert (config.search.buckets, config.search.schedule) == (7, 'sweep')
  assert (config.reward, config.reference.trainings) == ('accuracy', 0)
  assert config.profile.steps == 0
  with pytest.raises(AttributeError):
    config.another = 1


@pytest.mark.parametrize(('name', 'value', 'allowed'), [
    ('budget.trials', [1, 2], 'an integer'),
    ('budget.trials', True, 'an integer'),
    ('training.epochs', '2', 'a number'),
    ('raise_failures', 1, 'true or false'),
    ('search.known', ['a'], 'text'),
    ('data.mean', 0.5, 'a list of values as in the default'),
    ('search.guided.optimism', ['a'], 'a list of values as in the default'),
    ('search.visit', 3, 'a dict of its fields'),
])
def test_a_workdirs_field_of_another_type_is_named(
    tmp_path: pathlib.Path, name: str, value: object, allowed: str
) -> None:
  fields = tiny.changed().to_dict()
  *sections, field = name.split('.')
  section = fields
  for part in sections:
    section = section[part]
  section[field] = value
  (tmp_path / 'config.json').write_text(json.dumps(fields))
  with pytest.raises(UserError) as error:
    config_flag.load(f'{tmp_path}/config.json')
  assert str(error.value).endswith(
      f'config.json: {name}: {value!r}: allowed is {allowed}'
  )


def test_a_workdirs_numbers_may_be_whole_and_its_limits_several(
    tmp_path: pathlib.Path
) -> None:
  fields = tiny.changed().to_dict()
  fields['training']['epochs'], fields['target']['high'] = 2, [1, 2]
  (tmp_path / 'config.json').write_text(json.dumps(fields))
  config = config_flag.load(f'{tmp_path}/config.json')
  assert (config.training.epochs, list(config.target.high)) == (2, [1, 2])


def test_an_unknown_field_in_a_config_file_is_one_short_line(
    tmp_path: pathlib.Path
) -> None:
  (tmp_path / 'mine.py').write_text(
      'from configs import cifar10_small\n'
      'def get_config():\n'
      '  config = cifar10_small.get_config()\n'
      '  config.sead = 3\n'
  )
  with pytest.raises(UserError) as error:
    config_flag.load(f'{tmp_path}/mine.py')
  assert 'line 4: AttributeError: Key "sead" does not' in str(error.value)
  assert len(str(error.value)) < 300


@pytest.mark.parametrize('text', ['{}', '[]', '{"benchmarks": {}}', '{'])
def test_a_file_that_holds_no_config(
    tmp_path: pathlib.Path, text: str
) -> None:
  file = tmp_path / 'config.json'
  file.write_text(text)
  with pytest.raises(UserError, match='allowed is'):
    config_flag.load(str(file))


@pytest.mark.parametrize(('program', 'config', 'field', 'fields'), [
    ('benchmark', 'configs/cifar10_small.py:smoke', 'benchmarks', 'study/'),
    pytest.param(
        'search', 'configs/study/own_table.py:smoke', 'executor', '',
        marks=pytest.mark.long,
    ),
    pytest.param(
        'latency', 'configs/study/own_table.py:smoke', 'latency', '',
        marks=pytest.mark.long,
    ),
])
def test_a_config_of_another_program(
    tmp_path: pathlib.Path, program: str, config: str, field: str, fields: str
) -> None:
  done = tiny.run_program(
      program, f'--config={config}', f'--workdir={tmp_path}/run'
  )
  assert done.returncode == 2
  assert done.stderr == (
      f"error: flag --config: '{config}': has no field {field!r}; allowed is a"
      f' config with the fields of configs/{fields}default.py\n'
  )


def test_a_required_flag_that_is_not_given_is_missing() -> None:
  done = programs.run(
      tiny.ROOT / 'tools' / 'convert_nats_bench.py', '--source=a', '--output=b'
  )
  assert (done.returncode, done.stderr) == (
      2, 'error: flag --space: missing; see --help\n'
  )
