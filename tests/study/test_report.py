"""A study's report: its tables, its order, Markdown, HTML and files."""

import base64
import copy
import html
import html.parser
import json
import pathlib
import re

import pytest

from layernas.storage.workdir import Workdir
from layernas.study import report
from layernas.study import report_tables
from layernas.study.protocol import COST_RULE
from layernas.study.report import about
from layernas.study.report import chapters
from layernas.study.report import markdown
from layernas.study.report import page
from layernas.study.report import picture_files
from layernas.study.report import render
from layernas.study.report import table_text
from layernas.study.report import write_report
from layernas.study.report_tables import Table
from layernas.study.summary import to_json
from tests import tiny
from tests.study import tiny_study

_SUMMARY = tiny_study.summary()
_SECTION = _SUMMARY['sections'][0]


def test_answers() -> None:
  table = report_tables.answers(_SUMMARY, _SECTION)
  assert table.header == (
      'method', 'runs', 'distinct answers', 'no answer', 'mean ± sd', 'median',
      'quartiles', 'mean regret', 'found the optimum', 'mean signal',
  )
  assert table.rows == (
      ('layernas', '2 (1 distinct)', '1', '0', '80.00 ± 0.00', '80.00',
       '80.00 to 80.00', '0.000', '100.0 %', '3.000'),
      ('random', '4', '3', '1', '63.33 ± 12.47', '60.00', '55.00 to 70.00',
       '16.667', '25.0 %', '2.000'),
  )
  assert 'its 2 runs are one distinct run' in table.notes[0]
  assert 'A run without an answer' in table.notes[1]


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


def test_tests() -> None:
  table = report_tables.tests(_SUMMARY, _SECTION)
  assert table.header[0] == 'layernas against'
  assert table.rows == (
      ('random', '+16.67', '+1.09', '+1.34 (2.0)', '0.313', '0.313'),
  )
  assert 'nothing of other tables' in table.notes[0]
  assert 'layernas has a single answer' in table.notes[1]
  assert report_tables.tests(_SUMMARY, _SECTION | {'tests': {}}) is None


def test_stored_tests_over_runs_are_called_so() -> None:
  """Summaries of older versions know nothing of distinct answers."""
  summary = json.loads(
      (tiny.ROOT / 'docs/results/nats_tss/summary.json').read_text()
  )
  section = summary['sections'][0]
  assert 'distinct answers' not in report_tables.answers(
      summary, section
  ).header
  table = report_tables.tests(summary, section)
  assert table.title == 'Tests over runs'
  assert 'p is far too small' in table.notes[0]
  assert "differ from that run's figure" in table.notes[1]


def test_a_test_that_was_not_made_says_why() -> None:
  row = {
      'difference': 1.0, 'effect': None, 't': None, 'degrees': None, 'p': None,
      'p_holm': None, 'reason': 'neither method varies',
  }
  table = report_tables.tests(_SUMMARY, _SECTION | {'tests': {'random': row}})
  assert table.rows == (
      ('random', '+1.00', '-', 'no test: neither method varies', '-', '-'),
  )


def test_published_figures_have_a_table_of_their_own() -> None:
  table = report_tables.published(_SUMMARY['benchmarks']['toy'])
  assert table.title == 'Published by others, not run by us'
  assert table.rows == (('evolution', '70.50 ± 1.25', 'a paper, table 3'),)
  assert report_tables.published({'published': {}}) is None


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
      'Answers', 'Tests over distinct answers',
      'Published by others, not run by us', 'Effort (means over the runs)',
  ]


def test_an_ablation_has_neither_tests_nor_published_figures() -> None:
  summary = tiny_study.summary('')
  summary['benchmarks']['toy']['published'] = {}
  (chapter,) = chapters(summary)
  assert [table.title for table in chapter.parts[0].tables] == [
      'Answers', 'Effort (means over the runs)'
  ]


def test_about_names_settings_and_machine() -> None:
  found = dict(about(tiny_study.summary()))
  assert found['random'] == 'random'
  assert 'layernas buckets=5, finalists=0.0' in found['layernas']
  assert 'visit.entries=1' in found['layernas']
  assert 'numpy' in found['Machine']


def test_table() -> None:
  table = Table('t', ('a', 'b', 'c'), (('x|y', '1', 'why'),), words=1)
  assert table_text(table) == (
      '| a | b | c |\n| --- | ---: | --- |\n| x\\|y | 1 | why |'
  )


