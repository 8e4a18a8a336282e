"""Runs a search: ask, evaluate, tell, record, report.

Several processes run it together: each asks the same search, process 0's
candidates and evaluations count, and it alone writes.
"""

import contextlib
import dataclasses
import functools
from typing import Any

from etils import epath
from ml_collections import config_dict

from layernas.data.registry import load_dataset
from layernas.errors import Preempted
from layernas.experiment.evaluator import TrainingEvaluator
from layernas.experiment.host_checks import check_same_run
from layernas.experiment.report import search_result
from layernas.experiment.search_record import NoRecord
from layernas.experiment.search_record import SearchRecord
from layernas.experiment.setup import make_problem
from layernas.experiment.setup import make_search
from layernas.experiment.setup import make_space
from layernas.search import Search
from layernas.search import Trial
from layernas.search.foresight import foreseen
from layernas.search.sweep import Layerwise
from layernas.search.trace import Trace
from layernas.search.trial import trial_from_dict
from layernas.training import hosts
from layernas.training import preemption
from layernas.training.checks import check_batches
from layernas.training.checks import check_training
from layernas.training.devices import enable_compilation_cache
from layernas.training.memory import keep_freed_memory
from layernas.training.train import training_steps
from layernas.training.wall_time import WallTime


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
      been touched.
  """
  keep_freed_memory()
  space, dataset, search, trace = hosts.on_all(lambda: _prepared(config))
  check_same_run(config, dataset)
  record = SearchRecord(workdir) if hosts.is_first() else NoRecord()
  with contextlib.ExitStack() as stack:
    stack.enter_context(record)
    stack.enter_context(preemption.listening())
    trials = hosts.on_first(lambda: record.open(config))
    search.replay(map(trial_from_dict, trials))
    enable_compilation_cache(epath.Path(workdir) / 'compilation_cache')
    steps = training_steps(config.training, dataset.num_examples('train'))
    record.begin(search, steps)
    evaluator = stack.enter_context(TrainingEvaluator(
        config, space, dataset, workdir, record.stepped
    ))
    if search.trials:
      # A kill between its record and this left its checkpoints.
      evaluator.clean(search.trials[-1].candidate)
    _loop(config, search, evaluator, record)
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
  space = make_space(config.space)
  dataset = load_dataset(config.data)
  check_batches(config, dataset, 'train')
  problem = make_problem(
      config, space, dataset.image_size, dataset.num_classes
  )
  search = make_search(config, problem)
  traced = isinstance(search.strategy.proposer, Layerwise)
  trace = Trace(problem, search.strategy) if traced else None
  return space, dataset, search, trace


def _loop(
    config: config_dict.ConfigDict, search: Search,
    evaluator: TrainingEvaluator, record: NoRecord,
) -> None:
  """Evaluates one candidate after another until the search stops."""
  while candidates := search.ask():
    wall_time = WallTime()
    if preemption.noticed():
      raise Preempted(f'{len(search.trials)} trials are finished')
    [candidate] = candidates
    hosts.agree('next candidate', dataclasses.asdict(candidate))
    # Only asked candidates are trials: what is foreseen is compiled, no more.
    evaluator.prepare([candidate.architecture, *foreseen(
        search, lambda: make_search(config, search.problem),
        config.compile_ahead,
    )])
    record.began(candidate)
    trial = Trial(candidate, evaluator(
        candidate, wall_time,
        functools.partial(search.hopeless, candidate.id),
    ))
    trial = trial_from_dict(hosts.told(trial.to_dict()))
    search.tell(candidate.id, trial.evaluation)
    with wall_time.spent_on('save'):
      record.finished(search.trials[-1])
      evaluator.clean(candidate)
    record.timed(candidate, wall_time.seconds())


def _facts(config: config_dict.ConfigDict, search: Search) -> dict[str, Any]:
  """What heads the decision trace."""
  return {
      'title': f'{config.space}, seed {config.seed}',
      'schedule': config.search.schedule,
      'trials': len(search.trials),
      'stop_reason': search.stop_reason,
  }
