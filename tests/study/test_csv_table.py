"""Benchmarks read from any CSV."""

import gzip
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.study.tables.csv_table import Encoding
from layernas.study.tables.csv_table import read_csv_table
from tests.search import problems

GOOD = """arch,accuracy,flops,note
a:8,1.5,10,x
a:16,2.5,20,y
b:16,4.5,40,z
b:8,3.5,30,
"""
COLON = Encoding('arch', '[^:]+')


def write(tmp_path, text, name='own.csv'):
  path = tmp_path / name
  path.write_text(text)
  return path


def test_reads_named_columns_in_the_order_of_the_options(tmp_path):
  table = read_csv_table(write(tmp_path, GOOD), COLON, ['accuracy', 'flops'])
  assert table.name == 'own'
  assert [layer.options for layer in table.space.layers] == [
      ('a', 'b'), ('8', '16')
  ]
  assert table.space.default == (1, 1)
  assert set(table.columns) == {'accuracy', 'flops'}
  np.testing.assert_array_equal(
      table.column('accuracy'), [[1.5, 2.5], [3.5, 4.5]]
  )
  assert table.column('flops').dtype == np.int64
  assert table.cost('flops').cost((1, 0)) == 30


def test_reads_gzip_whatever_its_name(tmp_path):
  path = tmp_path / 'table'
  path.write_bytes(gzip.compress(GOOD.encode()))
  assert read_csv_table(path, COLON, ['flops']).space.size == 4


def test_given_options_default_and_names(tmp_path):
  encoding = Encoding('arch', '.', ('1', '0'), '0', ('first', 'second'))
  rows = ''.join(f'{a}{b},{2 * a + b}\n' for a in (0, 1) for b in (0, 1))
  table = read_csv_table(write(tmp_path, 'arch,x\n' + rows), encoding, ['x'])
  assert [layer.name for layer in table.space.layers] == ['first', 'second']
  assert table.space.default == (1, 1)
  np.testing.assert_array_equal(table.column('x'), [[3, 2], [1, 0]])


def test_numbers_come_by_value_before_all_other_texts(tmp_path):
  ordered = ['-1', '9', '10', 'a', 'inf', 'nan']
  for options in itertools.combinations(ordered, 4):
    rows = ''.join(f'{text},1\n' for text in options)
    path = write(tmp_path, 'arch,x\n' + rows)
    [layer] = read_csv_table(path, Encoding('arch', '.+'), ['x']).space.layers
    assert layer.options == options


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.randoms())
def test_any_order_of_rows_gives_the_same_table(tmp_path_factory, counts, rng):
  rows = [
      ('-'.join(map(str, a)), sum(a)) for a in itertools.product(
          *map(range, counts)
      )
  ]
  rng.shuffle(rows)
  text = 'arch,x\n' + ''.join(f'{a},{x}\n' for a, x in rows)
  path = write(tmp_path_factory.mktemp('t'), text)
  table = read_csv_table(path, Encoding('arch', r'\d+'), ['x'])
  assert table.space.option_counts == tuple(counts)
  for architecture in problems.architectures(table.space):
    assert table.column('x')[architecture] == sum(architecture)


@pytest.mark.parametrize(('old', 'new', 'parts'), [
    ('a:16,2.5,20,y\n', '', ("column 'arch'", '1 of 4', "('a', '16')")),
    ('a:16', 'a:8', ('line 3', "column 'arch'", 'line 2')),
    ('2.5', 'nan', ('line 3', "column 'accuracy'", "'nan'")),
    ('2.5', '', ('line 3', "column 'accuracy'", "''")),
    ('20', 'inf', ('line 3', "column 'flops'", "'inf'")),
    ('20', 'twenty', ('line 3', "column 'flops'", "'twenty'")),
    ('a:16,2.5,20,y', 'a:16,2.5,20', ('line 3', '3 columns', '4')),
    ('a:16', 'a', ('line 3', "column 'arch'", '1 options', 'line 2')),
    ('a:16', '', ('line 3', "column 'arch'", 'no option found')),
    ('accuracy', 'top1', ('line 1', "'accuracy'", '0 times', 'top1')),
    ('note', 'flops', ('line 1', "'flops'", '2 times')),
    ('a:16,2.5', '"a:16,2.5', ('line',)),
])
def test_what_is_wrong_is_named(tmp_path, old, new, parts):
  path = write(tmp_path, GOOD.replace(old, new, 1))
  with problems.refuses(str(path), *parts):
    read_csv_table(path, COLON, ['accuracy', 'flops'])


@pytest.mark.parametrize(('encoding', 'parts'), [
    (Encoding('arch', '[^:]+', ('a', '8', '16')), ('line 4', "'b'")),
    (Encoding('arch', '[^:]+', default='c'), ("'c'", 'layer1')),
    (Encoding('arch', '[^:]+', layers=('one',)), ('2 options', '1 layers')),
    (Encoding('network', '.'), ('line 1', "'network'")),
])
def test_encodings_that_do_not_fit(tmp_path, encoding, parts):
  path = write(tmp_path, GOOD)
  with problems.refuses(str(path), *parts):
    read_csv_table(path, encoding, ['accuracy'])


def test_pattern_that_is_none():
  with problems.refuses('table.pattern', "'['"):
    Encoding('arch', '[')


@pytest.mark.parametrize('data', [
    None, b'\x1f\x8bbroken', b'arch,x\n\xff\xfe,1\n', b'', b'arch,x\n',
])
def test_files_that_are_none(tmp_path, data):
  path = tmp_path / 'bad.csv'
  if data is not None:
    path.write_bytes(data)
  with problems.refuses(str(path)):
    read_csv_table(path, Encoding(), ['x'])
