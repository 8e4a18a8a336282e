"""The Markdown report has what the summary has."""

from layernas.study import report
from layernas.study.protocol import COST_RULE
from layernas.study.report import markdown
from layernas.study.report import table_text
from layernas.study.report_tables import Table
from tests.study import tiny_study


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


def test_an_oracle_reward_is_in_bold() -> None:
  assert '**' not in markdown(tiny_study.summary())
  summary = tiny_study.summary(report='x')
  summary['benchmarks']['toy']['signal'] = 'oracle reward'
  assert '**Oracle reward: oracle reward.**' in markdown(summary)
