"""Tests of tools/make_benchmark_tables.py."""

import csv
import itertools
import json

import numpy as np
import pytest

from layernas.study.report_tables import packaged
from layernas.study.tables.packaged import load_packaged
from tests import tiny

FILES = {
    'nats_tss': 'nats_tss.csv.gz',
    'nats_sss': 'nats_sss_c10.csv.gz',
    'nas_bench_macro': 'nas_bench_macro_c10.csv.gz',
    'channel_bench_macro': 'channel_bench_macro_mobilenet_c10.csv.gz',
}


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
      'make_benchmark_tables', f'--csv={source}', f'--output={output}'
  )
  assert done.returncode == 0, done.stderr
  return output


def test_descriptions_are_those_of_the_package(made):
  described = json.loads((made / 'tables.json').read_text())
  for name, entry in packaged.descriptions().items():
    assert described[name]['layers'] == entry['layers']
    assert described[name]['columns'] == entry['columns']


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
      'make_benchmark_tables', f'--csv={tmp_path}', f'--output={tmp_path}'
  )
  assert done.returncode == 2
  assert 'nats_tss.csv.gz' in done.stderr
