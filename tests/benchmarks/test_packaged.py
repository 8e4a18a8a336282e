"""Tests of layernas.study.tables.packaged, and of the figures themselves."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.study.report_tables import packaged
from layernas.study.tables.packaged import load_packaged
from tests import tiny
from tests.search import problems

DIRECTORY = tiny.ROOT / 'layernas' / 'benchmarks' / 'packaged'
DATASETS = {'c10': (32, 10), 'c100': (32, 100), 'in16': (16, 120)}


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
  names = {path.stem for path in DIRECTORY.glob('*.npz')}
  assert names == set(packaged.descriptions())
  for name, entry in packaged.descriptions().items():
    data = (DIRECTORY / f'{name}.npz').read_bytes()
    assert hashlib.sha256(data).hexdigest() == entry['sha256']


def test_every_source_is_named_beside_them():
  text = (DIRECTORY / 'README.md').read_text()
  for name, entry in packaged.descriptions().items():
    assert f'`{name}`' in text
    for file, digest in entry['csv_sha256'].items():
      assert file in text
      assert digest[:16] in text


def test_damage_is_noticed(tmp_path, monkeypatch):
  for path in DIRECTORY.iterdir():
    (tmp_path / path.name).write_bytes(path.read_bytes())
  data = bytearray((DIRECTORY / 'nas_bench_macro.npz').read_bytes())
  data[1000] ^= 1
  (tmp_path / 'nas_bench_macro.npz').write_bytes(data)
  monkeypatch.setattr(packaged, '_DIRECTORY', tmp_path)
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
  decoded = packaged._decode(whole, {'decimals': decimals})
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


def test_best_12_epoch_network_of_topology():
  """Its test accuracies as published for the signal's optimum."""
  table = load_packaged('nats_tss')
  reported = []
  for dataset in DATASETS:
    best = table.column(f'val12_{dataset}').argmax()
    reported.append(round(table.column(f'test200_{dataset}').flat[best], 2))
  assert reported == [94.37, 72.28, 46.48]


@pytest.mark.parametrize('dataset', DATASETS)
def test_topology_madds_follow_from_the_cells(dataset):
  """27*16*r^2 + 5 cells a stage + two reduction blocks + classifier."""
  side, classes = DATASETS[dataset]
  table = load_packaged('nats_tss')
  expected = 27 * 16 * side**2 + 64 * classes + classes
  convolutions = np.array([0, 0, 1, 9, 0])
  for stage in range(3):
    filters, at = 16 * 2**stage, side // 2**stage
    for edge in np.ix_(*[convolutions] * 6):
      expected = expected + 5 * edge * filters**2 * at**2
    if stage:
      expected = expected + _reduction(filters // 2, filters, at)
  np.testing.assert_array_equal(table.column(f'madds_{dataset}'), expected)


@pytest.mark.parametrize('dataset', DATASETS)
def test_size_madds_follow_from_the_widths(dataset):
  side, classes = DATASETS[dataset]
  table = load_packaged('nats_sss')
  widths = np.ix_(*[np.arange(8, 65, 8)] * 5)
  c1, c2, c3, c4, c5 = widths
  half, quarter = side // 2, side // 4
  expected = (
      27 * c1 * side**2 + _cells(c1, c1, side) + _reduction(c1, c2, half)
      + _cells(c2, c3, half) + _reduction(c3, c4, quarter)
      + _cells(c4, c5, quarter) + c5 * classes + classes
  )
  np.testing.assert_array_equal(table.column(f'madds_{dataset}'), expected)


def test_a_published_size():
  table = load_packaged('nats_sss')
  assert table.column('madds_c10')[0, 0, 0, 1, 4] == 7_991_706


def _reduction(before, after, side):
  return side**2 * (9 * before * after + 9 * after**2 + before * after)


def _cells(before, after, side):
  return side**2 * (
      18 * before * after + 27 * after**2 + (before != after) * before * after
  )


def test_macro_costs_are_additive_and_channel_costs_are_not():
  assert _is_additive(load_packaged('nas_bench_macro').column('madds'))
  assert _is_additive(load_packaged('nas_bench_macro').column('params'))
  assert not _is_additive(load_packaged('channel_bench_macro').column('madds'))


def _is_additive(costs):
  """Whether costs are a sum of one term per axis."""
  origin = (0,) * costs.ndim
  total = costs[origin]
  for axis in range(costs.ndim):
    index = list(origin)
    index[axis] = slice(None)
    shape = [1] * costs.ndim
    shape[axis] = -1
    total = total + (costs[tuple(index)] - costs[origin]).reshape(shape)
  return (total == costs).all()


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
