"""Tables of all networks: in memory, packaged, and made from CSVs."""

import csv
import hashlib
import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.networks.mobilenet_spaces import SPACES
from layernas.study.tables import packaged
from layernas.study.tables.packaged import load_packaged
from layernas.study.tables.table import BenchmarkTable
from layernas.study.tables.table import unit_of
from tests import tiny
from tests.search import problems

DIRECTORY = tiny.ROOT / 'layernas' / 'study' / 'tables' / 'packaged'
DATASETS = {'c10': (32, 10), 'c100': (32, 100), 'in16': (16, 120)}
FILES = {
    'nats_tss': 'nats_tss.csv.gz',
    'nats_sss': 'nats_sss_c10.csv.gz',
    'nas_bench_macro': 'nas_bench_macro_c10.csv.gz',
    'channel_bench_macro': 'channel_bench_macro_mobilenet_c10.csv.gz',
}
# The others have 1e20 networks and more; see tests/networks.
ENUMERABLE = [
    name for name, space in SPACES.items()
    if space().search_space.size < 10_000
]


def table():
  space = problems.make_space(2, 3)
  return BenchmarkTable('small', space, {
      'madds_c10': np.arange(6).reshape(2, 3) * 10,
      'accuracy': np.arange(6.0).reshape(2, 3),
  })


def test_cost_is_the_column():
  cost = table().cost('madds_c10')
  assert cost.name == 'madds_c10'
  assert cost.unit == 'MAdds'
  assert cost.cost((1, 2)) == 50
  assert cost.interval((1, 0), (0,)) == (30, 50)


def test_unknown_column_is_named_with_those_there_are():
  with problems.refuses("table 'small'", "column 'flops'", 'accuracy'):
    table().column('flops')


@pytest.mark.parametrize(('column', 'unit'), [
    ('madds', 'MAdds'), ('params_c10', 'parameters'), ('ms_raspi4', 'ms'),
    ('energy', ''),
])
def test_units(column, unit):
  assert unit_of(column) == unit


@pytest.mark.parametrize(('name', 'counts', 'default'), [
    ('nats_tss', (5,) * 6, (3,) * 6),
    ('nats_sss', (8,) * 5, (7,) * 5),
    ('nas_bench_macro', (3,) * 8, (2,) * 8),
    ('channel_bench_macro', (4,) * 7, (3,) * 7),
])
def test_spaces(name, counts, default):
  table = load_packaged(name)
  assert table.name == name
  assert table.space.option_counts == counts
  assert table.space.default == default
  for values in table.columns.values():
    assert values.shape == counts
    assert np.isfinite(values).all()


def test_every_archive_is_described_and_its_checksum_holds():
  surrogate = packaged.read_description('accel_nasbench.json')
  described = packaged.descriptions() | {'accel_nasbench': surrogate}
  assert {path.stem for path in DIRECTORY.glob('*.npz')} == set(described)
  for name, entry in described.items():
    data = (DIRECTORY / f'{name}.npz').read_bytes()
    assert hashlib.sha256(data).hexdigest() == entry['sha256']


def test_damage_is_noticed(tmp_path, monkeypatch):
  for path in DIRECTORY.iterdir():
    (tmp_path / path.name).write_bytes(path.read_bytes())
  data = bytearray((DIRECTORY / 'nas_bench_macro.npz').read_bytes())
  data[1000] ^= 1
  (tmp_path / 'nas_bench_macro.npz').write_bytes(data)
  monkeypatch.setattr(packaged, 'DIRECTORY', tmp_path)
  with problems.refuses('nas_bench_macro.npz is damaged'):
    load_packaged.__wrapped__('nas_bench_macro')


def test_unknown_table():
  with problems.refuses("'nb101'", 'nats_tss'):
    load_packaged('nb101')


@given(st.lists(st.integers(-9_999_999, 9_999_999_999), min_size=1),
       st.integers(0, 6))
def test_published_decimals_come_back(integers, decimals):
  values = np.array([float(f'{i}e-{decimals}') for i in integers])
  whole = packaged.encode(values, decimals)
  decoded = packaged.decode(whole, decimals)
  np.testing.assert_array_equal(decoded, values)


def test_maxima_are_the_published_ones():
  topology = load_packaged('nats_tss')
  best = [topology.column(f'test200_{d}').max() for d in DATASETS]
  assert np.round(best, 2).tolist() == [94.37, 73.51, 47.31]
  size = load_packaged('nats_sss')
  accuracy, madds = size.column('test90_c10'), size.column('madds_c10')
  assert accuracy.max() == 93.65
  assert accuracy[madds <= 140e6].max() == 93.34
  macro = load_packaged('nas_bench_macro')
  mean = sum(macro.column(f'acc{i}') for i in (1, 2, 3)) / 3
  assert mean[2, 2, 2, 1, 2, 2, 2, 0] == mean.max()
  assert round(mean.max(), 3) == 93.127
  channel = load_packaged('channel_bench_macro')
  mean = sum(channel.column(f'acc{i}') for i in (1, 2, 3)) / 3
  flops = channel.column('madds')
  mean[flops > flops.max() / 2] = 0
  best = np.unravel_index(mean.argmax(), mean.shape)
  assert ''.join(str(option + 1) for option in best) == '2344241'
  assert round(mean.max(), 2) == 91.71


