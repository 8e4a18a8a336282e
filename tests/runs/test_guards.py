"""Command lines: what is wrong is one line and exit code 2, before all else.

The line names what is wrong, where, and what is allowed; nothing has been
written by then.
"""

import json
import pathlib

import pytest

from layernas.errors import UserError
from layernas.runs.final import read_architecture
from layernas.runs.final import run_final
from layernas.runs.run_search import run_search
from layernas.storage.workdir import Workdir
from tests import programs
from tests import tiny

_IMAGENET = {
    'data.source': 'tfds', 'data.name': 'imagenet2012',
    'data.directory': 'nowhere',
}
_IMAGENET_PARTS = (
    "data.name: 'imagenet2012'", 'ILSVRC2012_img_train.tar', '148 GB',
    'download_and_prepare()',
)


def _flags(changes: dict[str, object]) -> list[str]:
  return [f'--config.{name}={value}' for name, value in changes.items()]


# Program, flags behind --config and --workdir, what the line must have in it.
_COMMANDS = [
    ('search', ['--config=configs/nothing.py'],
     ['configs/nothing.py', 'allowed']),
    ('search', ['--config=configs/cifar10_small.py:tiny'],
     ["'tiny'", "'smoke'", 'allowed']),
    ('search', ['--config.model.width=3'],
     ['config.model.width', "unknown config field 'width'", "'dropout'"]),
    ('search', ['--config.search.visit.entry=3'],
     ['config.search.visit.entry', "'entries'"]),
    ('search', ['--config.nowhere.settings.x=1'],
     ['--config.nowhere.settings.x', "unknown config field 'nowhere'",
      "'search'"]),
    ('search', ['--config.data.image_size=large'],
     ['config.data.image_size', 'large']),
    ('search', ['--wordkir=x'], ['wordkir', 'workdir']),
    ('search', ['--process_count=two'],
     ["flag --process_count: 'two': allowed is a positive integer"]),
    ('search', ['--process_index=a: b'],
     ["flag --process_index: 'a: b': allowed is a non-negative integer"]),
    ('train', ['--recipe=none'],
     ["flag --recipe: 'none': allowed is one of ['final', 'training']"]),
    ('train', ['--seed=4294967296'],
     ["flag --seed: '4294967296': allowed is an integer in the range",
      '2147483647']),
    ('train', ['--limit=low'], ["flag --limit: 'low': allowed is a number"]),
    ('plan', ['--json=maybe'], ["flag --json: 'maybe': allowed is true or"]),
    ('plan', ['--compile_seconds=-1'],
     ["flag --compile_seconds: '-1': allowed is a non-negative number"]),
    ('search', ['stray'], ["argument 'stray'", 'allowed are flags only']),
    ('search', _flags(_IMAGENET), _IMAGENET_PARTS),
    ('search', ['--config.executor.name=slurm'],
     ["executor.name: 'slurm': allowed"]),
    ('search', ['--process_count=2', '--process_index=0'],
     ['flag --coordinator: missing']),
    ('search', ['--coordinator=localhost:1', '--process_count=2',
                '--process_index=2'],
     ['flag --process_index: 2: allowed is 0 to 1']),
    ('search', ['--coordinator=localhost:1'],
     ["flag --coordinator: 'localhost:1'"]),
    ('train', ['--coordinator=localhost:1', '--architecture=mobilenet_v2'],
     ["flag --coordinator: 'localhost:1'"]),
    ('train', [], ['flag --architecture', 'result.json', '--trial']),
    ('train', ['--architecture=0-1-0', '--trial=3'],
     ['flag --architecture', 'either']),
    ('train', ['--architecture=mobilenet_v2', '--recipe=training'],
     ["flag --recipe: 'training': allowed is 'final' with mobilenet_v2"]),
    ('train', ['--trial=3', '--recipe=final'],
     ["flag --recipe: 'final': allowed is 'training' with --trial"]),
    ('train', ['--trial=3', '--seed=1'],
     ['flag --seed: 1', 'option numbers']),
    ('train', ['--architecture=0-1'],
     ['architecture (0, 1): 2 options', 'each of the 3 layers']),
    ('train', ['--architecture=0-1-'],
     ["architecture '0-1-'", 'joined by dashes']),
    ('train', ['--architecture=0-2-0'],
     ['architecture (0, 2, 0)', "option 2 of layer 'kernel': allowed is 0 to"
      ' 1']),
    ('train', ['--trial=0'],
     ['has no trials.jsonl; allowed is the workdir of a search']),
    ('train', ['--trial=0', '--workdir='],
     ['flag --workdir: empty; allowed is a path']),
    ('status', [], ['has no status.json; allowed is the workdir of a search']),
]


