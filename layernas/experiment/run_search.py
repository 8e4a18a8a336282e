"""Runs a search: ask, evaluate, tell, record, report."""

import contextlib
from typing import Any

from etils import epath
from ml_collections import config_dict

from layernas.data.registry import load_dataset
from layernas.errors import Preempted
from layernas.experiment.evaluator import TrainingEvaluator
from layernas.experiment.history import History
from layernas.experiment.plots import save_pareto
from layernas.experiment.progress import SearchProgress
from layernas.experiment.progress import opening_lines
from layernas.experiment.progress import summary_table
from layernas.experiment.report import layer_tables
from layernas.experiment.report import search_result
from layernas.experiment.scalars import Scalars
from layernas.experiment.setup import make_problem
from layernas.experiment.setup import make_search
from layernas.experiment.setup import make_space
from layernas.experiment.trace_page import write_trace
from layernas.experiment.workdir import Workdir
from layernas.search import Search
from layernas.search.trace import Trace
from layernas.training import preemption
from layernas.training.checks import check_batches
from layernas.training.checks import check_training
from layernas.training.devices import enable_compilation_cache
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
      been touched.
  """
  check_training(config)
  space = make_space(config.space)
  dataset = load_dataset(config.data)
  check_batches(config, dataset, 'train')
  problem = make_problem(
      config, space, dataset.image_size, dataset.num_classes
  )
  search = make_search(config, problem)
  trace = Trace(problem, search.strategy)
  directory = Workdir(workdir)
  directory.open(config)
  with contextlib.ExitStack() as stack:
    stack.callback(directory.close)
    stack.enter_context(preemption.listening())
    history = History(directory.path)
    stack.callback(history.close)
    search.replay(history.trials)
    enable_compilation_cache(directory.path / 'compilation_cache')
    progress = SearchProgress(
        search,
        training_steps(config.training, dataset.num_examples('train')),
    )
    for line in opening_lines(search):
      progress.say(line)
    if history.trials:
      progress.say(f'{len(history.trials)} trials are finished already')
    scalars = Scalars(directory.path / 'tensorboard')
    stack.callback(scalars.close)

    def logged(candidate: Any, step: int, metrics: Any) -> None:
      progress.stepped(step, metrics)
      scalars.write(f'trials/{candidate.id:06d}', step, metrics)

    evaluator = TrainingEvaluator(
        config, space, dataset, directory.path, logged
    )
    with progress:
      _loop(search, evaluator, history, progress, scalars, directory)
    result = search_result(
        search, space, config, dataset.image_size, dataset.num_classes
    )
    _finish(result, search, directory, progress)
    write_trace({'run': _facts(config, search), **trace.to_dict()}, directory)
  return result


def _loop(
    search: Search, evaluator: TrainingEvaluator, history: History,
    progress: SearchProgress, scalars: Scalars, directory: Workdir,
) -> None:
  """Evaluates one candidate after another until the search stops."""
  while candidates := search.ask():
    if preemption.noticed():
      raise Preempted(f'{len(search.trials)} trials are finished')
    [candidate] = candidates
    progress.began(candidate)
    search.tell(candidate.id, evaluator(candidate))
    trial = search.trials[-1]
    history.append(trial)
    directory.write_json('tables.json', layer_tables(search))
    evaluator.clean(candidate)
    scalars.trial(trial, search)
    scalars.close(f'trials/{candidate.id:06d}')
    progress.finished(trial)


def _finish(
    result: dict[str, Any], search: Search, directory: Workdir,
    progress: SearchProgress,
) -> None:
  """Writes the results and says where they lie."""
  directory.write_json('tables.json', layer_tables(search))
  directory.write_json('result.json', result)
  if any(trial.ok for trial in search.trials):
    save_pareto(search, directory.path / 'pareto.png')
  progress.console.print(summary_table(result))
  progress.say(f'results: {directory.path}/result.json, pareto.png,'
               ' tables.json, trace.html, trials.jsonl')


def _facts(config: config_dict.ConfigDict, search: Search) -> dict[str, Any]:
  """What heads the decision trace."""
  return {
      'title': f'{config.space}, seed {config.seed}',
      'schedule': config.search.schedule,
      'trials': len(search.trials),
      'stop_reason': search.stop_reason,
  }
