"""Tests of layernas.study.run_study."""

import json

import pytest

from layernas.study.run import Key
from layernas.study.run_study import RunsFile


def line(method='m', seed=0):
  return json.dumps({
      'benchmark': 'b', 'accounting': 'a', 'method': method, 'seed': seed,
      'curve': [],
  })


def test_runs_are_there_when_read_again(tmp_path):
  runs = RunsFile(tmp_path / 'runs.jsonl')
  assert runs.keys == set()
  runs.append([line(seed=1), line(seed=0)])
  runs.append([line('l', 5)])
  expected = {
      Key('b', 'a', 'm', 0), Key('b', 'a', 'm', 1), Key('b', 'a', 'l', 5)
  }
  assert runs.keys == expected
  assert RunsFile(tmp_path / 'runs.jsonl').keys == expected


def test_sorted_by_key_whatever_the_order_of_arrival(tmp_path):
  runs = RunsFile(tmp_path / 'runs.jsonl')
  runs.append([line(seed=10), line(seed=9), line('l', 3)])
  records = runs.sort()
  assert [(r['method'], r['seed']) for r in records] == [
      ('l', 3), ('m', 9), ('m', 10)
  ]
  text = (tmp_path / 'runs.jsonl').read_text()
  assert text == '\n'.join([line('l', 3), line(seed=9), line(seed=10), ''])


@pytest.mark.parametrize('damage', [
    line(seed=2)[:30], '{"benchmark": "b"}', 'null', '[]', '\x00\x00',
    line(seed=2).replace('"seed": 2', '"seed": "two"'),
])
def test_damaged_lines_are_dropped_and_nothing_else(tmp_path, damage):
  path = tmp_path / 'runs.jsonl'
  path.write_text('\n'.join([line(seed=0), damage, line(seed=1)]))
  runs = RunsFile(path)
  assert runs.keys == {Key('b', 'a', 'm', 0), Key('b', 'a', 'm', 1)}
  runs.append([line(seed=2)])
  assert [record['seed'] for record in RunsFile(path).sort()] == [0, 1, 2]


def test_run_that_is_there_twice_counts_once(tmp_path):
  path = tmp_path / 'runs.jsonl'
  path.write_text(f'{line()}\n{line()}\n')
  assert len(RunsFile(path).sort()) == 1
