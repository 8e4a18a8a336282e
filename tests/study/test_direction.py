"""Tables whose signal or report is better the smaller it is."""

import json
import pathlib

import numpy as np
import pytest
from matplotlib import pyplot as plt
from rich.console import Console

from configs.study import default
from layernas.errors import UserError
from layernas.reports.console import Progress
from layernas.reports.console import reward_name
from layernas.search import Candidate
from layernas.search.sweep import Sweep
from layernas.study import report
from layernas.study import study_plots
from layernas.study.audit import audit
from layernas.study.audit import audit_to_dict
from layernas.study.run_audit import run_audit
from layernas.study.run_study import run_study
from layernas.study.setup import make_benchmark
from layernas.study.tables.benchmark import TableEvaluator
from tests import tiny


def _write(path: pathlib.Path, errors: bool = True) -> pathlib.Path:
  """27 networks; as errors, or as the accuracies that they are 64 short of."""
  rows = ['arch,signal,test,madds']
  rng = np.random.default_rng(3)
  for index in np.ndindex(3, 3, 3):
    signal = 40 - 8 * sum(index) / 2 + int(rng.integers(8)) / 4
    test = signal - int(rng.integers(4)) / 4
    figures = [signal, test] if errors else [64 - signal, 64 - test]
    name = ''.join(map(str, index))
    rows.append(','.join(map(str, [name, *figures, 1 + sum(index)])))
  path.write_text('\n'.join(rows))
  return path


def _config(table: pathlib.Path, **changes: object):
  made = default.get_config()
  made.benchmarks.own = default.benchmark(
      table__file=str(table), rewards=('signal',), report='test', cost='madds',
      target__high=5.0, budget__trials=9, **changes,
  )
  made.methods = default.methods(buckets=4, optuna_seeds=2)
  made.compared = 'layernas'
  made.seeds = 3
  made.workers = 1
  return made.lock()


def _runs(workdir: pathlib.Path) -> list[dict[str, object]]:
  lines = (workdir / 'runs.jsonl').read_text().splitlines()
  return list(map(json.loads, lines))


