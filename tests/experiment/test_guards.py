"""Every guard, over the command line of both programs.

Wrong input ends a program with exit code 2 and one line that names what is
wrong, where, and what is allowed; nothing has been written by then.
"""

import json
import multiprocessing
import os
import pathlib
import runpy
import sys
from collections.abc import Sequence

import pytest

from layernas.storage.workdir import Workdir
from tests import tiny

_CONFIG = '--config=tests/tiny.py'
_IMAGENET = (
    '--config.data.source=tfds', '--config.data.name=imagenet2012',
    '--config.data.directory=nowhere',
)
_IMAGENET_PARTS = (
    "data.name: 'imagenet2012'", 'ILSVRC2012_img_train.tar', '148 GB',
    'download_and_prepare()',
)

# Case -> flags behind --config, what the line must have in it.
_BOTH = {
    'ImageNet is missing': (_IMAGENET, _IMAGENET_PARTS),
    'folder is missing': (
        ('--config.data.source=folder', '--config.data.directory=nowhere'),
        ("data.directory: 'nowhere'", 'no such directory', 'train/CLASS/'),
    ),
    'other classes': (
        ('--config.data.num_classes=1000',),
        ('data.num_classes: 1000', 'allowed is 10,', 'cifar10_subset'),
    ),
    'unknown space': (
        ('--config.space=mobilenet_v9',),
        ("space: 'mobilenet_v9'", "'mobilenet_v3_small'", 'module:function'),
    ),
    'unknown field': (
        ('--config.model.width=3',),
        ('config.model.width', "unknown config field 'width'", "'dropout'"),
    ),
    'unknown field of a section below': (
        ('--config.search.visit.entry=3',),
        ('config.search.visit.entry', "'entries'"),
    ),
    'value of another type': (
        ('--config.data.image_size=large',),
        ('config.data.image_size', 'large'),
    ),
    'unknown argument of the config': (
        ('--config=configs/imagenet_v2_300m.py:tiny',),
        ("'tiny'", "'smoke'", "'mobilenet_v3'", 'allowed'),
    ),
    'no such config': (
        ('--config=configs/nothing.py',), ('configs/nothing.py', 'allowed'),
    ),
}
_SEARCH = _BOTH | {
    'images too small': (
        ('--config.space=tests.tiny:deep_space', '--config.data.image_size=8'),
        ('data.image_size: 8', 'too small for the strides', 'at least 16'),
    ),
    'limit below the cheapest network': (
        ('--config.target.high=5.0',),
        ('target interval [-inf, 5]', 'reachable are 35,152 to 66,000 MAdds'),
    ),
    'limit above the largest network': (
        ('--config.target.low=1e12',),
        ('target interval [1e+12, inf]', '35,152 to 66,000 MAdds'),
    ),
    'batch larger than the data': (
        ('--config.training.batch_size=9000',),
        ('training.batch_size: 9000', 'at most 8000'),
    ),
    'fewer than no networks ahead': (
        ('--config.compile_ahead=-1',), ('compile_ahead: -1', 'integers >= 0'),
    ),
}
_TRAIN = _BOTH | {
    'unknown network': (
        ('--architecture=mobilenet_v9',),
        ("flag --architecture: 'mobilenet_v9'", "'mobilenet_v2'",
         'result.json'),
    ),
    'images too small': (
        ('--architecture=mobilenet_v2', '--config.data.image_size=16'),
        ('data.image_size: 16', 'too small for the strides', 'at least 32'),
    ),
    'batch larger than the data': (
        ('--config.final.batch_size=11000',),
        ('final.batch_size: 11000', 'at most 10000'),
    ),
    'no seed': (
        ('--config.reference.seeds=0',),
        ('reference.seeds: 0', 'at least one'),
    ),
    'no divisor': (
        ('--config.reference.divisor=0',),
        ('reference.divisor: 0', 'at least one'),
    ),
}
_ALL = [
    (program, case, *row)
    for program, table in (('search', _SEARCH), ('train', _TRAIN))
    for case, row in table.items()
]
_FIELDS = {'search': 'training', 'train': 'final'}


def _in_child(command: Sequence[str], devices: int, errors: str) -> None:
  """Becomes a program whose error stream is a file."""
  os.chdir(tiny.ROOT)
  os.environ['XLA_FLAGS'] = (
      f'--xla_force_host_platform_device_count={devices}'
  )
  file = os.open(errors, os.O_CREAT | os.O_WRONLY)
  os.dup2(file, 2)
  sys.argv = list(command)
  runpy.run_path(command[0], run_name='__main__')


