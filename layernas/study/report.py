"""Report of a study: summary.json, and the pages made of it alone.

`chapters` says what a report shows and in which order; `markdown` and `page`
write it, as Markdown and as one HTML page that needs no other file.
"""

import base64
import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jinja2
from etils import epath

from layernas.storage.workdir import Workdir
from layernas.study import report_tables
from layernas.study.protocol import ACCOUNTINGS
from layernas.study.protocol import COST_RULE
from layernas.study.protocol import facts
from layernas.study.protocol import warning
from layernas.study.report_tables import Table
from layernas.study.study_plots import save_bands
from layernas.study.study_plots import save_curves
from layernas.study.study_plots import save_regret
from layernas.study.summary import summarise
from layernas.study.summary import to_json
from layernas.study.tables.benchmark import Benchmark

_DRAWINGS = (
    ('', save_curves,
     'Report metric of the answer so far (the best signal), mean of the runs.'
     ' It may worsen: methods see the signal alone. A curve starts where half'
     ' of the runs have an answer, and from the end of a search to the budget'
     ' it is flat. Dashed, where it is known: the optimum. Legend by final'
     ' mean.'),
    ('_regret', save_regret,
     'Regret: how far the mean falls short of the optimum; logarithmic. A'
     ' curve at the lower edge is there or below.'),
    ('_bands', save_bands,
     'The report metric for each method apart: mean and band between the'
     ' quartiles of the runs. Grey, where one method is compared with the'
     ' others: its mean.'),
)
"""What the name of a picture ends with, what draws it, and what it shows."""


@dataclasses.dataclass(frozen=True)
class Picture:
  """A picture in the report's directory.

  Attributes:
    file: name of the PNG.
    caption: what it shows.
  """

  file: str
  caption: str


@dataclasses.dataclass(frozen=True)
class Part:
  """One benchmark under one accounting.

  Attributes:
    title: of the part.
    warning: in bold above all, or ''.
    facts: names and texts: the protocol.
    tables: in their order.
    pictures: in their order.
  """

  title: str
  warning: str
  facts: tuple[tuple[str, str], ...]
  tables: tuple[Table, ...]
  pictures: tuple[Picture, ...]


@dataclasses.dataclass(frozen=True)
class Chapter:
  """All benchmarks under one accounting.

  Attributes:
    title: of the chapter.
    rule: what the accounting charges.
    overview: of all benchmarks.
    parts: one for each benchmark.
  """

  title: str
  rule: str
  overview: Table
  parts: tuple[Part, ...]


def write_report(
    config: Any, benchmarks: Mapping[str, Benchmark],
    records: Sequence[Mapping[str, Any]], directory: Workdir,
) -> dict[str, Any]:
  """Writes summary.json and all that `render` makes of it.

  Args:
    config: of the study.
    benchmarks: by name.
    records: of all runs, see `run.play`.
    directory: to write into.

  Returns:
    Content of summary.json.
  """
  summary = summarise(config, benchmarks, records)
  directory.write_text('summary.json', to_json(summary))
  render(summary, directory.path)
  return summary


def render(summary: Mapping[str, Any], directory: epath.PathLike) -> None:
  """Writes the pictures, report.md and report.html of a study.

  Args:
    summary: content of its summary.json; nothing else is read.
    directory: exists; to write into.
  """
  workdir = Workdir(directory)
  for section in summary['sections']:
    for file, save, _ in _pictures(summary, section):
      save(summary, section, workdir.path / file)
  workdir.write_text('report.md', markdown(summary))
  workdir.write_text('report.html', page(summary, workdir.path))


def chapters(summary: Mapping[str, Any]) -> list[Chapter]:
  """The report's chapters, one for each accounting.

  Args:
    summary: of a study.

  Returns:
    What to show.
  """
  accountings = dict.fromkeys(s['accounting'] for s in summary['sections'])
  return [
      Chapter(
          *ACCOUNTINGS[accounting],
          report_tables.overview(summary, accounting),
          tuple(
              _part(summary, section) for section in summary['sections']
              if section['accounting'] == accounting
          ),
      )
      for accounting in accountings
  ]


def about(summary: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
  """Methods with their settings, and the machine; names and texts."""
  methods = [
      (name, f'{one["kind"]} {_settings(one["settings"])}'.strip())
      for name, one in summary['methods'].items()
  ]
  machine = ', '.join(f'{k} {v}' for k, v in summary['machine'].items())
  return (*methods, ('Machine', machine))


def picture_files(
    summary: Mapping[str, Any], section: Mapping[str, Any]
) -> tuple[str, ...]:
  """Files of a section's pictures: means, regret, quartile bands.

  Args:
    summary: of the study.
    section: of it.

  Returns:
    Names; that of the regret only where the optimum is known.
  """
  return tuple(file for file, _, _ in _pictures(summary, section))


def _pictures(
    summary: Mapping[str, Any], section: Mapping[str, Any]
) -> list[tuple[str, Callable[..., None], str]]:
  """File, drawing function and caption of a section's pictures."""
  stem = f'{section["benchmark"]}_{section["accounting"]}'
  known = summary['benchmarks'][section['benchmark']]['optimum'] is not None
  return [
      (f'{stem}{end}.png', save, caption) for end, save, caption in _DRAWINGS
      if known or save is not save_regret
  ]


def _part(summary: Mapping[str, Any], section: Mapping[str, Any]) -> Part:
  benchmark = summary['benchmarks'][section['benchmark']]
  shown = (
      report_tables.answers(summary, section),
      report_tables.tests(summary, section),
      report_tables.published(benchmark),
      report_tables.effort(summary, section),
  )
  return Part(
      section['benchmark'],
      warning(benchmark),
      facts(benchmark, section),
      tuple(table for table in shown if table is not None),
      tuple(
          Picture(file, caption)
          for file, _, caption in _pictures(summary, section)
      ),
  )


def _settings(settings: Mapping[str, Any], prefix: str = '') -> str:
  texts = [
      _settings(value, f'{prefix}{name}.') if isinstance(value, Mapping)
      else f'{prefix}{name}={value}'
      for name, value in settings.items()
  ]
  return ', '.join(text for text in texts if text)


def markdown(summary: Mapping[str, Any]) -> str:
  """Text of report.md.

  Args:
    summary: of the study.

  Returns:
    Markdown, with links to the pictures beside it.
  """
  blocks = [f'# {summary["title"] or "Study"}', COST_RULE]
  for chapter in chapters(summary):
    blocks += [f'## {chapter.title}', chapter.rule]
    blocks += table_blocks(chapter.overview, 3)
    for part in chapter.parts:
      blocks += _part_lines(part)
  blocks += ['## Methods and machine', _facts(about(summary))]
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


def _part_lines(part: Part) -> list[str]:
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


def page(summary: Mapping[str, Any], directory: epath.PathLike) -> str:
  """Text of report.html.

  Args:
    summary: of the study.
    directory: where the pictures are.

  Returns:
    HTML with the pictures inside.
  """
  environment = jinja2.Environment(
      loader=jinja2.PackageLoader('layernas.study'), autoescape=True,
      trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
  )
  return environment.get_template('report.html').render(
      title=summary['title'] or 'Study',
      cost_rule=COST_RULE,
      chapters=chapters(summary),
      about=about(summary),
      data_uri=lambda file: data_uri(epath.Path(directory) / file),
  )


def data_uri(path: epath.PathLike) -> str:
  """A PNG file as the address of an image."""
  code = base64.b64encode(epath.Path(path).read_bytes()).decode('ascii')
  return f'data:image/png;base64,{code}'