@pytest.mark.parametrize(
    ('program', 'flags', 'parts'), _COMMANDS,
    ids=[f'{program} {" ".join(flags)[:40]}' for program, flags, _ in _COMMANDS]
)
def test_wrong_command_lines(
    tmp_path: pathlib.Path, program: str, flags: list[str], parts: list[str]
) -> None:
  workdir = tmp_path / 'workdir'
  # Of a flag given twice the last one counts.
  common = {
      'status': [str(workdir)], 'plan': ['--config=tests/tiny.py'],
  }.get(program, [f'--workdir={workdir}', '--config=tests/tiny.py'])
  done = programs.run(program, *common, *flags)
  assert done.returncode == 2, done.stderr
  assert not workdir.exists()
  [line] = [
      line for line in done.stderr.splitlines() if line.startswith('error: ')
  ]
  # TensorFlow writes lines of its own when it is imported.
  assert done.stderr.endswith(line + '\n')
  for part in parts:
    assert part in line


@pytest.mark.parametrize(('flags', 'part'), [
    ([], 'argument WORKDIR: missing'),
    (['a', 'b'], "argument 'b': allowed are WORKDIR and flags"),
])
def test_status_takes_one_workdir(flags: list[str], part: str) -> None:
  done = programs.run('status', *flags)
  assert done.returncode == 2
  assert part in done.stderr


_PROGRAM = """
import sys
from absl import flags
from layernas import errors
from layernas.runs import cli
config = cli.define_config('A config.')
flags.DEFINE_string('raised', '', 'What is raised.')
def main():
  print(cli.config_of(config).search.to_json())
  if name := flags.FLAGS.raised:
    try:
      raise getattr(errors, name, KeyboardInterrupt)('one\\n of two')
    except Exception as error:
      if name == 'Preempted':
        raise RuntimeError('taken for a failure') from error
      raise
cli.run(main)
"""


@pytest.mark.parametrize(('raised', 'code', 'said'), [
    ('', 0, ''),
    ('UserError', 2, 'error: one of two\n'),
    ('TrialError', 1, 'error: one\n of two\n'),
    ('Preempted', 0, 'preempted: one\n of two; the same command goes on from'
     ' here\n'),
    ('KeyboardInterrupt', 130, 'interrupted; the same command goes on from'
     ' here\n'),
])
def test_how_programs_end(
    tmp_path: pathlib.Path, raised: str, code: int, said: str
) -> None:
  path = tmp_path / 'program.py'
  path.write_text(_PROGRAM)
  done = programs.run(
      path, '--config=tests/tiny.py', f'--raised={raised}',
      '--config.search.settings.rate=0.5', '--config.search.settings.of=abc',
  )
  assert done.returncode == code, done.stderr
  [fields, *printed] = done.stdout.splitlines(keepends=True)
  assert json.loads(fields)['settings'] == {'rate': 0.5, 'of': 'abc'}
  assert ''.join(printed) + done.stderr == said


