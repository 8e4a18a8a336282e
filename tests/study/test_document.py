"""What a report says, in which order."""

import copy

from layernas.study.report import about
from layernas.study.report import chapters
from layernas.study.report import picture_files
from tests.study import tiny_study


def test_accountings_are_chapters_of_their_own() -> None:
  summary = tiny_study.summary()
  once = copy.deepcopy(summary['sections'][0])
  once['accounting'] = 'each_network_once'
  once['methods']['random']['mean'] = 12.0
  summary['sections'].append(once)
  every, first = chapters(summary)
  assert 'charged again' in every.rule
  assert 'is free' in first.rule
  assert every.overview.rows[1][1].startswith('63.33')
  assert first.overview.rows[1][1].startswith('12.00')
  assert len(every.parts) == len(first.parts) == 1


def test_a_part_has_tables_in_order_and_published_figures_apart() -> None:
  (chapter,) = chapters(tiny_study.summary())
  assert [table.title for table in chapter.parts[0].tables] == [
      'Answers', "Welch's t tests", 'Published by others, not run by us',
      'Effort (means over the runs)',
  ]


def test_an_ablation_has_neither_tests_nor_published_figures() -> None:
  summary = tiny_study.summary('')
  summary['benchmarks']['toy']['published'] = {}
  (chapter,) = chapters(summary)
  assert [table.title for table in chapter.parts[0].tables] == [
      'Answers', 'Effort (means over the runs)'
  ]


def test_pictures_are_named_by_benchmark_and_accounting() -> None:
  section = tiny_study.summary()['sections'][0]
  assert picture_files(section) == (
      'toy_every_query.png', 'toy_every_query_regret.png',
      'toy_every_query_bands.png',
  )


def test_about_names_settings_and_machine() -> None:
  found = dict(about(tiny_study.summary()))
  assert found['random'] == 'random'
  assert 'layernas buckets=5, finalists=0.0' in found['layernas']
  assert 'visit.entries=1' in found['layernas']
  assert 'numpy' in found['Machine']
