"""Descriptions of benchmarks and their rules, as JSON types and texts."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from layernas.study import report_tables
from layernas.study.curves import make_grid
from layernas.study.tables.benchmark import HELD_OUT
from layernas.study.tables.benchmark import Benchmark
from layernas.study.tables.table import unit_of

ACCOUNTINGS = {
    'every_query': (
        'Every query is charged',
        "The NATS-Bench protocol's rule. Each proposal is a trial of its own: a"
        ' network that a method proposes again is evaluated and charged again.',
    ),
    'each_network_once': (
        'Each network is trained once',
        'A network that a method proposes again is answered by its first trial'
        ' and is free: it costs neither a trial nor seconds. Figures of this'
        ' part are not comparable with those under the other rule.',
    ),
}
"""Title and rule of each accounting."""

COST_RULE = (
    'Cost limits are enforced by rejection before evaluation, free of charge,'
    ' for every method alike: a proposal outside the target interval (of'
    ' LayerNAS, a prefix that no completion brings into it) is dropped without'
    " being evaluated. Optuna's samplers learn by how much it misses, as the"
    ' violation of a constraint; SMAC expects no improvement outside.'
)


BETTER = {1: 'larger is better', -1: 'smaller is better'}
"""Words for directions, by their sign."""


def direction_line(benchmark: Benchmark) -> str:
  """A line on the directions of a benchmark's signal and report."""
  return (
      f'{benchmark.name}: signal {", ".join(benchmark.rewards)}:'
      f' {BETTER[benchmark.sign]}; report {benchmark.report}:'
      f' {BETTER[benchmark.report_sign]}'
  )


def describe_benchmark(
    benchmark: Benchmark, section: Any, points: int
) -> dict[str, Any]:
  """The description of a benchmark, as JSON types.

  Args:
    benchmark: benchmark to describe.
    section: its config section, with the words for it.
    points: number of points of its best-so-far curves.

  Returns:
    The benchmark in a summary. `decimals` are those of the figures of its
    curves, `grid` has the times of their points.
  """
  budget = benchmark.budget
  clock = 'trials' if math.isinf(budget.seconds) else 'seconds'
  return {
      'table': benchmark.table.name,
      'signal': section.signal,
      'metric': section.metric,
      'protocol': section.protocol,
      'rewards': list(benchmark.rewards),
      'report': benchmark.report,
      'cost': benchmark.cost,
      'unit': unit_of(benchmark.cost),
      'target': [_finite(benchmark.target.low), _finite(benchmark.target.high)],
      'seconds': benchmark.seconds,
      'budget': {
          'trials': _finite(budget.trials), 'seconds': _finite(budget.seconds)
      },
      'noise': benchmark.noise,
      'failing': benchmark.failing,
      'architectures': benchmark.networks[0],
      'feasible': benchmark.networks[1],
      # Larger is better where nothing is said.
      **({'sign': -1} if benchmark.sign < 0 else {}),
      **({'report_sign': -1} if benchmark.report_sign < 0 else {}),
      'optimum': benchmark.optimum,
      'decimals': _decimals(benchmark),
      'published': {
          name: {'mean': row[0], 'sd': row[1], 'source': row[2]}
          for name, row in section.published.items()
      },
      'clock': clock,
      'grid': make_grid(clock, getattr(budget, clock), points),
  }


def warning(benchmark: Mapping[str, Any]) -> str:
  """A warning if the reward is an oracle's; otherwise ''."""
  if benchmark['report'] in benchmark['rewards']:
    return 'Oracle reward: the signal is the column that answers are judged by.'
  if 'oracle' in benchmark['signal'].lower():
    return f'Oracle reward: {benchmark["signal"]}.'
  return ''


