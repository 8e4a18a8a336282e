"""What is printed about a search."""

import io

from rich.console import Console

from layernas.reports.console import SearchProgress
from layernas.reports.console import comparison_table
from layernas.reports.console import opening_lines
from layernas.reports.console import summary_table
from layernas.reports.console import trial_line
from layernas.reports.console import wall_time_line
from layernas.reports.result import search_result
from tests import tiny
from tests.experiment.test_report import searched


def _printed(table: object) -> str:
  console = Console(file=io.StringIO(), width=120)
  console.print(table)
  return console.file.getvalue()


def test_opening_states_the_bound() -> None:
  # H = 2 buckets, keep = 1, three layers of two options.
  assert 'bound: H * keep * sum|S_l| = 12 trials' in opening_lines(searched())


def test_trial_line_marks_the_best() -> None:
  search = searched()
  line = trial_line(search.best, search)
  assert '1-1-1' in line
  assert 'reward 3.0000' in line
  assert line.endswith('*')
  assert not trial_line(search.trials[0], search).endswith('*')


def test_failed_trial_line_has_the_message() -> None:
  search = searched(reward=None)
  assert 'failed: broken' in trial_line(search.trials[0], search)


def test_summary_and_comparison() -> None:
  result = search_result(searched(), tiny.space(), tiny.get_config(), 16, 10)
  text = _printed(summary_table(result))
  assert 'every layer decided' in text
  assert 'expanded 24' in text
  row = {'name': 'winner', 'madds': 12345, 'params': 67, 'mean': 0.5,
         'accuracies': [0.4, 0.6]}
  assert '12,345' in _printed(comparison_table([row]))


def test_waiting_for_compilation_opens_the_line_on_time() -> None:
  line = wall_time_line({'compile': 1.0, 'train': 8.0, 'save': 1.0})
  assert line == (
      'waiting for compilation: 10.0% of 10 s (train 80.0%, save 10.0%)'
  )


def test_terminal_shows_bound_best_and_candidate() -> None:
  search = searched()
  console = Console(file=io.StringIO(), force_terminal=True, width=150)
  with SearchProgress(search, steps=7, console=console) as progress:
    first, second = (search.trials[place].candidate for place in (0, 1))
    progress.began(first, '')
    progress.began(second, '3')
    progress.stepped(first, 5, {'train_loss': 1.25})
    progress.finished(search.best)
    progress.evaluated(search.trials[2].candidate)
  text = console.file.getvalue()
  assert f'{len(search.trials)}/12' in text
  assert 'best 3.0000' in text
  assert '5/7' in text
  assert 'trial 2 on 3' in text