# Changed fields, what the error must have in it.
_SEARCH = {
    'other classes': (
        {'data.num_classes': 1000},
        ('data.num_classes: 1000', 'allowed is 10,', 'cifar10_subset'),
    ),
    'unknown space': (
        {'space': 'mobilenet_v9'},
        ("space: 'mobilenet_v9'", "'mobilenet_v3_small'", 'module:function'),
    ),
    'images too small': (
        {'space': 'tests.tiny:deep_space', 'data.image_size': 8},
        ('data.image_size: 8', 'too small for the strides', 'at least 16'),
    ),
    'limit below the cheapest network': (
        {'target.high': 5.0},
        ('target interval [-inf, 5]', 'reachable are 35,152 to 66,000 MAdds'),
    ),
    'limit above the largest network': (
        {'target.low': 1e12},
        ('target interval [1,000,000,000,000, inf]', '35,152 to 66,000 MAdds'),
    ),
    'interval upside down': (
        {'target.low': 5e4, 'target.high': 4e4}, ('target',),
    ),
    'batch larger than the data': (
        {'training.batch_size': 9000},
        ('training.batch_size: 9000', 'at most 8000'),
    ),
    'fewer than no networks ahead': (
        {'compile_ahead': -1}, ('compile_ahead: -1', 'integers >= 0'),
    ),
    'missing folder': (
        {'data.source': 'folder', 'data.directory': 'nowhere'},
        ("data.directory: 'nowhere'", 'no such directory', 'train/CLASS/'),
    ),
    'unknown source': ({'data.source': 'web'}, ('data.source',)),
    'no learning rate': ({'training.learning_rate': 0.0}, ('learning_rate',)),
    'unknown optimizer': ({'training.optimizer': 'adamw'}, ('adamw',)),
    'early stop without layer tables': (
        {'early_stop.fraction': 0.5, 'search.schedule': 'model_guided'},
        ('early_stop.fraction',),
    ),
    'unknown reward': (
        {'reward': 'beauty'},
        ("reward: 'beauty'", "'accuracy', 'top5', 'loss'", 'module:function'),
    ),
    'unknown metric': ({'cost.metric': 'watts'}, ('watts',)),
}


@pytest.mark.parametrize('case', _SEARCH)
def test_wrong_fields_of_a_search(case: str, tmp_path: pathlib.Path) -> None:
  changes, parts = _SEARCH[case]
  with pytest.raises(UserError) as error:
    run_search(tiny.changed(**changes), tmp_path / 'workdir')
  for part in parts:
    assert part in str(error.value)
  assert not (tmp_path / 'workdir').exists()


_FINAL = {
    'images too small': (
        'mobilenet_v2', {},
        ('data.image_size: 16', 'too small for the strides', 'at least 32'),
    ),
    'batch larger than the data': (
        None, {'final.batch_size': 11000},
        ('final.batch_size: 11000', 'at most 10000'),
    ),
    'no seed': (
        None, {'reference.seeds': 0}, ('reference.seeds: 0', 'at least one'),
    ),
    'no such rule of width': (
        None, {'reference.rule': 'paper'},
        ("reference.rule: 'paper'", "['proportional', 'published']"),
    ),
    'no divisor': (
        None, {'reference.divisor': 0},
        ('reference.divisor: 0', 'at least one'),
    ),
}


@pytest.mark.parametrize('case', _FINAL)
def test_wrong_fields_of_a_final_training(
    case: str, tmp_path: pathlib.Path
) -> None:
  name, changes, parts = _FINAL[case]
  network = read_architecture(name or str(tiny.result_file(tmp_path)))
  with pytest.raises(UserError) as error:
    run_final(tiny.changed(**changes), network, tmp_path / 'workdir')
  for part in parts:
    assert part in str(error.value)
  assert not (tmp_path / 'workdir').exists()


