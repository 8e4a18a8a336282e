"""What a person sees while a search runs, and its summary at the end."""

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Self

from rich import box
from rich.console import Console
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import TaskID
from rich.progress import TextColumn
from rich.progress import TimeElapsedColumn
from rich.progress import TimeRemainingColumn
from rich.table import Table

from layernas.search import Candidate
from layernas.search import Search
from layernas.search import Trial
from layernas.search.cost import cost_text
from layernas.search.space import architecture_id


class _Bars:
  """A console and the bars below its lines; a context.

  Attributes:
    console: to print on.
  """

  def __init__(self, console: Console | None = None):
    self.console = console or new_console()
    self._progress = Progress(
        TextColumn('{task.description}'),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn('{task.fields[note]}'),
        TimeElapsedColumn(),
        TextColumn('ETA'),
        TimeRemainingColumn(),
        console=self.console,
        disable=not self.console.is_terminal,
        speed_estimate_period=600,
    )

  def __enter__(self) -> Self:
    self._progress.start()
    return self

  def __exit__(self, *error: object) -> None:
    self._progress.stop()

  def say(self, text: str) -> None:
    """Prints a line."""
    self.console.print(text)

  def _stepped(
      self, task: TaskID, step: int, metrics: Mapping[str, float]
  ) -> None:
    """Shows how far a training is."""
    note = f'loss {metrics["train_loss"]:.3f}'
    if 'steps_per_second' in metrics:
      note += (
          f', rate {metrics["learning_rate"]:.3g},'
          f' {metrics["steps_per_second"]:.3g} steps/s'
      )
    self._progress.update(task, completed=step, note=note)


class SearchProgress(_Bars):
  """A line per trial, below them a bar of trials / bound, best and ETA.

  And a bar for every candidate in training.

  Without a terminal there is no bar, only the lines.
  """

  def __init__(
      self, search: Search, steps: int, console: Console | None = None
  ):
    """Prepares; use as a context.

    Args:
      search: to be shown.
      steps: of every candidate.
      console: to print on.
    """
    super().__init__(console)
    self._search = search
    self._steps = steps
    self._trials = self._progress.add_task(
        'trials', total=search.bound, completed=len(search.trials), note=''
    )
    self._tasks: dict[int, TaskID] = {}

  def began(self, candidate: Candidate, worker: str) -> None:
    """Shows a candidate that begins to train.

    Args:
      candidate: that begins, perhaps once more.
      worker: that it is on; '' where there is none.
    """
    self.evaluated(candidate)
    on = f' on {worker}' if worker else ''
    self._tasks[candidate.id] = self._progress.add_task(
        f'trial {candidate.id + 1}{on}', total=self._steps, note='compiling'
    )

  def stepped(
      self, candidate: Candidate, step: int, metrics: Mapping[str, float]
  ) -> None:
    """Shows how far a candidate is."""
    self._stepped(self._tasks[candidate.id], step, metrics)

  def evaluated(self, candidate: Candidate) -> None:
    """Shows no more of a candidate."""
    if candidate.id in self._tasks:
      self._progress.remove_task(self._tasks.pop(candidate.id))

  def finished(self, trial: Trial) -> None:
    """Prints the line of a trial and moves the bar."""
    self.say(trial_line(trial, self._search))
    best = self._search.best
    note = f'best {best.evaluation.reward:.4f}' if best else 'no answer yet'
    self._progress.update(
        self._trials, completed=len(self._search.trials), note=note
    )


class StepProgress(_Bars):
  """A bar of the steps of one training; use as a context."""

  def __init__(self, name: str, steps: int, console: Console | None = None):
    """Prepares.

    Args:
      name: of what is trained.
      steps: in all.
      console: to print on.
    """
    super().__init__(console)
    self._task = self._progress.add_task(name, total=steps, note='compiling')

  def stepped(self, step: int, metrics: Mapping[str, float]) -> None:
    """Shows how far the training is."""
    self._stepped(self._task, step, metrics)


def new_console(quiet: bool = False) -> Console:
  """Where everything is printed; lines are not cut to the terminal.

  Args:
    quiet: prints nothing.
  """
  return Console(soft_wrap=True, highlight=False, quiet=quiet)


def trial_line(trial: Trial, search: Search) -> str:
  """One line on a finished trial."""
  candidate, evaluation = trial.candidate, trial.evaluation
  of = f'/{search.bound}' if search.bound else ''
  outcome = (
      f'reward {evaluation.reward:.4f}' if trial.ok
      else f'{evaluation.status}: {evaluation.message}'
  )
  if evaluation.early_reward is not None:
    outcome += f', early reward {evaluation.early_reward:.4f}'
  mark = ' *' if search.best is trial else ''
  inside = '' if candidate.cost in search.problem.target else ' (off target)'
  layer = ''
  if candidate.layer:
    name = search.problem.space.layers[candidate.layer - 1].name
    layer = f'  layer {candidate.layer} {name}'
  return (
      f'trial {candidate.id + 1}{of}{layer}'
      f'  {architecture_id(candidate.architecture)}'
      f'  {cost_text(candidate.cost)} {search.problem.cost.unit}{inside}'
      f'  {outcome}  {evaluation.seconds:.1f} s{mark}'
  )


def opening_lines(search: Search) -> list[str]:
  """What is searched and what it can cost at most."""
  problem = search.problem
  space = problem.space
  low, high = problem.cost.interval(space.default, ())
  bound = search.strategy.bound(problem)
  lines = [
      f'space: {len(space)} layers, options {space.option_counts},'
      f' {space.size:,} networks',
      f'{problem.cost.unit}: {cost_text(low)} to {cost_text(high)}, target'
      f' {_limit(problem.target.low)} to {_limit(problem.target.high)}',
  ]
  if bound is not None:
    wrapped = search.strategy.proposer is not search.strategy
    repeats = ' and repeats' if wrapped else ''
    lines.append(f'bound: H * keep * sum|S_l|{repeats} = {bound:,} trials')
  return lines


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
        ('validation accuracy', f'{winner["reward"]:.4f}'),
        *((name, f'{value:,}') for name, value in winner['counts'].items()),
    ]
  rows += [
      ('trials', ', '.join(
          f'{count} {status}' for status, count in result['trials'].items()
      )),
      ('reused results', f'{result["reused"]:,}'),
      ('infeasible, not trained', f'{result["infeasible"]:,}'),
      ('seconds in trials', f'{result["seconds"]:.0f}'),
  ]
  for row in rows:
    table.add_row(*row)
  return table


def comparison_table(rows: Sequence[Mapping[str, Any]]) -> Table:
  """Test accuracies of the final trainings.

  Args:
    rows: as `final.run_final` returns them.

  Returns:
    A rich table.
  """
  table = Table(title='test accuracy after the final training', box=box.SIMPLE)
  for heading in ('network', 'MAdds', 'parameters', 'mean', 'by seed'):
    table.add_column(heading, justify='left' if heading == 'network' else
                     'right')
  for row in rows:
    table.add_row(
        row['name'], f'{row["madds"]:,}', f'{row["params"]:,}',
        f'{row["mean"]:.4f}',
        ', '.join(f'{accuracy:.4f}' for accuracy in row['accuracies']),
    )
  return table


def _limit(cost: float) -> str:
  return cost_text(cost) if math.isfinite(cost) else 'no limit'


def _option(value: Any) -> str:
  if isinstance(value, Mapping):
    return ', '.join(f'{name} {item}' for name, item in value.items())
  return str(value)
