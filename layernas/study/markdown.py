"""A study's report as Markdown."""

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from layernas.study import document
from layernas.study.protocol import COST_RULE
from layernas.study.tables import Table


def markdown(summary: Mapping[str, Any]) -> str:
  """Text of report.md.

  Args:
    summary: of the study.

  Returns:
    Markdown, with links to the pictures beside it.
  """
  blocks = [f'# {summary["title"] or "Study"}', COST_RULE]
  for chapter in document.chapters(summary):
    blocks += [f'## {chapter.title}', chapter.rule]
    blocks += table_blocks(chapter.overview, 3)
    for part in chapter.parts:
      blocks += _part(part)
  blocks += ['## Methods and machine', _facts(document.about(summary))]
  return '\n\n'.join(blocks) + '\n'


def table_text(table: Table) -> str:
  """The lines of a table, without title and notes.

  Args:
    table: to write.

  Returns:
    Markdown without a newline at the end.
  """
  numbers = len(table.header) - 1 - table.words
  rule = ['---'] + ['---:'] * numbers + ['---'] * table.words
  return '\n'.join(_row(cells) for cells in (table.header, rule, *table.rows))


def table_blocks(table: Table, level: int) -> list[str]:
  """A table with its title and notes.

  Args:
    table: to write.
    level: of the heading.

  Returns:
    Blocks of Markdown.
  """
  return [f'{"#" * level} {table.title}', table_text(table), *table.notes]


def _part(part: document.Part) -> list[str]:
  blocks = [f'### {part.title}']
  if part.warning:
    blocks.append(f'**{part.warning}**')
  blocks.append(_facts(part.facts))
  for table in part.tables:
    blocks += table_blocks(table, 4)
  for picture in part.pictures:
    blocks += [f'![{picture.caption}]({picture.file})', picture.caption]
  return blocks


def _facts(facts: Iterable[tuple[str, str]]) -> str:
  return '\n'.join(f'- {name}: {text}' for name, text in facts)


def _row(cells: Iterable[str]) -> str:
  return '| ' + ' | '.join(cell.replace('|', '\\|') for cell in cells) + ' |'
