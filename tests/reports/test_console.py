"""What is printed about a run."""

import io

import pytest
from rich.console import Console

from layernas.reports.console import Progress
from layernas.reports.console import comparison_table
from layernas.reports.console import new_console
from layernas.reports.console import opening_lines
from layernas.reports.console import summary_table
from layernas.reports.console import trial_line
from layernas.reports.console import trial_table
from layernas.reports.console import wall_time_line
from layernas.reports.hooks import Training
from layernas.reports.result import search_result
from layernas.search import Budget
from layernas.search import CountedCost
from layernas.search import Evaluation
from layernas.search import ModelGuided
from layernas.search import Problem
from layernas.search import Search
from layernas.search import Sweep
from layernas.search import TargetInterval
from layernas.search import Trial
from tests import tiny


def _console(**settings: object) -> Console:
  return new_console(file=io.StringIO(), **settings)


def _printed(table: object) -> str:
  console = _console(width=120)
  console.print(table)
  return console.file.getvalue()


def test_a_notebook_gets_plain_lines(
    monkeypatch: pytest.MonkeyPatch
) -> None:
  # What a kernel of Jupyter sets, and how rich finds it.
  monkeypatch.setenv('FORCE_COLOR', '1')
  monkeypatch.setattr('rich.console._is_jupyter', lambda: True)
  console = _console()
  assert not console.is_jupyter
  assert not console.is_terminal
  console.print('trial 0', style='bold')
  assert console.file.getvalue() == 'trial 0\n'


def test_opening_states_the_bound() -> None:
  # H = 2 buckets, keep = 1, three layers of two options.
  lines = opening_lines(tiny.new_search())
  assert 'bound: H * keep * sum|S_l| = 12 trials' in lines


def test_opening_says_where_only_whole_networks_have_a_known_cost() -> None:
  searched = tiny.new_search().problem
  cost = CountedCost('sum', searched.space, sum, 'units')
  problem = Problem(cost, TargetInterval(high=2))
  assert opening_lines(Search(problem, Sweep()))[1] == (
      'units: known of whole networks alone, target no limit to 2'
  )
  assert opening_lines(Search(searched, Sweep()))[1].startswith('MAdds: 3')


@pytest.mark.parametrize(('start', 'line'), [
    ('default', 'start network: 1-0-0 (default), 47,440 MAdds'),
    ('largest', 'start network: 1-1-1 (largest), 66,000 MAdds'),
    ('random', 'start network: random'),
])
def test_opening_names_the_start_network(start: str, line: str) -> None:
  schedule = Sweep(buckets=2, start=start)
  search = Search(tiny.new_search().problem, schedule)
  assert [one for one in opening_lines(search) if one.startswith('start')] == [
      line
  ]
  # A schedule without layers has none.
  guided = Search(search.problem, ModelGuided())
  assert 'start' not in ' '.join(opening_lines(guided))


def test_a_budget_below_what_is_finished_is_said() -> None:
  budgets = {}
  for trials in (3, 12):
    searched = tiny.searched()
    search = Search(
        searched.problem, Sweep(buckets=2), Budget(trials=trials)
    )
    search.replay(searched.trials[:4])
    console = _console(width=120)
    Progress(console).before_search(search, 1, '')
    budgets[trials] = console.file.getvalue()
    assert (search.ask() == []) == (trials == 3)
  assert (
      '4 trials are finished already: more than budget.trials, 3; all of them'
      ' count, and none is added\n'
  ) in budgets[3]
  assert '4 trials are finished already\n' in budgets[12]


def test_trial_lines_say_which_was_the_best_so_far() -> None:
  search = tiny.searched()
  line = trial_line(search.best, search)
  assert '1-1-1' in line
  assert 'reward 3.0000' in line
  best, marked = -1.0, []
  for trial in search.trials:
    marked.append('best so far' in trial_line(trial, search))
    assert marked[-1] == (trial.evaluation.reward > best)
    best = max(best, trial.evaluation.reward)
  assert 1 < sum(marked) < len(marked)


def test_a_trial_outside_the_target_is_never_the_best_so_far() -> None:
  searched = tiny.new_search().problem
  problem = Problem(searched.cost, TargetInterval(high=50_000))
  search = Search(problem, Sweep(buckets=2, start='largest'))
  while candidates := search.ask():
    for candidate in candidates:
      search.tell(candidate.id, Evaluation(candidate.cost / 1e6))
  lines = [trial_line(trial, search) for trial in search.trials]
  outside = [line for line in lines if 'off target' in line]
  assert outside
  assert not [line for line in outside if 'best so far' in line]
  assert [line for line in lines if 'best so far' in line]


