"""Trains one candidate alone, as a search would, to look into what it does.

The same data, seed handling, programs and kind of process as in the search, so
that on the same machine the reward is that of the search to the bit. Everything
that is written lies below WORKDIR/debug: a search in the same workdir may go on
meanwhile.
"""

import contextlib
import dataclasses
from typing import Any

from etils import epath
from ml_collections import config_dict
from rich.console import Console

from layernas.data.registry import load_dataset
from layernas.errors import Preempted
from layernas.errors import UserError
from layernas.networks.registry import make_space
from layernas.reports.console import Progress
from layernas.reports.console import new_console
from layernas.reports.console import trial_table
from layernas.reports.tensorboard import TensorBoard
from layernas.runs.evaluator import CandidateFiles
from layernas.runs.evaluator import TrainingEvaluator
from layernas.runs.evaluator import check_succeeded
from layernas.runs.execution import chosen_settings
from layernas.runs.execution import make_executor
from layernas.runs.execution import make_place
from layernas.runs.execution import prepare_process
from layernas.runs.inputs import data_input
from layernas.runs.inputs import space_input
from layernas.runs.inputs import training_inputs
from layernas.runs.listeners import HookListener
from layernas.runs.rewards import configured_reward
from layernas.runs.setup import check_same_run
from layernas.runs.setup import make_problem
from layernas.runs.setup import with_width_scaled
from layernas.search import Candidate
from layernas.search import Trial
from layernas.search.space import Architecture
from layernas.search.space import architecture_id
from layernas.search.space import parse_architecture_id
from layernas.search.trial import trial_from_dict
from layernas.storage.history import recorded_trials
from layernas.storage.storage_errors import in_one_line
from layernas.storage.workdir import Workdir
from layernas.training import devices
from layernas.training import hosts
from layernas.training.checks import check_batches
from layernas.training.checks import check_training
from layernas.training.devices import enable_compilation_cache
from layernas.training.train import training_steps


@dataclasses.dataclass(frozen=True)
class Asked:
  """What is to be trained.

  Attributes:
    architecture: of the candidate.
    seed: of its training.
    recorded: the trial that is trained once more; None where there is none.
  """

  architecture: Architecture
  seed: int
  recorded: Trial | None = None

  @property
  def directory(self) -> str:
    """Of its files, below the workdir."""
    if self.recorded:
      return f'debug/trial{self.recorded.candidate.id:06d}'
    return f'debug/{architecture_id(self.architecture)}_seed{self.seed}'


def asked_options(text: str, seed: int) -> Asked:
  """A candidate by the numbers of its options.

  Args:
    text: the numbers, joined by dashes.
    seed: of its training.

  Returns:
    The candidate; whether the space has it is not known yet.

  Raises:
    UserError: the text has another form.
  """
  return Asked(parse_architecture_id(text), seed)


def asked_trial(workdir: epath.PathLike, trial_id: int) -> Asked:
  """A candidate by the trial that a search has recorded.

  Args:
    workdir: of the search.
    trial_id: of the trial, from 0.

  Returns:
    The candidate of the trial.

  Raises:
    UserError: there is no such search or trial.
  """
  records = hosts.on_first(
      lambda: [trial.to_dict() for trial in recorded_trials(workdir)]
  )
  if trial_id >= len(records):
    allowed = f'0 to {len(records) - 1}' if records else 'none yet'
    raise UserError(
        f'flag --trial: {trial_id}: allowed are the ids of finished trials of'
        f' {workdir}, {allowed}'
    )
  trial = trial_from_dict(records[trial_id])
  return Asked(trial.candidate.architecture, trial.candidate.seed, trial)


@hosts.together()
def run_candidate(
    config: config_dict.ConfigDict, workdir: epath.PathLike, asked: Asked
) -> Trial:
  """Trains a candidate and prints what comes of it.

  Args:
    config: of the search.
    workdir: below whose folder `debug` the files go.
    asked: what to train.

  Returns:
    The candidate with its evaluation.

  Raises:
    UserError: something in config, architecture or workdir is wrong.
    TrialError: the training failed; with its traceback.
  """
  # One worker is made as each of many would be.
  settings = dataclasses.replace(
      chosen_settings(config, workdir), workers=1, retries=0
  )
  prepare_process(settings)
  devices.prepare(config.model.deterministic)
  directory = Workdir(epath.Path(workdir) / asked.directory)
  with contextlib.ExitStack() as stack:
    place = make_place(config, settings, directory.path)
    if place:
      stack.enter_context(place)
    space, dataset, candidate = hosts.on_all(lambda: _prepared(config, asked))
    check_same_run(config, dataset)
    stack.enter_context(in_one_line(directory.path))
    stack.enter_context(hosts.listening())
    hosts.on_first(lambda: directory.open(
        config, [
            space_input(config, space, dataset), data_input(dataset),
            *training_inputs(config),
        ]
    ))
    stack.callback(directory.close)
    enable_compilation_cache(directory.path / 'compilation_cache')
    console = new_console(quiet=not hosts.is_first())
    hooks = [
        TensorBoard(directory.path / 'tensorboard'), Progress(console)
    ] if hosts.is_first() else []
    for hook in hooks:
      stack.callback(hook.close)
    steps = training_steps(config.training, dataset.num_examples('train'))
    listener = HookListener(hooks, steps)
    executor = stack.enter_context(make_executor(
        settings, place, listener,
        lambda: TrainingEvaluator(
            config, space, dataset, directory.path, listener.stepped
        ),
        _check_preemption,
    ))
    executor.submit(candidate)
    result = executor.next_result()
    listener.evaluated(candidate)
    # The same command is to train again.
    CandidateFiles(directory.path).clean(candidate)
    trial = trial_from_dict(
        hosts.told(Trial(candidate, result.evaluation).to_dict())
    )
    check_succeeded(trial, result.traceback)
    if hosts.is_first():
      _report(trial, asked.recorded, directory, console)
  return trial


def _prepared(config: Any, asked: Asked) -> tuple[Any, ...]:
  """Space, data set and candidate; writes nothing."""
  check_training(config)
  configured_reward(config)
  space = make_space(config.space)
  if not asked.recorded:
    space.search_space.check(asked.architecture)
  dataset = load_dataset(config.data)
  space = with_width_scaled(space, config, dataset)
  space.network(asked.architecture)
  check_batches(config, dataset, 'train')
  dataset.check_images()
  if asked.recorded:
    return space, dataset, asked.recorded.candidate
  problem = make_problem(
      config, space, dataset.image_size, dataset.num_classes
  )
  cost = problem.cost.cost(asked.architecture)
  candidate = Candidate(0, 0, asked.architecture, cost, asked.seed)
  return space, dataset, candidate


def _check_preemption() -> None:
  if hosts.noticed():
    raise Preempted('the candidate is not finished')


def _report(
    trial: Trial, recorded: Trial | None, directory: Workdir, console: Console
) -> None:
  directory.write_json('trial.json', trial.to_dict())
  console.print(trial_table(trial, recorded))
  console.print(f'results: {directory.path}/trial.json, tensorboard')
