"""Figures of searches with the same seeds, and programs without results."""

import pathlib

import pytest

from tests.search import problems
from tools.perf import embedded_search
from tools.perf import fronts
from tools.perf import other_task
from tools.perf.json_lines import Lines
from tools.perf.paired import Difference
from tools.perf.paired import by_plan


def _lines(**figures):
  return [
      {'plan': plan, 'seed': seed, 'figure': figure}
      for plan, found in figures.items() for seed, figure in found.items()
  ]


def test_seeds_count_that_every_plan_has():
  lines = _lines(a={2: 1.0, 0: 2.0, 1: 3.0}, b={1: 4.0, 2: None, 3: 5, 0: 6.0})
  found = by_plan(lines, 'ab', lambda line: line['figure'])
  assert found == {'a': [2.0, 3.0], 'b': [6.0, 4.0]}
  with problems.refuses('1 seeds', "['a', 'b']", '--report'):
    by_plan(_lines(a={0: 1.0}, b={0: 2.0}), 'ab', lambda line: line['figure'])


def test_a_difference_is_that_of_pairs():
  difference = Difference([1.0, 2.0, 4.0], [0.0, 0.0, 1.0])
  assert str(difference) == '+2.00 ± 0.58'
  assert difference.p == 0.25
  assert Difference([1.0, 2.0], [1.0, 2.0]).p == 1.0


@pytest.mark.parametrize('report', [
    fronts.table_text, other_task.table_text,
    lambda lines: embedded_search.summary(lines, lines),
])
def test_a_report_of_nothing_is_refused(report):
  with problems.refuses('--report'):
    report([])


def test_lines_make_their_directory_with_the_first(tmp_path: pathlib.Path):
  path = tmp_path / 'results' / 'lines.jsonl'
  lines = Lines(path)
  assert not path.parent.exists()
  lines.add({'seed': 1})
  assert Lines(path).all == [{'seed': 1}]