def test_lines_alone_say_that_the_first_network_compiles_and_its_pace() -> None:
  console = _console(width=150)
  progress = Progress(console)
  progress.before_search(tiny.new_search(), 40, '')
  for number in range(2):
    training = Training(f'trials/{number}', f'trial {number}', 40)
    progress.before_training(training, '')
    for step in range(5, 41, 5):
      progress.after_step(training, step, {
          'train_loss': 1.0, 'learning_rate': 0.1, 'steps_per_second': step,
      })
    progress.after_training(training)
  progress.close()
  lines = console.file.getvalue().splitlines()
  assert lines.count('compiling the first network') == 1
  assert [line for line in lines if 'steps/s' in line] == [
      'trial 0 is at step 10 of 40: 10 steps/s'
  ]


def test_the_number_of_a_trial_is_its_recorded_id() -> None:
  search = tiny.searched()
  for trial in search.trials:
    number, count = trial.candidate.id, trial.candidate.id + 1
    assert trial_line(trial, search).startswith(f'trial {number} ({count}/12) ')


_NAMES = ('pool[/2]', '[wide]', ':car:[bold]', 'a$b$', '<b>&')
"""What rich, Matplotlib and browsers would take for markup."""


def test_names_of_others_are_no_markup() -> None:
  search = tiny.searched()
  winner = {
      'architecture': '1-1-1', 'options': dict.fromkeys(_NAMES, '[red]x[/]'),
      'reward': 0.5, 'counts': {},
  }
  result = search_result(search, tiny.space(), tiny.get_config(), 16, 10)
  rows = [
      {'name': name, 'madds': 1, 'params': 1, 'mean': 0.5, 'accuracies': [0.5]}
      for name in _NAMES
  ]
  text = _printed(summary_table(result | {'winner': winner}))
  text += _printed(comparison_table(rows))
  for name in (*_NAMES, '[red]x[/]'):
    assert text.count(name) >= 2 - (name == '[red]x[/]'), name


@pytest.mark.parametrize('name', _NAMES)
def test_lines_and_bars_show_names_as_they_are(name: str) -> None:
  console = _console(force_terminal=True, width=150)
  progress = Progress(console)
  progress.before_search(tiny.searched(), 7, f'http://{name}')
  progress.before_training(Training('a', name, 7), f'on-{name}')
  progress.after_failure(Training('a', name, 7), f'cannot read {name}')
  progress.close()
  text = console.file.getvalue()
  for part in (f'dashboard: http://{name}', f'{name} on on-{name}',
               f'{name}: cannot read {name}; tried again'):
    assert part in text


def test_failed_trial_line_has_the_message() -> None:
  search = tiny.searched(reward=None)
  assert 'failed: broken' in trial_line(search.trials[0], search)


def test_summary_and_comparison() -> None:
  search, config = tiny.searched(), tiny.get_config()
  result = search_result(search, tiny.space(), config, 16, 10)
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


def test_rewards_have_their_name() -> None:
  search = tiny.searched()
  for name, words in (
      ('accuracy', 'validation accuracy'), ('loss', 'reward (loss)'),
  ):
    config = tiny.changed(reward=name)
    result = search_result(search, tiny.space(), config, 16, 10)
    assert words in _printed(summary_table(result))


def test_a_candidate_alone_is_compared_with_its_record() -> None:
  trial = tiny.searched().trials[0]
  for evaluation, words in (
      (trial.evaluation, '0.0, equal'),
      (Evaluation(0.25), '0.25, not equal'),
      (tiny.searched(reward=None).trials[0].evaluation,
       'none (failed: broken)'),
  ):
    recorded = Trial(trial.candidate, evaluation)
    assert words in _printed(trial_table(trial, recorded))
  assert 'recorded' not in _printed(trial_table(trial, None))


def test_terminal_shows_bound_best_and_candidate() -> None:
  search = tiny.searched()
  console = _console(force_terminal=True, width=150)
  progress = Progress(console)
  first, second, third = (
      Training(f'trials/{number}', f'trial {number}', 7)
      for number in range(3)
  )
  progress.before_search(search, 7, 'http://127.0.0.1')
  progress.before_training(first, '')
  progress.before_training(second, '3')
  progress.after_step(first, 5, {'train_loss': 1.25})
  progress.after_trial(search.best)
  progress.after_training(third)
  progress.close()
  text = console.file.getvalue()
  for part in (f'{len(search.trials)}/12', 'best 3.0000', '5/7', 'loss 1.250',
               'trial 1 on 3', "Ray's dashboard: "):
    assert part in text
