"""Functions as benchmarks: own code in a study, its errors, and its report."""

import json
import math
import pathlib

import numpy as np
import pytest

from configs.study import default
from configs.study import own_function
from examples.own_benchmark import tapering_widths
from layernas.errors import UserError
from layernas.search import TargetInterval
from layernas.search import additive_cost
from layernas.study import report
from layernas.study.run import Key
from layernas.study.run_audit import run_audit
from layernas.study.run_study import run_study
from layernas.study.setup import make_benchmark
from layernas.study.tables.benchmark import HELD_OUT
from layernas.study.tables.benchmark import Benchmark
from layernas.study.tables.table import BenchmarkTable
from layernas.study.tables.table import Oracle
from layernas.study.tables.table import Survey
from layernas.study.trace_run import traced
from tests import tiny
from tests.search import problems

_HERE = 'tests.study.test_oracle'


def steps(height: float = 10.0, columns: int = 1) -> Oracle:
  """A table of three layers; its figures are the sum of the options."""
  space = problems.make_space(2, 3, 4)
  figures = {
      f'sum{i}': lambda a, i=i: i + height * sum(a) for i in range(columns)
  }
  return Oracle('steps', space, figures, [
      additive_cost('units', space, [range(2), range(3), range(4)])
  ])


def broken(figure: float | str = math.nan) -> Oracle:
  table = steps()
  table.figures = {'sum0': lambda a: figure if sum(a) > 2 else 1.0}
  return table


def raising() -> Oracle:
  table = steps()
  table.figures = {'sum0': lambda a: 1 / max(0, 2 - sum(a))}
  return table


def no_table() -> int:
  return 3


def study(function: str = 'steps', **changes):
  config = default.get_config()
  config.benchmarks.own = default.benchmark(**{
      'table__name': f'{_HERE}:{function}', 'rewards': ('sum0',),
      'report': 'sum0', 'cost': 'units', 'target__high': 4.0,
      'budget__trials': 6,
  } | changes)
  config.methods.layernas = default.method(
      'layernas', schedule='sweep', buckets=3
  )
  config.methods.random = default.method('random')
  config.compared = 'random'
  config.seeds = 2
  config.workers = 1
  return config.lock()


def test_an_own_function_is_a_benchmark(tmp_path: pathlib.Path) -> None:
  config = own_function.get_config('smoke').copy_and_resolve_references()
  with config.unlocked():
    config.workers = 1
    config.methods = {n: config.methods[n] for n in ('layernas', 'evolution')}
    config.benchmarks.own.budget.trials = 20
    config.accountings = ('every_query',)
    config.benchmarks.own.table.settings.layers = 8
  summary = run_study(config, tmp_path)
  benchmark = summary['benchmarks']['own']
  assert benchmark['table'] == 'tapering_widths'
  assert benchmark['architectures'] == 5**8
  assert benchmark['optimum'] is None
  assert benchmark['feasible'] is None
  table = tapering_widths(layers=8)
  for line in (tmp_path / 'runs.jsonl').read_text().splitlines():
    record = json.loads(line)
    answer = tuple(map(int, record['answer']['architecture'].split('-')))
    assert record['answer']['cost'] == table.cost('madds').cost(answer)
    # The figure without the error of the signal.
    assert record['reported'] == table.column('accuracy').item(answer)
    assert record['answer']['reward'] != record['reported']


def test_a_report_without_an_optimum_shows_figures(
    tmp_path: pathlib.Path
) -> None:
  summary = run_study(study(), tmp_path / 'run')
  for section in summary['sections']:
    for row in section['methods'].values():
      assert (row['regret'], row['found']) == (None, None)
      assert row['mean'] > 0
  text = (tmp_path / 'run' / 'report.md').read_text()
  assert 'Table: steps: 24 networks\n' in text
  assert 'Enumerated optimum' not in text
  row = next(
      x for x in text.splitlines() if x.startswith('| layernas | 2 (1 distinct')
  )
  assert row.split(' | ')[7:9] == ['-', '-']
  files = {path.name for path in (tmp_path / 'run').glob('*.png')}
  assert files == {
      f'own_{accounting}{end}.png' for end in ('', '_bands')
      for accounting in ('every_query', 'each_network_once')
  }
  # From the summary alone, as tools/benchmark_report.py does.
  (tmp_path / 'again').mkdir()
  report.render(json.loads((tmp_path / 'run' / 'summary.json').read_text()),
                tmp_path / 'again')
  assert (tmp_path / 'again' / 'report.md').read_text() == text


def test_a_trace_of_an_own_function() -> None:
  trace = traced(study(), Key('own', 'every_query', 'layernas', 0))
  assert trace['run']['reported'] > 0


def test_settings_go_to_the_function() -> None:
  section = study(table__settings__height=2.0).benchmarks.own
  assert make_benchmark('own', section).reported((1, 1, 1), 0) == 6.0
  section = study(table__settings__depth=2).benchmarks.own
  with problems.refuses(
      'benchmarks.own: table.settings', "'depth'", "['height', 'columns']"
  ):
    make_benchmark('own', section)
  packaged = {'table__name': 'nas_bench_macro', 'rewards': ('acc1',)}
  section = study(table__settings__height=2.0, **packaged).benchmarks.own
  with problems.refuses("'height'", 'nas_bench_macro, []'):
    make_benchmark('own', section)


