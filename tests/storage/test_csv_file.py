"""CSV files of users: what is wrong is named by line and column."""

import gzip
import math

import pytest

from layernas.storage.csv_file import CsvFile
from tests.search import problems

TEXT = 'name, value,note\n"a,b",1.5, x\n\nc,-2e3,\n'


def write(tmp_path, text):
  path = tmp_path / 'some.csv'
  path.write_text(text)
  return path


def test_columns(tmp_path):
  file = CsvFile(write(tmp_path, '\ufeff' + TEXT))
  assert len(file) == 2
  assert file.header == ['name', 'value', 'note']
  assert file.line_numbers == [2, 4]
  assert file.texts('note') == ['x', '']
  assert file.keys('name') == ['a,b', 'c']
  assert file.numbers('value') == [1.5, -2000.0]
  assert file.where(1, 'note').endswith("some.csv, line 4, column 'note'")


def test_rows_without_text_are_none(tmp_path):
  file = CsvFile(write(tmp_path, 'a,b\n1,2\n,\n  ,\n\n3,4\n,,,\n'))
  assert file.texts('a') == ['1', '3']
  assert file.line_numbers == [2, 6]


def test_gzip_is_told_by_its_bytes(tmp_path):
  path = tmp_path / 'some.csv'
  path.write_bytes(gzip.compress(TEXT.encode()))
  assert CsvFile(path).texts('name') == ['a,b', 'c']


@pytest.mark.parametrize(('text', 'parts'), [
    ('a,b\n1\n', ('line 2', '1 columns', '2')),
    ('a,b\n1,2\n1,2,3\n', ('line 3', '3 columns', '2')),
    ('a,b\n1,"2\n', ('line', 'a CSV')),
    ('\ufeffa;b\n1,5;2\n', ('line 1', "semicolons (';')", 'commas', 'point')),
    ('a\tb\n1\t2\n', ('line 1', r"tabs ('\t')", 'allowed are commas')),
    ('a|b\n', ('line 1', "vertical bars ('|')")),
])
def test_rows_that_do_not_fit(tmp_path, text, parts):
  path = write(tmp_path, text)
  with problems.refuses(f'file {path}', *parts):
    CsvFile(path)


@pytest.mark.parametrize('data', [b'\x1f\x8bbroken', b'a\n\xff\xfe'])
def test_files_that_are_none(tmp_path, data):
  path = tmp_path / 'some.csv'
  path.write_bytes(data)
  with problems.refuses(f'file {path}'):
    CsvFile(path)


@pytest.mark.parametrize(('header', 'count'), [('a,b', 0), ('v,a,v', 2)])
def test_columns_that_are_not_there_once(tmp_path, header, count):
  file = CsvFile(write(tmp_path, f'{header}\n'))
  with problems.refuses('line 1', "column 'v'", f'{count} times'):
    file.texts('v')


@pytest.mark.parametrize('text', ['', 'x', 'nan', 'inf', '-inf', '1,5'])
def test_cells_that_are_no_numbers(tmp_path, text):
  file = CsvFile(write(tmp_path, f'v,w\n1,2\n"{text}",3\n'))
  with problems.refuses("line 3, column 'v'", repr(text), 'finite numbers'):
    file.numbers('v')


def test_least_number(tmp_path):
  file = CsvFile(write(tmp_path, 'v\n0\n-1\n'))
  assert file.numbers('v', least=-1) == [0, -1]
  assert file.numbers('v', least=-math.inf) == [0, -1]
  with problems.refuses("line 3, column 'v'", "'-1'", '>= 0'):
    file.numbers('v', least=0)


@pytest.mark.parametrize(('text', 'parts'), [
    ('k\na\nb\na\n', ('line 4', "'a'", 'line 2')),
    ('k,v\na,1\n ,2\n', ('line 3', 'empty')),
])
def test_keys_are_there_once(tmp_path, text, parts):
  with problems.refuses("column 'k'", *parts):
    CsvFile(write(tmp_path, text)).keys('k')