def facts(
    benchmark: Mapping[str, Any], section: Mapping[str, Any]
) -> tuple[tuple[str, str], ...]:
  """The protocol as text.

  Args:
    benchmark: benchmark of the summary.
    section: section of that benchmark in the summary.

  Returns:
    Pairs of a name and a text.
  """
  lines = {
      'Table': _table(benchmark),
      'Signal': _signal(benchmark),
      'Report metric': _metric(benchmark),
      'Split and protocol': benchmark['protocol'],
      'Cost': f'column {benchmark["cost"]}, target interval:'
              f' {_target(benchmark)}',
      'Budget of a run': _budget(benchmark),
      'Clock': ACCOUNTINGS[section['accounting']][1],
      'Runs': _runs(section),
      'Enumerated optimum': _optimum(benchmark),
  }
  return tuple((name, text) for name, text in lines.items() if text)


def _decimals(benchmark: Benchmark) -> int:
  """Five significant digits of the best figure, or of the default network's."""
  figure = benchmark.optimum
  if figure is None:
    figure = benchmark.reference.item(benchmark.table.space.default)
  return 4 - math.floor(math.log10(abs(figure) or 1))


def _table(benchmark: Mapping[str, Any]) -> str:
  text = f'{benchmark["table"]}: {benchmark["architectures"]:,} networks'
  if benchmark['feasible'] is None:
    return text
  return f'{text}, {benchmark["feasible"]:,} in the target interval'


def _optimum(benchmark: Mapping[str, Any]) -> str:
  if benchmark['optimum'] is None:
    return ''
  optimum = report_tables.number(
      benchmark['optimum'], benchmark['decimals'] - 1
  )
  return (
      f'{optimum}, the best report metric of all networks in the target'
      ' interval'
  )


def _signal(benchmark: Mapping[str, Any]) -> str:
  text = f'{benchmark["signal"]} ({_columns(benchmark["rewards"])})'
  if len(benchmark['rewards']) > 1:
    text += ', in turn, beginning with the one that the seed picks'
  if benchmark['noise']:
    text += f', plus normal noise of standard deviation {benchmark["noise"]:g}'
  if benchmark['failing']:
    text += f'; {100 * benchmark["failing"]:g} % of the queries fail'
  return f'{text.strip()}; {BETTER[benchmark.get("sign", 1)]}'


def _metric(benchmark: Mapping[str, Any]) -> str:
  better = BETTER[benchmark.get('report_sign', 1)]
  if benchmark['report'] == HELD_OUT:
    return (
        f'{benchmark["metric"]} (the training of the answer that no query of'
        ' the run gave; optimum and regret are of the mean over all trainings);'
        f' {better}'
    ).strip()
  text = f'{benchmark["metric"]} (column {benchmark["report"]})'
  return f'{text.strip()}; {better}'


def _target(benchmark: Mapping[str, Any]) -> str:
  low, high = benchmark['target']
  limits = [f'at least {low:,}'] if low is not None else []
  limits += [f'at most {high:,}'] if high is not None else []
  unit = f' {benchmark["unit"]}' if benchmark['unit'] else ''
  return f'{" and ".join(limits)}{unit}. {COST_RULE}' if limits else 'no limit'


def _budget(benchmark: Mapping[str, Any]) -> str:
  trials, seconds = (benchmark['budget'][n] for n in ('trials', 'seconds'))
  limits = [f'{trials:,} trials'] if trials is not None else []
  if seconds is not None:
    limits.append(
        f'{seconds:,.0f} simulated seconds (column {benchmark["seconds"]}; the'
        ' last query may overshoot)'
    )
  return ' or '.join(limits)


def _runs(section: Mapping[str, Any]) -> str:
  """How many runs there are of which method."""
  counts = {name: one['runs'] for name, one in section['methods'].items()}
  usual = Counter(counts.values()).most_common(1)[0][0]
  others = [f'{runs:,} of {n}' for n, runs in counts.items() if runs != usual]
  text = f'{usual:,} of each method (seeds 0 to {usual - 1:,})'
  return f'{text}, but {", ".join(others)}' if others else text


def _columns(names: list[str]) -> str:
  return f'column{"s" if len(names) > 1 else ""} {", ".join(names)}'


def _finite(value: float) -> float | None:
  return None if math.isinf(value) else value
