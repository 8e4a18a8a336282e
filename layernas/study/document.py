"""What a study's report says and in which order, for every kind of page."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from layernas.study import tables
from layernas.study.protocol import ACCOUNTINGS
from layernas.study.protocol import facts
from layernas.study.protocol import warning
from layernas.study.tables import Table

_CAPTIONS = (
    'Report metric of the answer so far (the best signal), mean of the runs. It'
    ' may fall: methods see the signal alone. A curve starts where half of the'
    ' runs have an answer, and from the end of a search to the budget it is'
    ' flat. Dashed: the enumerated optimum. Legend by final mean.',
    'Regret: how far the mean is below the enumerated optimum; logarithmic. A'
    ' curve at the lower edge is there or below.',
    'The report metric for each method apart: mean and band between the'
    ' quartiles of the runs. Grey, where one method is compared with the'
    ' others: its mean.',
)


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
          tables.overview(summary, accounting),
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


def picture_files(section: Mapping[str, Any]) -> tuple[str, ...]:
  """Files of a section's pictures: means, regret, quartile bands."""
  stem = f'{section["benchmark"]}_{section["accounting"]}'
  return tuple(f'{stem}{end}.png' for end in ('', '_regret', '_bands'))


def _part(summary: Mapping[str, Any], section: Mapping[str, Any]) -> Part:
  benchmark = summary['benchmarks'][section['benchmark']]
  shown = (
      tables.answers(summary, section), tables.tests(summary, section),
      tables.published(benchmark), tables.effort(summary, section),
  )
  return Part(
      section['benchmark'],
      warning(benchmark),
      facts(benchmark, section),
      tuple(table for table in shown if table is not None),
      tuple(map(Picture, picture_files(section), _CAPTIONS)),
  )


def _settings(settings: Mapping[str, Any], prefix: str = '') -> str:
  texts = [
      _settings(value, f'{prefix}{name}.') if isinstance(value, Mapping)
      else f'{prefix}{name}={value}'
      for name, value in settings.items()
  ]
  return ', '.join(text for text in texts if text)
