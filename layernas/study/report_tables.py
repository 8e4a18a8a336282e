"""The tables of a study's report, as texts."""

import dataclasses
from collections.abc import Mapping
from typing import Any

NONE = '-'
"""Cell of a figure that there is not."""

_OVER_ANSWERS = (
    "Welch's t test, two-sided, over distinct answers, corrected by Holm over"
    ' the methods of this table. Runs that end in the same network share its'
    ' figure and count as one sample, weighted by its share of the runs. d is'
    ' in standard deviations of runs, pooled over both methods (that of the'
    ' other one where one does not vary). The p-values ask whether a difference'
    ' would hold for other networks like these answers; they say nothing of'
    ' other tables, spaces or data sets.'
)

_OVER_RUNS = (
    "Welch's t test, two-sided, over runs, corrected by Holm over the methods"
    ' of this table. This summary was stored before tests counted distinct'
    ' answers: runs that end in the same network count as independent samples'
    ' here, and where many do, p is far too small.'
)

_SINGLE = (
    ' has a single answer, of which no spread is known: its figure is taken to'
    " vary between networks as the other method's do."
)

_GIVEN = (
    ' is a network that is given beforehand: its figure counts as exact, and'
    ' the test asks whether the answers differ from it on average.'
)

Summary = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Table:
  """A table of texts.

  Attributes:
    title: shown above it.
    header: names of the columns; the first one holds the rows' names.
    rows: cells, as many in each row as in the header.
    notes: sentences shown below it.
    words: number of last columns that hold words, not numbers.
  """

  title: str
  header: tuple[str, ...]
  rows: tuple[tuple[str, ...], ...]
  notes: tuple[str, ...] = ()
  words: int = 0


def overview(summary: Summary, accounting: str) -> Table:
  """Mean ± standard deviation of every method on every benchmark."""
  sections = [s for s in summary['sections'] if s['accounting'] == accounting]
  rows = []
  for method in summary['methods']:
    cells = [
        spread(s['methods'].get(method), _decimals(summary, s))
        for s in sections
    ]
    rows.append((method, *cells))
  return Table(
      'Mean ± standard deviation',
      ('method', *(section['benchmark'] for section in sections)),
      tuple(rows),
  )


def answers(summary: Summary, section: Mapping[str, Any]) -> Table:
  """What the methods found."""
  decimals = _decimals(summary, section)
  # Summaries of older versions do not tell the answers apart.
  counted = all('answers' in one for one in section['methods'].values())
  rows, notes = [], []
  for name, one in section['methods'].items():
    quartiles = one['quartiles'] or (None, None)
    rows.append((
        name, runs_text(one), *([f'{one["answers"]:,}'] if counted else []),
        f'{one["unanswered"]:,}', spread(one, decimals),
        number(one['median'], decimals),
        ' to '.join(number(value, decimals) for value in quartiles),
        number(one['regret'], decimals + 1), _share(one['found']),
        number(one['signal'], decimals + 1),
    ))
    notes += _repeat_notes(name, one)
  if any(one['unanswered'] for one in section['methods'].values()):
    notes.append(
        'A run without an answer evaluated no network in the target interval;'
        ' all figures are over the other runs, the share that found the optimum'
        ' over all.'
    )
  header = (
      'method', 'runs', *(['distinct answers'] if counted else []), 'no answer',
      'mean ± sd', 'median', 'quartiles', 'mean regret', 'found the optimum',
      'mean signal',
  )
  return Table('Answers', header, tuple(rows), tuple(notes))


def effort(summary: Summary, section: Mapping[str, Any]) -> Table:
  """What the methods spent, in means over the runs."""
  columns = {
      'trials': 'trials', 'networks': 'distinct networks',
      'reused': 'repeats for free', 'rejected': 'rejected by cost',
      'failed': 'failed trials',
  }
  methods = section['methods']
  for name in ('reused', 'rejected', 'failed'):
    if not any(one[name] for one in methods.values()):
      del columns[name]
  if summary['benchmarks'][section['benchmark']]['seconds']:
    columns['seconds'] = 'simulated seconds'
  rows = tuple(
      (name, *(number(one[c], 0 if c == 'seconds' else 1) for c in columns),
       '; '.join(f'{why}: {n:,}' for why, n in one['stopped'].items()))
      for name, one in methods.items()
  )
  header = ('method', *columns.values(), 'why runs ended: how many')
  return Table('Effort (means over the runs)', header, rows, words=1)


