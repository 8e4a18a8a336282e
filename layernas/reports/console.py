"""What a person sees while a run goes on, and the summary at its end."""

import math
import random
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from rich import box
from rich import progress as rich_progress
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import TaskID
from rich.progress import TextColumn
from rich.progress import TimeElapsedColumn
from rich.progress import TimeRemainingColumn
from rich.table import Table

from layernas.reports.hooks import Hook
from layernas.reports.hooks import Training
from layernas.reports.result import final_metric
from layernas.search import Problem
from layernas.search import Search
from layernas.search import Trial
from layernas.search.cost import Cost
from layernas.search.cost import cost_text
from layernas.search.layer_pass import STARTS
from layernas.search.layer_pass import start_network
from layernas.search.outlook import outlook
from layernas.search.space import architecture_id
from layernas.search.sweep import Layerwise

# Seconds before something that takes long is shown.
_QUIET = 2.0

# A notebook's kernel claims to be a terminal with colours (FORCE_COLOR).
_IN_NOTEBOOK = {'force_jupyter': False, 'force_terminal': False}


class Counting:
  """A bar for something that takes long before a search begins.

  It appears after two seconds; without a terminal lines appear instead.
  """

  def __init__(
      self, console: Console | None = None,
      clock: Callable[[], float] = time.monotonic,
  ):
    """Shows nothing yet.

    Args:
      console: to print on; None is standard error's.
      clock: seconds.
    """
    self._console = console or Console(stderr=True, highlight=False)
    self._clock, self._begun, self._said = clock, clock(), 0.0
    self._bar: rich_progress.Progress | None = None

  def __call__(self, what: str, done: int, total: int) -> None:
    """Moves the bar.

    Args:
      what: is counted, for people.
      done: so far.
      total: expected; may grow.
    """
    now = self._clock()
    if done >= total:
      if self._bar:
        self._bar.stop()
        self._bar = None
    elif self._console.is_terminal and now - self._begun > _QUIET:
      if not self._bar:
        self._bar = rich_progress.Progress(
            console=self._console, transient=True
        )
        self._bar.add_task(escape(what), total=total)
        self._bar.start()
      self._bar.update(self._bar.task_ids[0], completed=done, total=total)
    elif now - max(self._said, self._begun) > _QUIET * (5 if self._said else 1):
      self._said = now
      self._console.print(
          f'{what}: {done:,} of about {total:,} networks are counted',
          markup=False, soft_wrap=True,
      )