@pytest.mark.parametrize(('changes', 'parts'), [
    ({'table__name': f'{_HERE}:missing'}, ('table.name', "'missing'")),
    ({'table__name': f'{_HERE}:no_table'}, ('gave a int', 'table.Table')),
    ({'rewards': ('height',)},
     ("table 'steps': column 'height'", "['sum0', 'units']")),
    ({'cost': 'sum0'}, ("column 'sum0'", "['units']")),
    ({'synthetic': 'additive'}, ("synthetic: 'additive'", 'every arch')),
    ({'synthetic': 'interacting'}, ("synthetic: 'interacting'", 'every arch')),
])
def test_wrong_fields_are_named(changes, parts) -> None:
  with problems.refuses('benchmarks.own: ', *parts):
    make_benchmark('own', study(**changes).benchmarks.own)


@pytest.mark.parametrize('figure', [math.nan, math.inf, 'good', None])
def test_a_figure_that_is_no_number_ends_the_study(
    tmp_path: pathlib.Path, figure: object
) -> None:
  config = study('broken', table__settings={'figure': figure})
  with problems.refuses(
      "table 'steps': column 'sum0'", repr(figure), 'finite numbers'
  ):
    run_study(config, tmp_path)


def test_what_an_own_function_raises_is_told_in_a_line(
    tmp_path: pathlib.Path
) -> None:
  with pytest.raises(UserError) as error:
    run_study(study('raising'), tmp_path)
  message = str(error.value)
  assert '\n' not in message
  assert "table 'steps': column 'sum0'" in message
  assert 'ZeroDivisionError: division by zero' in message
  assert 'test_oracle.py, line' in message


def test_another_function_continues_no_study(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr(report, 'render', lambda summary, directory: None)
  run_study(study(), tmp_path)
  runs = (tmp_path / 'runs.jsonl').read_bytes()
  run_study(study(), tmp_path)
  assert (tmp_path / 'runs.jsonl').read_bytes() == runs
  # The same config names other figures now.
  monkeypatch.setattr(steps, '__defaults__', (10.5, 1))
  with problems.refuses('content of benchmarks.own.table', '24 networks'):
    run_study(study(), tmp_path)


def test_an_edited_function_continues_no_study(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr(report, 'render', lambda summary, directory: None)
  monkeypatch.syspath_prepend(tmp_path)
  module = tmp_path / 'edited_benchmark.py'
  code = f'from {_HERE} import steps\n\n\ndef made():\n  return steps()\n'
  module.write_text(code)
  config = study(table__name='edited_benchmark:made')
  run_study(config, tmp_path / 'run')
  module.write_text(code + '  # Words.\n')
  run_study(config, tmp_path / 'run')
  module.write_text(code.replace('steps()', 'steps(10.0)'))
  with problems.refuses('content of benchmarks.own.table.name', 'edited since'):
    run_study(config, tmp_path / 'run')


def test_an_audit_needs_all_networks(tmp_path: pathlib.Path) -> None:
  config = study().copy_and_resolve_references()
  with config.unlocked():
    config.update({
        'buckets': (2,), 'start': 'default', 'order': 'forward',
        'spacing': 'linear', 'top': 1,
    })
  with problems.refuses('audit of benchmarks.own', "'steps'"):
    run_audit(config, tmp_path / 'audit')
  assert not (tmp_path / 'audit').exists()


def test_several_figures_are_trainings_in_turn() -> None:
  benchmark = make_benchmark('own', study(
      table__settings__columns=3, rewards=('sum0', 'sum1', 'sum2'),
      report=HELD_OUT,
  ).benchmarks.own)
  assert benchmark.trainings(1) == (('sum1', 'sum2'), 'sum0')
  assert benchmark.reference.item((1, 1, 1)) == 31
  assert benchmark.regret(31) is None


class Surveyed(Oracle):
  """An oracle that knows its optimum."""

  def survey(self, *asked):
    del asked
    return Survey(3, 20.0)


def test_an_own_table_may_know_its_optimum() -> None:
  benchmark = make_benchmark('own', study().benchmarks.own)
  assert (benchmark.networks, benchmark.optimum) == ((24, None), None)
  known = Benchmark(
      'own', Surveyed(**vars(steps())), ('sum0',), 'sum0', 'units'
  )
  assert (known.networks, known.optimum) == ((24, 3), 20.0)
  assert known.regret(5.0) == 15.0


def test_an_oracle_and_a_table_of_the_same_figures_agree() -> None:
  oracle = steps(columns=2)
  counts = oracle.space.option_counts
  columns = {
      name: np.array([
          oracle.column(name).item(each) for each in np.ndindex(*counts)
      ]).reshape(counts) for name in ('sum0', 'sum1', 'units')
  }
  table = BenchmarkTable('all', oracle.space, columns)
  names = ('sum0', 'sum1')
  for each in np.ndindex(*counts):
    assert table.mean(names).item(each) == oracle.mean(names).item(each)
    assert table.cost('units').cost(each) == oracle.cost('units').cost(each)
  known = table.survey('units', TargetInterval(high=3), names, 1)
  assert known.optimum == 30.5
  assert oracle.survey('units', TargetInterval(high=3), names, 1) == Survey()


@pytest.mark.long
def test_the_program_runs_a_function_and_names_its_mistakes(
    tmp_path: pathlib.Path
) -> None:
  flags = ('--config=configs/study/own_function.py:smoke',
           '--config.benchmarks.own.budget.trials=20',
           f'--workdir={tmp_path / "run"}')
  done = tiny.run_program('benchmark', *flags)
  assert done.returncode == 0, done.stderr
  wrong = '--config.benchmarks.own.table.settings.layers=1'
  done = tiny.run_program('benchmark', *flags, wrong)
  assert done.returncode == 2
  [line] = done.stderr.splitlines()
  assert 'table.settings.layers: 1' in line
