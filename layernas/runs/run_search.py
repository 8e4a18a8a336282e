"""Runs a search: ask, have evaluated, tell, record, report.

Several processes run it together: each asks the same search, process 0's
candidates and evaluations count, and it alone writes.
"""

import contextlib
import dataclasses
import time
from collections.abc import Mapping
from typing import Any

from etils import epath
from ml_collections import config_dict

from layernas.data.registry import load_dataset
from layernas.errors import Preempted
from layernas.errors import UserError
from layernas.executors.executor import Executor
from layernas.reports.result import search_result
from layernas.runs.evaluator import CandidateFiles
from layernas.runs.evaluator import TrainingEvaluator
from layernas.runs.execution import chosen_settings
from layernas.runs.execution import make_executor
from layernas.runs.execution import make_place
from layernas.runs.execution import prepare_process
from layernas.runs.search_record import NoRecord
from layernas.runs.search_record import SearchListener
from layernas.runs.search_record import SearchRecord
from layernas.runs.setup import check_same_run
from layernas.runs.setup import make_problem
from layernas.runs.setup import make_search
from layernas.runs.setup import make_space
from layernas.search import Search
from layernas.search import Trial
from layernas.search.foresight import Foresight
from layernas.search.trace import Trace
from layernas.search.trial import trial_from_dict
from layernas.storage.storage_errors import in_one_line
from layernas.training import hosts
from layernas.training.checks import check_batches
from layernas.training.checks import check_training
from layernas.training.devices import enable_compilation_cache
from layernas.training.devices import keep_freed_memory
from layernas.training.train import training_steps


def run_search(
    config: config_dict.ConfigDict, workdir: epath.PathLike
) -> dict[str, Any]:
  """Runs or resumes the search that a config describes.

  Args:
    config: see configs/default.py.
    workdir: of this run; one that holds a search of the same config goes on.

  Returns:
    Content of result.json.

  Raises:
    UserError: something in config or workdir is wrong; the workdir has not
      been touched. Or a StorageError: its disk is full or gone.
  """
  settings = chosen_settings(config, workdir)
  prepare_process(settings)
  keep_freed_memory()
  with contextlib.ExitStack() as stack:
    place = make_place(config, settings, workdir)
    if place:
      stack.enter_context(place)
    space, dataset, search, trace = hosts.on_all(lambda: _prepared(config))
    check_same_run(config, dataset)
    if place:
      # Where there is no room it raises, before the workdir is taken.
      place.wanted()
    record = SearchRecord(workdir) if hosts.is_first() else NoRecord()
    stack.enter_context(in_one_line(workdir))
    stack.enter_context(record)
    stack.enter_context(hosts.listening())
    trials = hosts.on_first(lambda: record.open(config, settings))
    search.replay(map(trial_from_dict, trials))
    enable_compilation_cache(epath.Path(workdir) / 'compilation_cache')
    steps = training_steps(config.training, dataset.num_examples('train'))
    record.begin(search, steps)
    files = CandidateFiles(workdir)
    if search.trials:
      # A kill between its record and this left its files.
      files.clean(search.trials[-1].candidate)
    executor = stack.enter_context(make_executor(
        settings, place, SearchListener(record, search),
        lambda: TrainingEvaluator(
            config, space, dataset, workdir, record.stepped
        ),
        lambda: _check_preemption(search),
    ))
    record.placed(executor.page)
    _loop(config, search, executor, record, files)
    result = search_result(
        search, space, config, dataset.image_size, dataset.num_classes
    )
    record.finish(result, trace and {
        'run': _facts(config, search), **trace.to_dict()
    })
  return result


def _prepared(config: config_dict.ConfigDict) -> tuple[Any, ...]:
  """Space, data set, search and its trace, if any; writes nothing."""
  check_training(config)
  if config.compile_ahead < 0:
    raise UserError(
        f'compile_ahead: {config.compile_ahead}: allowed are integers >= 0'
    )
  space = make_space(config.space)
  dataset = load_dataset(config.data)
  check_batches(config, dataset, 'train')
  problem = make_problem(
      config, space, dataset.image_size, dataset.num_classes
  )
  search = make_search(config, problem)
  traced = search.strategy.proposer.passes is not None
  trace = Trace(problem, search.strategy) if traced else None
  return space, dataset, search, trace


def _loop(
    config: config_dict.ConfigDict, search: Search, executor: Executor,
    record: NoRecord, files: CandidateFiles,
) -> None:
  """Keeps the executor busy until the search stops; records in trial order."""
  recorded, times = len(search.trials), {}
  foresight = Foresight(
      search, lambda: make_search(config, search.problem),
      config.compile_ahead,
  )
  while True:
    _check_preemption(search)
    room = executor.capacity - len(search.waiting)
    for candidate in search.ask(room) if room > 0 else ():
      hosts.agree('next candidate', dataclasses.asdict(candidate))
      executor.submit(candidate)
    if not search.waiting:
      return
    # Only asked candidates are trials: what is foreseen is compiled, no more.
    executor.prepare(foresight.now())
    result = executor.next_result()
    if result.candidate not in search.waiting:
      continue  # Withdrawn: the budget was spent by trials before it.
    told = hosts.told(Trial(result.candidate, result.evaluation).to_dict())
    search.tell(result.candidate.id, trial_from_dict(told).evaluation)
    times[result.candidate.id] = result.seconds
    record.evaluated(result.candidate)
    for trial in search.trials[recorded:]:
      _record(record, files, trial, times.pop(trial.candidate.id))
    recorded = len(search.trials)


def _record(
    record: NoRecord, files: CandidateFiles, trial: Trial,
    seconds: Mapping[str, float],
) -> None:
  """Stores a trial, and where its time went."""
  begun = time.monotonic()
  record.finished(trial)
  files.clean(trial.candidate)
  if seconds:
    took = time.monotonic() - begun
    record.timed(
        trial.candidate, {**seconds, 'save': seconds['save'] + took}
    )


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