@pytest.mark.parametrize('field', ['batch_size', 'evaluation_batch_size'])
@pytest.mark.parametrize(('program', 'section'), [
    ('search', 'training'), ('train', 'final'),
])
def test_batch_that_devices_cannot_share(
    tmp_path: pathlib.Path, program: str, section: str, field: str
) -> None:
  flags = {'train': [f'--architecture={tiny.result_file(tmp_path)}']}
  done = programs.run(
      program, '--config=tests/tiny.py', f'--workdir={tmp_path}/run',
      f'--config.{section}.batch_size=200',
      f'--config.{section}.{field}=100', *flags.get(program, ()), devices=8,
  )
  assert done.returncode == 2
  assert f'{section}.{field}: 100: allowed are multiples of 8' in done.stderr
  assert not (tmp_path / 'run').exists()


def _run(program: str, tmp_path: pathlib.Path, workdir: pathlib.Path) -> None:
  config = tiny.changed(seed=7)
  if program == 'search':
    run_search(config, workdir)
  else:
    network = read_architecture(str(tiny.result_file(tmp_path)))
    run_final(config, network, workdir)


@pytest.mark.parametrize('program', ['search', 'train'])
def test_workdirs_of_something_else(
    tmp_path: pathlib.Path, program: str
) -> None:
  (tmp_path / 'file').write_text('mine')
  with pytest.raises(UserError, match='file: allowed is a directory'):
    _run(program, tmp_path, tmp_path / 'file')
  another = tmp_path / 'another'
  another.mkdir()
  text = json.dumps(tiny.get_config().to_dict())
  (another / 'config.json').write_text(text)
  with pytest.raises(UserError, match=r'seed was 0 and is 7.*another workdir'):
    _run(program, tmp_path, another)
  assert [path.name for path in another.iterdir()] == ['config.json']
  assert (another / 'config.json').read_text() == text


def test_workdir_of_another_network(tmp_path: pathlib.Path) -> None:
  """A search that went on may have found another winner."""
  workdir = tmp_path / 'another'
  directory = Workdir(workdir)
  directory.open(tiny.get_config())
  directory.close()
  (workdir / 'networks.json').write_text(json.dumps(
      {'winner': tiny.space().network((0, 0, 0)).to_dict()}
  ))
  network = read_architecture(str(tiny.result_file(tmp_path)))
  with pytest.raises(UserError, match='belongs to the training of another'):
    run_final(tiny.get_config(), network, workdir)


@pytest.mark.parametrize(('content', 'part'), [
    (None, 'allowed are an existing result.json'),
    ('{"winner": null}', 'no winner'),
    ('{', 'allowed is a readable JSON file'),
    ('{"winner": {"network": {"stem": 1}}}', 'network'),
    ('{"winner": 3}', 'result.json: is damaged: .*; allowed is the file'),
])
def test_wrong_architecture(
    tmp_path: pathlib.Path, content: str | None, part: str
) -> None:
  path = tmp_path / 'result.json'
  if content is not None:
    path.write_text(content)
  with pytest.raises(UserError, match=part):
    read_architecture(str(path))


@pytest.mark.long
@pytest.mark.parametrize(('program', 'flags'), [
    ('search', ['--config=tests/tiny.py']),
    ('train', ['--config=tests/tiny.py', '--architecture=0-0-0']),
    ('train', ['--config=tests/tiny.py', '--architecture=mobilenet_v2',
               '--config.data.image_size=32']),
    ('latency', ['--config=tests/tiny.py']),
    ('audit', ['--config=configs/study/audit.py:smoke']),
    ('benchmark', ['--config=configs/study/nats.py:topology,smoke']),
    ('trace', ['--config=configs/study/nats.py:topology,smoke',
               '--benchmark=nats_tss_c10', '--method=layernas']),
])
def test_every_program_refuses_what_can_be_no_workdir(
    tmp_path: pathlib.Path, program: str, flags: list[str]
) -> None:
  (tmp_path / 'file').write_text('')
  for path in (tmp_path / 'file' / 'below', tmp_path / ('x' * 300)):
    done = programs.run(program, *flags, f'--workdir={path}')
    [line] = done.stderr.splitlines()
    assert done.returncode == 2
    assert line.startswith(f'error: workdir {path}')
    assert 'allowed is a directory that can be made and written' in line