@pytest.fixture(name='both')
def _both(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
  """Summaries of errors that are minimised and accuracies as ever."""
  monkeypatch.setattr(report, 'render', lambda summary, directory: None)
  errors = _config(_write(tmp_path / 'errors.csv'), direction='minimise')
  accuracies = _config(_write(tmp_path / 'accuracies.csv', errors=False))
  return tuple(
      run_study(config, tmp_path / name)
      for name, config in (('errors', errors), ('accuracies', accuracies))
  )


def test_a_table_of_errors_is_searched_as_one_of_accuracies(
    tmp_path: pathlib.Path, both
) -> None:
  """The same answers, with the figures of the table."""
  for errors, accuracies in zip(
      _runs(tmp_path / 'errors'), _runs(tmp_path / 'accuracies'), strict=True
  ):
    for name in ('trials', 'networks', 'stop_reason', 'reused'):
      assert errors[name] == accuracies[name]
    first, second = errors['answer'], accuracies['answer']
    assert first['architecture'] == second['architecture']
    assert first['reward'] == 64 - second['reward']
    assert errors['reported'] == 64 - accuracies['reported']
    mirrored = [
        row[:2] + [64 - row[2], 64 - row[3]] for row in errors['curve']
    ]
    assert mirrored == accuracies['curve']
  errors, accuracies = both
  optimum = errors['benchmarks']['own']['optimum']
  assert optimum == 64 - accuracies['benchmarks']['own']['optimum'] < 30
  for one, other in zip(
      errors['sections'], accuracies['sections'], strict=True
  ):
    for name, method in one['methods'].items():
      same = other['methods'][name]
      assert method['regret'] == same['regret'] >= 0
      assert method['found'] == same['found']
      assert method['mean'] == pytest.approx(64 - same['mean'])
      if name in one['tests']:
        assert one['tests'][name]['p'] == pytest.approx(
            other['tests'][name]['p']
        )


def test_the_direction_is_said_in_the_report(both) -> None:
  errors, accuracies = map(report.markdown, both)
  for text, better in ((errors, 'smaller'), (accuracies, 'larger')):
    assert f'- Signal: (column signal); {better} is better' in text
    assert f'- Report metric: (column test); {better} is better' in text
  assert 'a negative difference is in favour of layernas' in errors
  assert 'a negative difference' not in accuracies


def test_the_first_printed_line(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
  monkeypatch.setattr(report, 'render', lambda summary, directory: None)
  table = _write(tmp_path / 'table.csv')
  config = _config(
      table, direction='minimise', report_direction='maximise'
  )
  run_study(config, tmp_path / 'run')
  assert capsys.readouterr().out.splitlines()[0] == (
      'own: signal signal: smaller is better; report test: larger is better'
  )
  # Methods find small signals; the report calls the largest test the best.
  benchmark = make_benchmark('own', config.benchmarks.own)
  assert benchmark.optimum == benchmark.table.column('test')[
      benchmark.table.feasible(benchmark.cost, benchmark.target)
  ].max()
  assert benchmark.regret(benchmark.optimum - 3) == 3


def test_a_query_gives_the_negated_figure(tmp_path: pathlib.Path) -> None:
  table = _write(tmp_path / 'table.csv')
  benchmark = make_benchmark(
      'own', _config(table, direction='minimise').benchmarks.own
  )
  found = TableEvaluator(benchmark, 0)(Candidate(0, 0, (1, 1, 1), 4, 0))
  assert found.reward == -benchmark.table.column('signal')[1, 1, 1]


def test_pictures_of_errors_show_them_from_the_optimum_up(
    both, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
  limits = []
  monkeypatch.setattr(
      study_plots, 'save_picture',
      lambda figure, path, **named: limits.append(figure.axes[0].get_ylim()),
  )
  errors, _ = both
  section = errors['sections'][0]
  optimum = errors['benchmarks']['own']['optimum']
  lines = study_plots.lines_of(errors, section)
  assert lines[0].mean[-1] == min(line.mean[-1] for line in lines)
  for save in (
      study_plots.save_curves, study_plots.save_regret, study_plots.save_bands
  ):
    save(errors, section, tmp_path / 'x.png')
  plt.close('all')
  curves, regret, _ = limits
  assert curves[0] < optimum < curves[1]
  assert curves[1] > max(line.settled.max() for line in lines)
  assert 0 < regret[0] < regret[1]


def test_an_audit_follows_the_smallest_errors(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
  both = [
      make_benchmark('own', _config(
          _write(tmp_path / f'{errors}.csv', errors),
          direction='minimise' if errors else 'maximise',
      ).benchmarks.own)
      for errors in (True, False)
  ]
  first, second = (
      audit_to_dict(audit(benchmark, Sweep(4), 5)) for benchmark in both
  )
  assert first == second
  config = _config(tmp_path / 'True.csv', direction='minimise')
  config = config.copy_and_resolve_references().unlock()
  config.update({
      'buckets': (4,), 'start': 'default', 'order': 'forward',
      'spacing': 'linear', 'top': 5,
  })
  run_audit(config, tmp_path / 'run')
  assert capsys.readouterr().out.startswith(
      'own: signal signal: smaller is better'
  )
  assert 'Smaller signals are better' in (
      tmp_path / 'run' / 'audit.md'
  ).read_text()


@pytest.mark.parametrize(('changes', 'part'), [
    ({'direction': 'down'}, "direction 'down': allowed are"),
    ({'report_direction': 'up'}, "report_direction 'up': allowed are"),
    ({'report': 'signal', 'direction': 'minimise',
      'report_direction': 'maximise'}, "allowed is 'minimise'"),
    ({'synthetic': 'additive', 'direction': 'minimise'},
     "allowed is 'maximise' with a synthetic"),
])
def test_wrong_directions(
    tmp_path: pathlib.Path, changes: dict[str, str], part: str
) -> None:
  config = _config(_write(tmp_path / 'table.csv')).benchmarks.own
  config = config.copy_and_resolve_references().unlock()
  config.update(changes)
  with pytest.raises(UserError, match=r'^benchmarks\.own: ') as error:
    make_benchmark('own', config)
  assert part in str(error.value)


def test_a_search_says_that_larger_rewards_are_better() -> None:
  console = Console(record=True, width=100)
  progress = Progress(console, reward_name({'reward': 'loss'}))
  progress.before_search(tiny.new_search(), 5, '')
  progress.close()
  assert 'reward (loss): larger is better' in console.export_text()
