"""The tables of a report, cell by cell."""

from layernas.study import report_tables
from tests.study import tiny_study

_SUMMARY = tiny_study.summary()
_SECTION = _SUMMARY['sections'][0]


def test_answers() -> None:
  table = report_tables.answers(_SUMMARY, _SECTION)
  assert table.header == (
      'method', 'runs', 'no answer', 'mean ± sd', 'median', 'quartiles',
      'mean regret', 'found the optimum', 'mean signal',
  )
  assert table.rows == (
      ('layernas', '2 (1 distinct)', '0', '80.00 ± 0.00', '80.00',
       '80.00 to 80.00', '0.000', '100.0 %', '3.000'),
      ('random', '4', '1', '63.33 ± 12.47', '60.00', '55.00 to 70.00',
       '16.667', '25.0 %', '2.000'),
  )
  assert 'its 2 runs are one distinct run' in table.notes[0]
  assert 'A run without an answer' in table.notes[1]


def test_few_distinct_runs_are_noted() -> None:
  section = tiny_study.summary()['sections'][0]
  section['methods']['random'] |= {'runs': 500, 'distinct_runs': 3}
  notes = report_tables.answers(_SUMMARY, section).notes
  assert any('only 3 of 500 runs are distinct' in note for note in notes)


def test_a_method_without_answers_has_no_figures() -> None:
  section = tiny_study.summary()['sections'][0]
  section['methods']['random'] |= dict.fromkeys(
      ('mean', 'sd', 'median', 'quartiles', 'regret')
  )
  row = report_tables.answers(_SUMMARY, section).rows[1]
  assert row[3:7] == ('-', '-', '- to -', '-')


def test_effort() -> None:
  table = report_tables.effort(_SUMMARY, _SECTION)
  # Nothing was repeated for free and nothing failed: no such columns.
  assert table.header == (
      'method', 'trials', 'distinct networks', 'rejected by cost',
      'simulated seconds', 'why runs ended: how many',
  )
  assert table.rows[1] == (
      'random', '2.5', '1.5', '1.0', '72', 'all layers decided: 1; budget'
      ' spent: 3',
  )


def test_no_seconds_where_none_are_charged() -> None:
  summary = tiny_study.summary()
  summary['benchmarks']['toy']['seconds'] = ''
  table = report_tables.effort(summary, _SECTION)
  assert 'simulated seconds' not in table.header


def test_tests() -> None:
  table = report_tables.tests(_SUMMARY, _SECTION)
  assert table.header[0] == 'layernas against'
  assert table.rows == (
      ('random', '+16.67', '+1.09', '+1.89 (2.0)', '0.199', '0.199'),
  )
  assert 'nothing of other tables' in table.notes[0]
  assert 'layernas is one distinct run' in table.notes[1]
  assert report_tables.tests(_SUMMARY, _SECTION | {'tests': {}}) is None


def test_a_test_that_was_not_made_says_why() -> None:
  row = {
      'difference': 1.0, 'effect': None, 't': None, 'degrees': None, 'p': None,
      'p_holm': None, 'reason': 'neither method varies',
  }
  table = report_tables.tests(_SUMMARY, _SECTION | {'tests': {'random': row}})
  assert table.rows == (
      ('random', '+1.00', '-', 'no test: neither method varies', '-', '-'),
  )


def test_small_p_values_are_not_zero() -> None:
  row = _SECTION['tests']['random'] | {'p': 0.0, 'p_holm': 1.234e-5}
  table = report_tables.tests(_SUMMARY, _SECTION | {'tests': {'random': row}})
  assert table.rows[0][-2:] == ('< 1e-16', '1.2e-05')


def test_published_figures_have_a_table_of_their_own() -> None:
  table = report_tables.published(_SUMMARY['benchmarks']['toy'])
  assert table.title == 'Published by others, not run by us'
  assert table.rows == (('evolution', '70.50 ± 1.25', 'a paper, table 3'),)
  assert report_tables.published({'published': {}}) is None


def test_overview_leaves_a_cell_empty_where_a_method_did_not_run() -> None:
  summary = tiny_study.summary()
  del summary['sections'][0]['methods']['random']
  table = report_tables.overview(summary, 'every_query')
  assert table.header == ('method', 'toy')
  assert table.rows == (('layernas', '80.00 ± 0.00'), ('random', '-'))