class Progress(Hook):
  """A line per trial; below the lines a bar for each training under way.

  A search has one more bar, with trials / bound, the best reward and the ETA.
  Without a terminal there are no bars, only the lines: of the first training
  also that it compiles, and how fast it goes then.
  """

  def __init__(self, console: Console, reward: str = ''):
    """Prints nothing yet.

    Args:
      console: to print on; what else is printed there stays above the bars.
      reward: of a search, in words.
    """
    self._console = console
    self._reward = reward
    self._bars = rich_progress.Progress(
        TextColumn('{task.description}', markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn('{task.fields[note]}', markup=False),
        TimeElapsedColumn(),
        TextColumn('ETA'),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        speed_estimate_period=600,
    )
    self._search: Search | None = None
    self._trials: TaskID | None = None
    self._tasks: dict[str, TaskID] = {}
    self._begun = False
    # Whose pace is said next; '' once it is.
    self._timed: str | None = None

  def before_search(self, search: Search, steps: int, page: str) -> None:
    """Prints what is searched and begins the bar of the trials."""
    del steps
    for line in opening_lines(search):
      self._console.print(line)
    if self._reward:
      self._console.print(f'{self._reward}: larger is better')
    if search.trials:
      done = f'{len(search.trials)} trials are finished already'
      if len(search.trials) > search.budget.trials:
        done += (
            f': more than budget.trials, {search.budget.trials}; all of them'
            ' count, and none is added'
        )
      self._console.print(done)
    if page:
      self._console.print(f"Ray's dashboard: {page}")
    self._search = search
    self._trials = self._bars.add_task(
        'trials', total=search.bound, completed=len(search.trials), note=''
    )
    self._bars.start()

  def before_training(self, training: Training, worker: str) -> None:
    """Begins the bar of a training, perhaps once more."""
    if not self._begun:
      self._begun = True
      self._console.print('compiling the first network')
    self.after_training(training)
    on = f' on {worker}' if worker else ''
    self._tasks[training.name] = self._bars.add_task(
        training.title + on, total=training.steps, note='compiling'
    )
    self._bars.start()

  def after_step(
      self, training: Training, step: int, metrics: Mapping[str, float]
  ) -> None:
    """Moves the bar of a training."""
    if self._timed is None:
      # Its first steps read the images, too.
      self._timed = training.name
    elif self._timed == training.name and 'steps_per_second' in metrics:
      self._timed = ''
      self._console.print(
          f'{training.title} is at step {step:,} of {training.steps:,}:'
          f' {metrics["steps_per_second"]:.3g} steps/s'
      )
    note = f'loss {metrics["train_loss"]:.3f}'
    if 'steps_per_second' in metrics:
      note += (
          f', rate {metrics["learning_rate"]:.3g},'
          f' {metrics["steps_per_second"]:.3g} steps/s'
      )
    self._bars.update(self._tasks[training.name], completed=step, note=note)

  def after_failure(self, training: Training | None, message: str) -> None:
    """Prints why another attempt follows."""
    of = f'{training.title}: ' if training else ''
    self._console.print(f'{of}{message}; tried again')

  def after_training(self, training: Training) -> None:
    """Removes the bar of a training."""
    if training.name in self._tasks:
      self._bars.remove_task(self._tasks.pop(training.name))

  def after_trial(self, trial: Trial) -> None:
    """Prints the line of a trial and moves the bar of the trials."""
    search = self._search
    self._console.print(trial_line(trial, search))
    best = search.best
    note = f'best {best.evaluation.reward:.4f}' if best else 'no answer yet'
    self._bars.update(self._trials, completed=len(search.trials), note=note)

  def close(self) -> None:
    """Ends the bars."""
    self._bars.stop()


def new_console(quiet: bool = False, **settings: Any) -> Console:
  """Where everything is printed; lines are not cut to the terminal.

  Names, paths and messages are printed as they are: `[...]` and `:...:` in
  them are not rich's markup. In a notebook they are plain lines, too, where
  rich would make a block of HTML of each.

  Args:
    quiet: prints nothing.
    **settings: further ones of rich's console.
  """
  return Console(
      soft_wrap=True, highlight=False, markup=False, emoji=False, quiet=quiet,
      **(_IN_NOTEBOOK if Console().is_jupyter else {}), **settings,
  )


def trial_line(trial: Trial, search: Search) -> str:
  """One line on a finished trial: its recorded id, and how many there are."""
  candidate, evaluation = trial.candidate, trial.evaluation
  of = f' ({candidate.id + 1}/{search.bound})' if search.bound else ''
  outcome = (
      f'reward {evaluation.reward:.4f}' if trial.ok
      else f'{evaluation.status}: {evaluation.message}'
  )
  if evaluation.early_reward is not None:
    outcome += f', early reward {evaluation.early_reward:.4f}'
  mark = '  best so far' if _is_best_so_far(trial, search) else ''
  admitted = search.problem.admits(candidate.architecture, candidate.cost)
  inside = '' if admitted else ' (off target)'
  layer = ''
  if candidate.layer:
    name = search.problem.space.layers[candidate.layer - 1].name
    layer = f'  layer {candidate.layer} {name}'
  return (
      f'trial {candidate.id}{of}{layer}'
      f'  {architecture_id(candidate.architecture)}'
      f'  {cost_text(candidate.cost)} {search.problem.cost.unit}{inside}'
      f'  {outcome}  {evaluation.seconds:.1f} s{mark}'
  )


def _is_best_so_far(trial: Trial, search: Search) -> bool:
  """Whether under some limit no earlier trial had as large a reward."""
  # Several trials may be told at once, of which the last has its line last.
  earlier = (*search.known, *search.trials[:trial.candidate.id])
  reward = trial.evaluation.reward
  return any(
      search.competes(trial, number) and not any(
          one.ok and one.evaluation.reward >= reward
          and search.competes(one, number) for one in earlier
      ) for number in range(len(search.problem.each_limit))
  )


def opening_lines(search: Search) -> list[str]:
  """What is searched and what it can cost at most."""
  problem = search.problem
  space = problem.space
  bound = search.strategy.bound(problem)
  highs = *problem.smaller_highs, problem.target.high
  lines = [
      f'space: {len(space)} layers, options {space.option_counts},'
      f' {space.size:,} networks',
      f'{problem.cost.unit}: {_reach(problem.cost)}, target'
      f' {_limit(problem.target.low)} to'
      f' {", ".join(map(_limit, highs))}',
  ]
  lines += [
      f'{limit.cost.name}: {_reach(limit.cost)}, limit {cost_text(limit.high)}'
      for limit in problem.limits
  ]
  if isinstance(search.strategy.proposer, Layerwise):
    lines.append(_start_line(problem, search.strategy.proposer.start))
  trials = search.budget.trials
  # A plan counts without what is known.
  warm = search.known or search.others
  plan = [] if warm else search.strategy.plan(problem, trials)
  if plan:
    budget = f'{trials:,.0f} trainings' if math.isfinite(trials) else 'no limit'
    lines.append(f'plan: {budget}: {", ".join(plan)}')
  ahead = outlook(search)
  if ahead is not None and ahead.layers < ahead.of:
    lines.append(f'warning: {ahead}')
  if bound is not None:
    proposed = search.strategy.proposer.bound(problem)
    more = f' + {bound - proposed:,}' if bound > proposed else ''
    lines.append(f'bound: H * keep * sum|S_l|{more} = {bound:,} trials')
  return lines


def _reach(cost: Cost) -> str:
  """Smallest and largest cost of all networks."""
  low, high = cost.interval(cost.space.default, ())
  if math.isinf(low):
    return 'known of whole networks alone'
  return f'{cost_text(low)} to {cost_text(high)}'


def _start_line(problem: Problem, name: str) -> str:
  """The network at which undecided layers of a layerwise schedule stand."""
  if name == 'random':
    return 'start network: random'
  # The others draw nothing.
  start = start_network(name, problem, random.Random(0))
  given = f' ({name})' if name in STARTS else ''
  return (
      f'start network: {architecture_id(start)}{given},'
      f' {cost_text(problem.cost.cost(start))} {problem.cost.unit}'
  )


def wall_time_line(seconds: Mapping[str, float]) -> str:
  """Where the wall time of a search went.

  Args:
    seconds: by phase, see `training.wall_time.PHASES`.

  Returns:
    A line that opens with the share spent waiting for compilation.
  """
  whole = sum(seconds.values())
  shares = {name: value / whole for name, value in seconds.items()}
  waiting = shares.pop('compile')
  rest = ', '.join(f'{name} {share:.1%}' for name, share in shares.items())
  return f'waiting for compilation: {waiting:.1%} of {whole:.0f} s ({rest})'


def summary_table(result: Mapping[str, Any]) -> Table:
  """The winner and what it took.

  Args:
    result: content of result.json.

  Returns:
    A rich table.
  """
  table = Table(title='search finished', box=box.SIMPLE, show_header=False)
  winner = result['winner']
  rows = [('stop reason', result['stop_reason'])]
  if winner:
    rows += [
        ('winner', winner['architecture']),
        *((f'  {name}', _option(value)) for name, value in
          winner['options'].items()),
        (reward_name(result['config']), f'{winner["reward"]:.4f}'),
        *((name, f'{value:,}') for name, value in winner['counts'].items()),
        *((name, f'{cost_text(cost)} of {cost_text(result["limits"][name])}')
          for name, cost in winner.get('further_costs', {}).items()),
        *(('comparison', standing_text(one)) for one in result['comparison']),
    ]
  rows += [
      ('trials', ', '.join(
          f'{count} {status}' for status, count in result['trials'].items()
      )),
      *([('known from other searches', f'{result["known"]:,}')]
        if result.get('known') else []),
      *([('trials of other tasks', f'{sum(result["other_tasks"]):,}')]
        if result.get('other_tasks') else []),
      ('reused results', f'{result["reused"]:,}'),
      ('infeasible, not trained', f'{result["infeasible"]:,}'),
      ('seconds in trials', f'{result["seconds"]:.0f}'),
  ]
  for row in rows:
    table.add_row(*row)
  return table


def front_table(result: Mapping[str, Any]) -> Table | None:
  """The answers of a search under several limits.

  Args:
    result: content of result.json.

  Returns:
    A rich table with a row for each limit; None where there is one limit.
  """
  if not result['front']:
    return None
  table = Table(title='best network under each limit', box=box.SIMPLE)
  further = result['limits']
  headings = 'limit', 'cost', reward_name(result['config']), *further, 'trial'
  for heading in headings:
    table.add_column(heading, justify='right')
  table.add_column('network', overflow='fold')
  for row in result['front']:
    if row['trial'] is None:
      table.add_row(cost_text(row['limit']), 'none found')
      continue
    table.add_row(
        cost_text(row['limit']), cost_text(row['cost']),
        f'{row["reward"]:.4f}',
        *(cost_text(row['further_costs'].get(name, math.nan))
          for name in further),
        f'{row["trial"]}', row['architecture'],
    )
  return table


def standing_text(standing: Mapping[str, Any]) -> str:
  """How the network that a search found stands against a reference.

  Args:
    standing: fields of a `search.comparison.Standing`.

  Returns:
    For example 'better than the default: +0.0310 ± 0.0080, better with
    probability 0.99'.
  """
  better = standing['difference'] > 0
  text = (
      f'{"better" if better else "not better"} than the'
      f' {standing["reference"]}: {standing["difference"]:+.4f} ±'
      f' {standing["error"]:.4f}'
  )
  if standing['probability'] is not None:
    text += f', better with probability {standing["probability"]:.2f}'
  return text if better else f'{text}; the reference answers'


def trial_table(trial: Trial, recorded: Trial | None) -> Table:
  """A candidate that was trained alone.

  Args:
    trial: that succeeded.
    recorded: the same trial of a search, or None.

  Returns:
    A rich table; it says whether the two rewards are equal.
  """
  candidate, evaluation = trial.candidate, trial.evaluation
  table = Table(title='candidate trained', box=box.SIMPLE, show_header=False)
  table.add_row('architecture', architecture_id(candidate.architecture))
  table.add_row('cost', cost_text(candidate.cost))
  table.add_row('seed', str(candidate.seed))
  table.add_row('reward', repr(evaluation.reward))
  if recorded:
    found = recorded.evaluation
    if not recorded.ok:
      text = f'none ({found.status}: {found.message})'
    elif found.reward == evaluation.reward:
      text = f'{found.reward!r}, equal'
    else:
      text = f'{found.reward!r}, not equal'
    table.add_row('recorded reward', text)
  if evaluation.early_reward is not None:
    table.add_row('early reward', repr(evaluation.early_reward))
  table.add_row('seconds', f'{evaluation.seconds:.1f}')
  for name, value in evaluation.metrics.items():
    table.add_row(f'  {name}', repr(value))
  return table


def reward_name(config: Mapping[str, Any]) -> str:
  """What rewards are, for people.

  Args:
    config: of the run, as JSON types.

  Returns:
    'validation accuracy', or 'reward (NAME)' for another one.
  """
  name = config['reward']
  return 'validation accuracy' if name == 'accuracy' else f'reward ({name})'


def comparison_table(rows: Sequence[Mapping[str, Any]]) -> Table:
  """Test accuracies of the final trainings, or losses of other tasks.

  Args:
    rows: as `final.run_final` returns them, one at least.

  Returns:
    A rich table.
  """
  metric, _ = final_metric(rows[0])
  table = Table(title=f'test {metric} after the final training', box=box.SIMPLE)
  for heading in ('network', 'MAdds', 'parameters', 'mean', 'by seed'):
    table.add_column(heading, justify='left' if heading == 'network' else
                     'right')
  for row in rows:
    table.add_row(
        row['name'], f'{row["madds"]:,}', f'{row["params"]:,}',
        f'{row["mean"]:.4f}',
        ', '.join(f'{value:.4f}' for value in final_metric(row)[1]),
    )
  return table


def _limit(cost: float) -> str:
  return cost_text(cost) if math.isfinite(cost) else 'no limit'


def _option(value: Any) -> str:
  if isinstance(value, Mapping):
    return ', '.join(
        f'{name} {_part(item)}' for name, item in value.items()
    )
  return str(value)


def _part(item: Any) -> Any:
  """A field's value; of a part that a block has or lacks, which of the two."""
  if item is None:
    return 'no'
  return 'yes' if isinstance(item, Mapping) else item