def tests(summary: Summary, section: Mapping[str, Any]) -> Table | None:
  """The compared method against the others; None where there is none."""
  if not section['tests']:
    return None
  decimals = _decimals(summary, section)
  header = (
      f'{summary["compared"]} against', 'difference of means', "Cohen's d",
      't (degrees of freedom)', 'p', 'p, Holm',
  )
  rows = tuple(
      (name, number(row['difference'], decimals, '+'),
       number(row['effect'], 2, '+'), _statistic(row), _probability(row['p']),
       _probability(row['p_holm']))
      for name, row in section['tests'].items()
  )
  compared = section['methods'][summary['compared']]
  counted = 'answers' in compared
  notes = [_OVER_ANSWERS if counted else _OVER_RUNS]
  if summary['benchmarks'][section['benchmark']].get('report_sign', 1) < 0:
    notes.append(
        'Smaller figures are better: a negative difference is in favour of'
        f' {summary["compared"]}.'
    )
  for name, one in section['methods'].items():
    if name in section['tests'] and (
        summary['methods'][name]['kind'] == 'default'
    ):
      notes.append(name + _GIVEN)
    elif one.get('answers') == 1:
      notes.append(name + _SINGLE)
  if not counted and compared['distinct_runs'] == 1:
    notes.append(
        f'{summary["compared"]} is one distinct run: these tests only ask'
        " whether the other methods' means differ from that run's figure."
    )
  title = 'Tests over distinct answers' if counted else 'Tests over runs'
  return Table(title, header, rows, tuple(notes))


def published(benchmark: Mapping[str, Any]) -> Table | None:
  """Figures of others; None where there are none."""
  if not benchmark['published']:
    return None
  rows = tuple(
      (name, spread(row, benchmark['decimals'] - 1), row['source'])
      for name, row in benchmark['published'].items()
  )
  return Table(
      'Published by others, not run by us', ('method', 'mean ± sd', 'source'),
      rows, words=1,
  )


def spread(one: Mapping[str, Any] | None, decimals: int) -> str:
  """Text of a mean and its standard deviation."""
  if one is None or one['mean'] is None:
    return NONE
  text = number(one['mean'], decimals)
  return text if one['sd'] is None else (
      f'{text} ± {number(one["sd"], decimals)}'
  )


def number(value: float | None, decimals: int, sign: str = '') -> str:
  """Text of a number, or of none."""
  if value is None:
    return NONE
  return f'{value:{sign},.{max(decimals, 0)}f}'


def _share(value: float | None) -> str:
  """Text of a share in per cent, or of none."""
  return NONE if value is None else f'{100 * value:.1f} %'


def runs_text(one: Mapping[str, Any]) -> str:
  """Number of runs, and how many of them differ where some are the same."""
  if one['distinct_runs'] == one['runs']:
    return f'{one["runs"]:,}'
  return f'{one["runs"]:,} ({one["distinct_runs"]:,} distinct)'


def _repeat_notes(name: str, one: Mapping[str, Any]) -> list[str]:
  """Says it where most runs are copies of a few: no independent samples."""
  runs, distinct = one['runs'], one['distinct_runs']
  if runs > 1 and distinct == 1:
    return [
        f'{name} is deterministic here: its {runs:,} runs are one distinct run,'
        ' not that many independent samples, and it has no spread.'
    ]
  if 2 * distinct <= runs:
    return [f'{name}: only {distinct:,} of {runs:,} runs are distinct.']
  return []


def _statistic(row: Mapping[str, Any]) -> str:
  if row['t'] is None:
    return f'no test: {row["reason"]}'
  return f'{row["t"]:+.2f} ({row["degrees"]:.1f})'


def _probability(p: float | None) -> str:
  if p is None:
    return NONE
  if p < 1e-16:
    return '< 1e-16'
  return f'{p:.2g}' if p < 0.001 else f'{p:.3f}'


def _decimals(summary: Summary, section: Mapping[str, Any]) -> int:
  """Of a figure in a table: one less than the curves have."""
  return summary['benchmarks'][section['benchmark']]['decimals'] - 1
