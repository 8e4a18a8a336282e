"""Every config loads, is locked, and can be shrunk."""

import importlib
import pathlib

import pytest

from layernas.experiment.setup import make_problem
from layernas.experiment.setup import make_search
from layernas.experiment.setup import make_space
from layernas.training.checks import check_training
from tests import tiny

_NAMES = sorted(
    path.stem for path in (tiny.ROOT / 'configs').glob('*.py')
    if path.stem not in ('__init__', 'default')
)


def test_there_are_configs() -> None:
  assert 'cifar10_small' in _NAMES


@pytest.mark.parametrize('argument', ['', 'smoke'])
@pytest.mark.parametrize('name', _NAMES)
def test_config_describes_a_search(name: str, argument: str) -> None:
  module = importlib.import_module(f'configs.{name}')
  config = module.get_config(argument)
  assert config.is_locked
  for section in ('training', 'final'):
    check_training(config, section)
  space = make_space(config.space)
  problem = make_problem(config, space, config.data.image_size, 10)
  assert make_search(config, problem).ask()


@pytest.mark.parametrize('name', _NAMES)
def test_mistyped_fields_fail(name: str) -> None:
  config = importlib.import_module(f'configs.{name}').get_config()
  with pytest.raises(AttributeError):
    config.search.bucket = 3


@pytest.mark.parametrize('name', _NAMES)
def test_config_opens_with_its_command(name: str) -> None:
  text = importlib.import_module(f'configs.{name}').__doc__
  assert './launch.sh' in text
  assert 'xpect' in text


def test_every_default_field_has_a_comment() -> None:
  lines = pathlib.Path(tiny.ROOT / 'configs/default.py').read_text()
  lines = lines.splitlines()
  body = lines[:next(i for i, x in enumerate(lines) if 'def finish' in x)]
  for number, line in enumerate(body):
    if ' = ' in line and 'ConfigDict()' not in line and not (
        line.strip().startswith('#')
    ) and line.startswith('  '):
      assert body[number - 1].strip().startswith('#'), line

