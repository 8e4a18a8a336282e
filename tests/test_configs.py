"""Every config loads, is locked, and can be shrunk."""

import gzip
import importlib
import itertools
import pathlib
import re

import pytest
from ml_collections import ConfigDict

from layernas.runs.setup import make_problem
from layernas.runs.setup import make_search
from layernas.runs.setup import make_space
from layernas.study.setup import check_study
from layernas.study.setup import make_benchmark
from layernas.training.checks import check_training
from tests import tiny

_DEFAULTS = ('default', 'benchmark_default')
_PARTS = ('__init__', 'imagenet_default', 'recipes')
_NAMES = sorted(
    path.stem for path in (tiny.ROOT / 'configs').glob('*.py')
    if path.stem not in (*_PARTS, *_DEFAULTS)
)


def _load(name: str, argument: str = '') -> ConfigDict:
  module = importlib.import_module(f'configs.{name}')
  if name == 'ablation':
    argument = f'keep,{argument}' if argument else 'keep'
  return module.get_config(argument)


_SEARCHES = [name for name in _NAMES if 'training' in _load(name)]
_STUDIES = [name for name in _NAMES if 'methods' in _load(name)]


def test_every_config_is_of_a_known_kind() -> None:
  assert 'cifar10_small' in _SEARCHES
  assert {'nats_tss', 'ablation'} <= set(_STUDIES)
  assert set(_NAMES) - set(_SEARCHES) - set(_STUDIES) == {'audit'}


@pytest.mark.parametrize('argument', ['', 'smoke'])
@pytest.mark.parametrize('name', _STUDIES)
def test_config_describes_a_study(name: str, argument: str) -> None:
  config = _load(name, argument)
  assert config.is_locked
  check_study(config)
  if argument:
    assert config.seeds <= 4
  for benchmark, section in config.benchmarks.items():
    if section.table.file != 'nats_sss.csv.gz':
      assert make_benchmark(benchmark, section).networks[1]
    for words in (section.signal, section.metric, section.protocol):
      assert words


@pytest.mark.parametrize('varied', [
    'buckets', 'keep', 'start', 'order', 'spacing', 'schedule'
])
def test_every_ablation(varied: str) -> None:
  config = importlib.import_module('configs.ablation').get_config(varied)
  check_study(config)
  assert len(config.methods) >= 3
  assert {method.kind for method in config.methods.values()} == {'layernas'}


def test_official_size_table(tmp_path: pathlib.Path) -> None:
  """A table with the columns that the converter writes."""
  datasets = ('c10', 'c100', 'in16')
  columns = [
      f'{name}_{d}' for name in ('val12', 'test90', 'mflops', 'simcost12')
      for d in datasets
  ]
  path = tmp_path / 'size.csv.gz'
  widths = itertools.product(range(8, 65, 8), repeat=5)
  with gzip.open(path, 'wt') as file:
    file.write(','.join(['index', 'arch', *columns]) + '\n')
    for index, each in enumerate(widths):
      figure = f'{sum(each) / 2:.6f}'
      file.write(','.join([
          str(index), ':'.join(map(str, each)), *[figure] * len(columns)
      ]) + '\n')
  config = _load('nats_sss_official')
  for dataset in datasets:
    section = config.benchmarks[f'nats_sss_{dataset}']
    section.table.file = str(path)
    made = make_benchmark(dataset, section)
    limit = 35 if dataset == 'in16' else 140
    assert made.optimum == limit - limit % 4
    assert made.budget.seconds == {
        'c10': 20_000, 'c100': 40_000, 'in16': 60_000
    }[dataset]


def test_unknown_arguments_are_refused() -> None:
  for name, argument in (
      ('ablation', 'H'), ('ablation', 'keep,tiny'), ('nats_tss', 'tiny'),
      ('audit', 'tiny'),
  ):
    with pytest.raises(ValueError, match='allowed'):
      importlib.import_module(f'configs.{name}').get_config(argument)


@pytest.mark.parametrize('argument', ['', 'smoke'])
@pytest.mark.parametrize('name', _SEARCHES)
def test_config_describes_a_search(name: str, argument: str) -> None:
  config = _load(name, argument)
  assert config.is_locked
  for section in ('training', 'final'):
    check_training(config, section)
  space = make_space(config.space)
  problem = make_problem(config, space, config.data.image_size, 10)
  assert make_search(config, problem).ask()


@pytest.mark.parametrize('name', _NAMES)
def test_mistyped_fields_fail(name: str) -> None:
  config = _load(name)
  with pytest.raises(AttributeError):
    config.bucket = 3


@pytest.mark.parametrize('name', _NAMES)
def test_config_opens_with_its_command(name: str) -> None:
  text = importlib.import_module(f'configs.{name}').__doc__
  assert './launch.sh' in text
  assert 'xpect' in text


@pytest.mark.parametrize('name', _DEFAULTS)
def test_every_default_field_has_a_comment(name: str) -> None:
  """A line `config.field = value` has its explanation above it."""
  lines = (tiny.ROOT / f'configs/{name}.py').read_text().splitlines()
  fields = 0
  for above, line in itertools.pairwise(lines):
    if re.match(r'  \w+\.[\w.]+ = ', line) and 'ConfigDict()' not in line:
      fields += 1
      shared = re.match(r'  \w+\.[\w.]+ = ', above)
      assert above.strip().startswith('#') or shared, line
  assert fields > 20