class Programs:
  """Runs the programs as processes that have imported JAX already."""

  def __init__(self, directory: pathlib.Path):
    self._directory = directory
    self._context = multiprocessing.get_context('forkserver')
    self._context.set_forkserver_preload([
        'layernas.runs.run_search', 'layernas.runs.final'
    ])
    network = tiny.space().network((0, 1, 1)).to_dict()
    self.found = directory / 'result.json'
    self.found.write_text(json.dumps({
        'winner': {'network': network}, 'config': tiny.get_config().to_dict()
    }))

  def refusal(
      self, program: str, *flags: str, workdir: pathlib.Path | None = None,
      devices: int = 1, config: bool = True,
  ) -> str:
    """The line of a refused command, which has written nothing."""
    workdir = workdir or self._directory / 'workdir'
    before = _content(self._directory)
    # Of a flag given twice the last one counts.
    command = [f'experiments/{program}.py', f'--workdir={workdir}']
    if program == 'train':
      command.append(f'--architecture={self.found}')
    if config:
      command.append(_CONFIG)
    errors = self._directory / 'errors'
    process = self._context.Process(
        target=_in_child, args=([*command, *flags], devices, str(errors))
    )
    process.start()
    process.join(120)
    text = errors.read_text()
    errors.unlink()
    assert process.exitcode == 2, text
    assert _content(self._directory) == before
    assert 'Traceback' not in text
    [line] = [
        line for line in text.splitlines() if line.startswith('error: ')
    ]
    # TensorFlow writes lines of its own when it is imported.
    assert text.endswith(line + '\n')
    return line


def _content(directory: pathlib.Path) -> dict[str, bytes | None]:
  """Every file and directory below one."""
  return {
      str(path): path.read_bytes() if path.is_file() else None
      for path in sorted(directory.rglob('*'))
  }


@pytest.fixture(name='programs')
def _programs(tmp_path: pathlib.Path) -> Programs:
  return Programs(tmp_path)


@pytest.mark.parametrize(
    ('program', 'case', 'flags', 'parts'), _ALL,
    ids=[f'{program}: {case}' for program, case, *_ in _ALL],
)
def test_wrong_input_is_refused(
    programs: Programs, program: str, case: str, flags: tuple[str, ...],
    parts: tuple[str, ...],
) -> None:
  line = programs.refusal(program, *flags)
  for part in parts:
    assert part in line, case


@pytest.mark.parametrize('field', ['batch_size', 'evaluation_batch_size'])
@pytest.mark.parametrize('program', _FIELDS)
def test_batch_that_devices_cannot_share(
    programs: Programs, program: str, field: str
) -> None:
  name = f'{_FIELDS[program]}.{field}'
  line = programs.refusal(
      program, f'--config.{_FIELDS[program]}.batch_size=200',
      f'--config.{name}=100', devices=8,
  )
  assert f'{name}: 100: allowed are multiples of 8' in line


@pytest.mark.parametrize('program', _FIELDS)
def test_workdir_of_another_config(
    programs: Programs, tmp_path: pathlib.Path, program: str
) -> None:
  workdir = tmp_path / 'another'
  workdir.mkdir()
  config = tiny.get_config().to_dict()
  (workdir / 'config.json').write_text(json.dumps(config))
  line = programs.refusal(program, '--config.seed=7', workdir=workdir)
  assert f'workdir {workdir}' in line
  assert 'seed was 0 and is 7' in line
  assert 'allowed is the same config, or another workdir' in line


@pytest.mark.parametrize('program', _FIELDS)
def test_workdir_that_is_a_file(
    programs: Programs, tmp_path: pathlib.Path, program: str
) -> None:
  (tmp_path / 'file').write_text('mine')
  line = programs.refusal(program, workdir=tmp_path / 'file')
  assert f'workdir {tmp_path / "file"}: allowed is a directory' in line


def test_workdir_of_another_network(
    programs: Programs, tmp_path: pathlib.Path
) -> None:
  """A search that went on may have found another winner."""
  workdir = tmp_path / 'another'
  directory = Workdir(workdir)
  directory.open(tiny.get_config())
  directory.close()
  (workdir / 'networks.json').write_text(json.dumps(
      {'winner': tiny.space().network((0, 0, 0)).to_dict()}
  ))
  line = programs.refusal('train', workdir=workdir)
  assert f'workdir {workdir}: belongs to the training of another' in line


def test_config_that_another_version_recorded(programs: Programs) -> None:
  result = json.loads(programs.found.read_text())
  del result['config']['search']['visit']['select']
  programs.found.write_text(json.dumps(result))
  line = programs.refusal('train', config=False)
  assert f'file {programs.found}' in line
  assert "no field 'search.visit.select'" in line