def test_report_has_all_facts_tables_and_pictures() -> None:
  summary = tiny_study.summary()
  text = markdown(summary)
  assert text.startswith(f'# A tiny study\n\n{COST_RULE}\n')
  (chapter,) = report.chapters(summary)
  (part,) = chapter.parts
  assert table_text(chapter.overview) in text
  for table in part.tables:
    assert table_text(table) in text
    assert all(note in text for note in table.notes)
  for name, fact in part.facts:
    assert f'- {name}: {fact}' in text
  for picture in part.pictures:
    assert f']({picture.file})' in text


class _Checker(html.parser.HTMLParser):
  """Collects what a page refers to and checks that its tags are balanced."""

  _VOID = ('meta', 'img', 'link', 'br')

  def __init__(self) -> None:
    super().__init__()
    self.open: list[str] = []
    self.ids: list[str] = []
    self.references: list[str] = []

  def handle_starttag(self, tag, attrs) -> None:
    if tag not in self._VOID:
      self.open.append(tag)
    for name, value in attrs:
      if name in ('src', 'href', 'srcset', 'action'):
        self.references.append(value)
      elif name == 'id':
        self.ids.append(value)

  def handle_endtag(self, tag) -> None:
    assert self.open.pop() == tag


def _page(directory: pathlib.Path, title: str = 'A tiny study') -> str:
  summary = tiny_study.summary() | {'title': title}
  for file in report.picture_files(summary, summary['sections'][0]):
    (directory / file).write_bytes(file.encode())
  return page(summary, directory)


def test_page_needs_no_other_file(tmp_path: pathlib.Path) -> None:
  text = _page(tmp_path)
  checker = _Checker()
  checker.feed(text)
  assert not checker.open
  links = [r for r in checker.references if r.startswith('#')]
  assert links
  assert {link[1:] for link in links} == set(checker.ids)
  others = [r for r in checker.references if not r.startswith('#')]
  summary = tiny_study.summary()
  files = report.picture_files(summary, summary['sections'][0])
  assert others == [
      'data:image/png;base64,' + base64.b64encode(file.encode()).decode()
      for file in files
  ]
  assert not re.search(r'<script|@import|url\(|https?:', text)


def test_page_has_all_facts_and_tables(tmp_path: pathlib.Path) -> None:
  text = html.unescape(_page(tmp_path))
  (chapter,) = report.chapters(tiny_study.summary())
  (part,) = chapter.parts
  for table in (chapter.overview, *part.tables):
    assert f'<h4>{table.title}</h4>' in text
    for name, *cells in table.rows:
      row = text[text.index(f'<h4>{table.title}</h4>'):]
      row = row[row.index(f'<th scope="row">{name}</th>'):]
      row = row[:row.index('</tr>')]
      assert re.findall(r'<td[^>]*>(.*?)</td>', row) == cells
    assert all(note in text for note in table.notes)
  for name, fact in part.facts:
    assert f'<dt>{name}</dt><dd>{fact}</dd>' in text


def test_texts_are_escaped(tmp_path: pathlib.Path) -> None:
  text = _page(tmp_path, '<script>alert(1)</script>')
  assert '<script' not in text
  assert '<h1>&lt;script&gt;' in text


def test_pages_are_a_function_of_the_summary(tmp_path: pathlib.Path) -> None:
  first, second = tmp_path / 'first', tmp_path / 'second'
  summary = write_report(
      tiny_study.config(), {'toy': tiny_study.BENCHMARK}, tiny_study.records(),
      Workdir(first),
  )
  stored = json.loads((first / 'summary.json').read_text())
  assert stored == summary
  second.mkdir()
  render(stored, second)
  files = picture_files(summary, summary['sections'][0])
  pages = {'report.md', 'report.html', *files}
  assert {path.name for path in second.iterdir()} == pages
  for name in pages:
    assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.long
def test_program_makes_the_pages_of_a_stored_summary(
    tmp_path: pathlib.Path,
) -> None:
  summary = tiny_study.summary()
  (tmp_path / 'summary.json').write_text(to_json(summary))
  done = tiny.run_program(
      '../tools/benchmark_report', f'--summary={tmp_path}/summary.json',
      f'--workdir={tmp_path}/pages',
  )
  assert done.returncode == 0, done.stderr
  assert (tmp_path / 'pages/report.md').read_text() == markdown(summary)
  assert (tmp_path / 'pages/report.html').exists()


def test_program_names_a_file_that_is_no_summary(
    tmp_path: pathlib.Path,
) -> None:
  done = tiny.run_program(
      '../tools/benchmark_report', f'--workdir={tmp_path}',
      f'--summary={tiny.ROOT}/docs/results/trace_example/trace.json',
  )
  assert done.returncode == 2
  assert 'no sections in it' in done.stderr
