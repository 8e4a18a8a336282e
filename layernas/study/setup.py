"""From a config to benchmarks and methods; checks every field on the way."""

import math
from typing import Any

from layernas import activity
from layernas import paths
from layernas.errors import UserError
from layernas.search import Budget
from layernas.search import TargetInterval
from layernas.search.cost import cost_text
from layernas.search.schedules import with_finalists
from layernas.search.strategy import Strategy
from layernas.study.methods.registry import make_method
from layernas.study.tables.benchmark import Benchmark
from layernas.study.tables.csv_table import Encoding
from layernas.study.tables.csv_table import read_csv_table
from layernas.study.tables.registry import make_table
from layernas.study.tables.synthetic import Chain
from layernas.study.tables.synthetic import with_additive_reward
from layernas.study.tables.synthetic import with_interacting_reward
from layernas.study.tables.table import Table
from layernas.study.tables.table import enumerated

ACCOUNTINGS = ('every_query', 'each_network_once')
"""Whether a network that is proposed again is a trial of its own."""


def make_benchmark(name: str, section: Any) -> Benchmark:
  """The benchmark that a config section describes.

  Args:
    name: of the section.
    section: see `benchmark` in configs/study/default.py.

  Returns:
    The benchmark.

  Raises:
    UserError: names the field, its value and what is allowed.
  """
  try:
    rewards, report = tuple(section.rewards), section.report
    if section.synthetic:
      rewards = report = section.synthetic
      rewards = (rewards,)
    with activity.doing(f'reading benchmark {name}'):
      table = _make_table(section)
    benchmark = Benchmark(
        name,
        table,
        rewards,
        report,
        section.cost,
        TargetInterval(
            section.target.low or -math.inf, section.target.high or math.inf
        ),
        section.seconds,
        Budget(
            section.budget.trials or math.inf,
            section.budget.seconds or math.inf,
            reused=section.budget.reused,
        ),
        section.noise,
        section.failing,
        section.direction,
        section.report_direction,
    )
    if section.synthetic and benchmark.sign < 0:
      raise UserError(
          f"direction: {section.direction!r}: allowed is 'maximise' with a"
          ' synthetic reward'
      )
    _check_budget(benchmark)
    _check_target(benchmark)
  except UserError as error:
    raise UserError(f'benchmarks.{name}: {error}') from error
  return benchmark


def make_strategy(section: Any) -> Strategy:
  """The strategy that a method's section describes, not yet begun.

  Args:
    section: see `method` in configs/study/default.py.

  Returns:
    The strategy.

  Raises:
    UserError: there is no such kind, or a setting is wrong.
  """
  method = make_method(section.kind, **section.settings)
  return with_finalists(method, section.finalists)


def check_study(config: Any) -> None:
  """Raises UserError unless all of a study's fields make sense.

  Args:
    config: see configs/study/default.py.
  """
  if not config.benchmarks or not config.methods:
    raise UserError(
        'config: no benchmarks or no methods; allowed is at least one of each'
    )
  unknown = set(config.accountings) - set(ACCOUNTINGS)
  if unknown or not config.accountings:
    raise UserError(
        f'accountings: {tuple(config.accountings)}: allowed are'
        f' {ACCOUNTINGS}, or one of them'
    )
  for field, least in (('seeds', 1), ('workers', 0), ('curve_points', 2)):
    if config[field] < least:
      raise UserError(
          f'{field}: {config[field]}: allowed are integers >= {least}'
      )
  if config.compared and config.compared not in config.methods:
    raise UserError(
        f'compared: {config.compared!r}: allowed are {list(config.methods)}'
    )
  for field in ('benchmarks', 'methods'):
    for name, section in config[field].items():
      if section.seeds < 0:
        raise UserError(
            f'{field}.{name}.seeds: {section.seeds}: allowed are integers >= 0'
        )
  for name, section in config.methods.items():
    try:
      make_strategy(section)
    except UserError as error:
      raise UserError(f'methods.{name}: {error}') from error


def _make_table(section: Any) -> Table:
  if section.synthetic not in _TABLES:
    raise UserError(
        f'synthetic: {section.synthetic!r}: allowed are {tuple(_TABLES)}'
    )
  return _TABLES[section.synthetic](section)


def _described_table(section: Any) -> Table:
  described = section.table
  if bool(described.name) == bool(described.file):
    raise UserError(
        f'table.name {described.name!r}, table.file {described.file!r}: allowed'
        ' is one of them'
    )
  if described.name:
    return make_table(described.name, dict(described.settings))
  return _read_own_table(section)


def _read_own_table(section: Any) -> Table:
  """Reads the columns that the section names."""
  described = section.table
  named = [section.cost]
  if section.seconds:
    named.append(section.seconds)
  if not section.synthetic:
    named += section.rewards
    if section.report != 'held_out':
      named.append(section.report)
  encoding = Encoding(
      described.architecture, described.pattern, tuple(described.options),
      described.default, tuple(described.layers),
  )
  file = paths.expanded('table.file', described.file)
  return read_csv_table(file, encoding, list(dict.fromkeys(named)))


def _check_budget(benchmark: Benchmark) -> None:
  budget = benchmark.budget
  if math.isinf(budget.trials) and math.isinf(budget.seconds):
    raise UserError(
        'budget: no limit; allowed are budget.trials or budget.seconds above'
        ' zero'
    )
  if not math.isinf(budget.seconds) and not benchmark.seconds:
    raise UserError(
        f'budget.seconds {budget.seconds}: allowed where the field seconds'
        ' names a column'
    )


def _check_target(benchmark: Benchmark) -> None:
  """Raises UserError where no network is in the target, as far as is known."""
  target = benchmark.problem.target
  _, inside = benchmark.networks
  if inside == 0:
    raise UserError(
        f'target interval [{cost_text(target.low)}, {cost_text(target.high)}]'
        f' of {benchmark.cost!r}: no network is in it; allowed are intervals'
        ' that hold one'
    )


def _additive(section: Any) -> Table:
  table = enumerated(_described_table(section), "synthetic: 'additive'")
  return with_additive_reward(table, section.synthetic_seed)


def _interacting(section: Any) -> Table:
  table = enumerated(_described_table(section), "synthetic: 'interacting'")
  return with_interacting_reward(
      table, section.synthetic_seed, section.interaction
  )


def _chain(section: Any) -> Table:
  return Chain(
      section.chain_layers, section.chain_options, section.synthetic_seed,
      section.interaction,
  )


_TABLES = {
    '': _described_table, 'additive': _additive, 'interacting': _interacting,
    'chain': _chain,
}
"""What makes the table, by the section's field `synthetic`."""