def test_27_latencies():
  table = load_packaged('nats_tss')
  latencies = [name for name in table.columns if name.startswith('ms_')]
  assert len(latencies) == 27
  for name in latencies:
    assert table.column(name).min() > 0
  # Row 0 of the source is |avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+
  # |nor_conv_1x1~0|skip_connect~1|skip_connect~2|.
  first = (4, 2, 1, 2, 1, 1)
  assert table.column('index')[first] == 0
  assert table.column('ms_1080ti_1')[first] == 10.754371
  assert table.column('ms_raspi4')[first] == 10.481977
  assert table.column('val12_in16')[first] == 18.466667


def text_of(name, options):
  if name == 'nats_tss':
    a, b, c, d, e, f = options
    return f'|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|'
  return (':' if name == 'nats_sss' else '').join(options)


def write_csv(path, header, columns):
  """Rows backwards: their order must not matter."""
  with open(path, 'w', newline='', encoding='utf-8') as file:
    writer = csv.writer(file)
    writer.writerow(header)
    writer.writerows(reversed(list(zip(*columns, strict=True))))


def source_columns(name, table):
  """Names and texts of a table's columns as its CSV has them."""
  for column, values in table.columns.items():
    flat = values.ravel()
    if column.startswith('ms_'):
      continue
    if name in ('nats_tss', 'nats_sss') and column.startswith('madds'):
      yield column.replace('madds', 'mflops'), [f'{v / 1e6:.6f}' for v in flat]
    elif name in ('nats_tss', 'nats_sss') and column.startswith('params'):
      yield column.replace('params', 'mparams'), [f'{v / 1e6:.6f}'
                                                  for v in flat]
    else:
      renamed = {'madds': 'flops'}.get(column, column)
      yield renamed, [repr(v) for v in flat.tolist()]


@pytest.fixture(scope='module')
def made(tmp_path_factory):
  """The archives made again from CSVs that were made from them."""
  source = tmp_path_factory.mktemp('csv')
  output = tmp_path_factory.mktemp('packaged')
  for name, file in FILES.items():
    table = load_packaged(name)
    names = [layer.options for layer in table.space.layers]
    texts = [text_of(name, each) for each in itertools.product(*names)]
    columns = dict(source_columns(name, table))
    write_csv(source / file, ['arch', *columns], [texts, *columns.values()])
  topology = load_packaged('nats_tss')
  latencies = {n: v for n, v in topology.columns.items() if n[:3] == 'ms_'}
  write_csv(
      source / 'nb201_latency_help.csv.gz',
      ['index', *(name[3:] for name in latencies)],
      [topology.column('index').ravel().tolist(),
       *(v.ravel().tolist() for v in latencies.values())],
  )
  done = tiny.run_program(
      '../tools/make_benchmark_tables', f'--csv={source}', f'--output={output}'
  )
  assert done.returncode == 0, done.stderr
  return output


@pytest.mark.long
def test_descriptions_are_those_of_the_package(made):
  described = json.loads((made / 'tables.json').read_text())
  for name, entry in packaged.descriptions().items():
    assert described[name]['layers'] == entry['layers']
    assert described[name]['columns'] == entry['columns']


@pytest.mark.long
@pytest.mark.parametrize('name', list(FILES))
def test_figures_are_those_of_the_package(made, name):
  with (
      np.load(made / f'{name}.npz', allow_pickle=False) as new,
      np.load(
          tiny.ROOT / f'layernas/study/tables/packaged/{name}.npz',
          allow_pickle=False,
      ) as old,
  ):
    assert set(new.files) == set(old.files)
    for column in old.files:
      assert new[column].dtype == old[column].dtype
      np.testing.assert_array_equal(new[column], old[column])


def test_missing_csv_is_named(tmp_path):
  done = tiny.run_program(
      '../tools/make_benchmark_tables', f'--csv={tmp_path}',
      f'--output={tmp_path}',
  )
  assert done.returncode == 2
  assert 'nats_tss.csv.gz' in done.stderr


@pytest.mark.parametrize('name', ENUMERABLE)
@pytest.mark.parametrize('metric', ['madds', 'params'])
def test_network_spaces(name, metric):
  """All networks of the space against the bounds of all their prefixes."""
  space = SPACES[name]()
  cost = space.cost(metric, 32, 10)
  counts = cost.space.option_counts
  all_of_them = np.array(list(np.ndindex(*counts)))
  values = cost.costs(all_of_them).reshape(counts)
  for length in range(1, len(counts) + 1):
    axes = tuple(range(length, len(counts)))
    low, high = values.min(axis=axes), values.max(axis=axes)
    for prefix in np.ndindex(*counts[:length]):
      architecture = prefix + (0,) * len(axes)
      reached = cost.interval(architecture, range(length))
      assert reached[0] <= low[prefix]
      assert reached[1] >= high[prefix]
