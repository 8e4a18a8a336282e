"""Runs a search: asks, has candidates evaluated, tells, records, reports.

If several processes run it together, each asks the same search; the candidates
and evaluations of process 0 count, and only it writes.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from etils import epath
from ml_collections import config_dict

from layernas import activity
from layernas.data.registry import load_dataset
from layernas.errors import Preempted
from layernas.errors import UserError
from layernas.executors.executor import Executor
from layernas.networks.registry import make_space
from layernas.reports.console import Counting
from layernas.reports.console import Progress
from layernas.reports.console import new_console
from layernas.reports.console import reward_name
from layernas.reports.hooks import Hook
from layernas.reports.result import search_result
from layernas.reports.tensorboard import TensorBoard
from layernas.runs.evaluator import CandidateFiles
from layernas.runs.evaluator import TrainingEvaluator
from layernas.runs.evaluator import check_succeeded
from layernas.runs.execution import chosen_settings
from layernas.runs.execution import make_backend
from layernas.runs.execution import make_executor
from layernas.runs.execution import prepare_process
from layernas.runs.inputs import search_inputs
from layernas.runs.listeners import SearchListener
from layernas.runs.rewards import configured_reward
from layernas.runs.search_record import FACTS_FILE
from layernas.runs.search_record import SearchRecord
from layernas.runs.search_record import known_facts
from layernas.runs.setup import check_same_run
from layernas.runs.setup import make_budget
from layernas.runs.setup import make_problem
from layernas.runs.setup import make_search
from layernas.runs.setup import with_width_scaled
from layernas.runs.status import LiveStatus
from layernas.runs.warm_start import WARM_START_FILE
from layernas.runs.warm_start import kept_warm_start
from layernas.runs.warm_start import read_warm_start
from layernas.search import Problem
from layernas.search import Search
from layernas.search import Trial
from layernas.search.foresight import Foresight
from layernas.search.trace import Trace
from layernas.search.trial import trial_from_dict
from layernas.search.warm_start import WarmStart
from layernas.search.warm_start import warm_start_from_dict
from layernas.storage.storage_errors import in_one_line
from layernas.storage.workdir import Workdir
from layernas.training import devices
from layernas.training import hosts
from layernas.training.checks import check_batches
from layernas.training.checks import check_training
from layernas.training.devices import enable_compilation_cache
from layernas.training.train import training_steps


@hosts.together()
def run_search(
    config: config_dict.ConfigDict, workdir: epath.PathLike,
    hooks: Sequence[Hook] = (),
) -> dict[str, Any]:
  """Runs or resumes the search that a config describes.

  Args:
    config: see configs/default.py.
    workdir: workdir of this run; a search of the same config in it continues.
    hooks: further hooks, called after those that every search has.

  Returns:
    Content of result.json.

  Raises:
    UserError: something in config or workdir is wrong, and the workdir is
      unchanged; or, as a StorageError, its disk is full or gone.
    TrialError: a trial failed, and the config sets `raise_failures`.
  """
  settings = chosen_settings(config, workdir)
  prepare_process(settings)
  devices.prepare(config.model.deterministic)
  with contextlib.ExitStack() as stack:
    console = new_console(quiet=not hosts.is_first())
    stack.enter_context(activity.shown(console.print))
    backend = make_backend(config, settings, workdir)
    if backend:
      stack.enter_context(backend)
    space, dataset, problem = hosts.on_all(lambda: _prepared(config, workdir))
    found = hosts.on_first(lambda: kept_warm_start(workdir) or read_warm_start(
        config, space, problem, dataset
    ))
    warm = warm_start_from_dict(found)
    search, trace = hosts.on_all(lambda: _search(config, problem, warm))
    check_same_run(config, dataset)
    if backend:
      # Where workers do not fit it raises, before the workdir is taken.
      backend.wanted()
    directory = Workdir(workdir)
    record = SearchRecord(directory, console)
    # They write and print: process 0 alone has them.
    hooks = [
        record,
        TensorBoard(directory.path / 'tensorboard'),
        Progress(console, reward_name(config)),
        LiveStatus(directory),
        *hooks,
    ] if hosts.is_first() else []
    stack.enter_context(in_one_line(workdir))
    for hook in hooks:
      stack.callback(hook.close)
    stack.enter_context(hosts.listening())
    recorded = hosts.on_first(lambda: record.open(
        config, settings,
        search_inputs(config, space, dataset, search.problem),
    ))
    if space.facts:
      hosts.on_first(lambda: directory.write_json(FACTS_FILE, space.facts))
    if warm:
      hosts.on_first(lambda: directory.write_json(WARM_START_FILE, found))
    for line in space.found:
      console.print(f'cost {config.cost.metric}: {line}')
    for line in found.get('lines', ()):
      console.print(line)
    search.replay(map(trial_from_dict, recorded['trials']), [
        (one['from'], make_budget(one)) for one in recorded['budgets']
    ])
    enable_compilation_cache(directory.path / 'compilation_cache')
    steps = training_steps(config.training, dataset.num_examples('train'))
    for hook in hooks:
      hook.before_search(search, steps, backend.page if backend else '')
    files = CandidateFiles(workdir)
    if search.trials:
      # A kill between its record and this left its files.
      files.clean(search.trials[-1].candidate)
    listener = SearchListener(hooks, steps, search)
    executor = stack.enter_context(make_executor(
        settings, backend, listener,
        lambda: TrainingEvaluator(
            config, space, dataset, workdir, listener.stepped
        ),
        lambda: _check_preemption(search),
    ))
    foresight = Foresight(
        search, lambda: make_search(config, problem, warm),
        config.compile_ahead,
    )
    _loop(
        config, search, foresight, executor, listener, _Recorder(hooks, files)
    )
    result = search_result(
        search, space, config, dataset.image_size, dataset.num_classes
    )
    facts = trace and {'run': _facts(config, search), **trace.to_dict()}
    for hook in hooks:
      hook.after_search(result, facts)
  return result


def _prepared(
    config: config_dict.ConfigDict, workdir: epath.PathLike
) -> tuple[Any, ...]:
  """Space, data set and problem; writes nothing."""
  check_training(config)
  configured_reward(config)
  if config.compile_ahead < 0:
    raise UserError(
        f'compile_ahead: {config.compile_ahead}: allowed are integers >= 0'
    )
  space = make_space(config.space)
  space.facts.update(known_facts(workdir))
  space.progress = Counting()
  dataset = load_dataset(config.data)
  space = with_width_scaled(space, config, dataset)
  check_batches(config, dataset, 'train')
  dataset.check_images()
  problem = make_problem(
      config, space, dataset.image_size, dataset.num_classes
  )
  return space, dataset, problem


def _search(
    config: config_dict.ConfigDict, problem: Problem, warm: WarmStart
) -> tuple[Search, Trace | None]:
  """The search, not yet begun, and its trace, if any."""
  search = make_search(config, problem, warm)
  traced = search.strategy.proposer.passes is not None
  trace = Trace(problem, search.strategy) if traced else None
  return search, trace


@dataclasses.dataclass(frozen=True)
class _Recorder:
  """Stores finished trials, and where their time went.

  Attributes:
    hooks: of the run, of which the first one puts a trial on disk.
    files: of the candidates.
  """

  hooks: Sequence[Hook]
  files: CandidateFiles

  def __call__(self, trial: Trial, seconds: Mapping[str, float]) -> None:
    """Stores a trial, then removes what was kept for want of its record."""
    begun = time.monotonic()
    for hook in self.hooks:
      hook.after_trial(trial)
    self.files.clean(trial.candidate)
    if seconds:
      took = time.monotonic() - begun
      for hook in self.hooks:
        hook.after_timing(trial, {**seconds, 'save': seconds['save'] + took})


def _loop(
    config: config_dict.ConfigDict, search: Search, foresight: Foresight,
    executor: Executor, listener: SearchListener, record: Callable[..., None],
) -> None:
  """Keeps the executor busy until the search stops; records in trial order."""
  recorded, times = len(search.trials), {}
  while True:
    _check_preemption(search)
    free = executor.capacity - len(search.waiting)
    for candidate in search.ask(free) if free > 0 else ():
      hosts.agree('next candidate', dataclasses.asdict(candidate))
      executor.submit(candidate)
    if not search.waiting:
      return
    # Only asked candidates are trials: what is foreseen is compiled, no more.
    executor.prepare(foresight.now())
    result = executor.next_result()
    if result.candidate not in search.waiting:
      continue  # Withdrawn: the budget was spent by trials before it.
    told = trial_from_dict(hosts.shared(
        Trial(result.candidate, result.evaluation).to_dict()
    ))
    if config.raise_failures:
      check_succeeded(told, result.traceback)
    search.tell(result.candidate.id, told.evaluation)
    times[result.candidate.id] = result.seconds
    listener.evaluated(result.candidate)
    for trial in search.trials[recorded:]:
      record(trial, times.pop(trial.candidate.id))
    recorded = len(search.trials)


def _check_preemption(search: Search) -> None:
  if hosts.noticed():
    raise Preempted(f'{len(search.trials)} trials are finished')


def _facts(config: config_dict.ConfigDict, search: Search) -> dict[str, Any]:
  """What heads the decision trace."""
  return {
      'title': f'{config.space}, seed {config.seed}',
      'schedule': config.search.schedule,
      'trials': len(search.trials),
      'stop_reason': search.stop_reason,
  }
