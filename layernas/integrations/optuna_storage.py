"""Export of the trials of a search to a storage of Optuna.

Programs that show studies, such as optuna-dashboard, can then show searches. A
running search may be exported repeatedly; each export adds its new trials.
"""

import datetime
import math
import os
from collections.abc import Sequence
from typing import Any

from etils import epath
from sqlalchemy.exc import SQLAlchemyError

from layernas.errors import UserError
from layernas.integrations import optuna_parameters
from layernas.integrations.optuna_parameters import optuna
from layernas.networks.registry import make_space
from layernas.runs import config_flag
from layernas.search import SearchSpace
from layernas.search import Status
from layernas.search import TargetInterval
from layernas.search import Trial
from layernas.search.problem import upper_limits
from layernas.search.space import architecture_id
from layernas.storage.history import recorded_further_costs
from layernas.storage.history import recorded_trials
from layernas.storage.workdir import content_of
from layernas.storage.workdir import read_json

_STATES = {
    Status.OK: optuna.trial.TrialState.COMPLETE,
    Status.FAILED: optuna.trial.TrialState.FAIL,
    Status.NAN: optuna.trial.TrialState.FAIL,
    Status.STOPPED: optuna.trial.TrialState.PRUNED,
}


def export_workdir(
    workdir: epath.PathLike, storage: str | optuna.storages.BaseStorage,
    name: str = '',
) -> optuna.Study:
  """Writes the trials of a search to a study, or adds missing ones.

  Trial numbers are those of the search, layers are categorical parameters, and
  the reward is maximised. The distance of a cost from the target is a
  constraint, and so is that of each further cost from its limit, if the workdir
  has recorded it; a network outside of the space, such as a reference, has no
  parameters and violates another constraint. `study.best_trial` is therefore
  the best reward of the space in the target and the limits. After the search
  has ended, the study's user attribute 'winner' is the trial number of its
  answer.

  The record has the duration of trials but not the time at which they ran. They
  are therefore placed end to end, and the last one ends when it was recorded.

  Args:
    workdir: workdir of a search, which may be running.
    storage: URL of a database, such as 'sqlite:///search.db', or a storage.
    name: name of the study; '' takes the name of the workdir.

  Returns:
    The study.

  Raises:
    UserError: there is no search in the workdir, the storage cannot be used, or
      its study of that name has other trials.
  """
  workdir = epath.Path(workdir)
  trials = recorded_trials(workdir)
  file = workdir / 'config.json'
  config = config_flag.recorded(read_json(file), file)
  space = make_space(config.space).search_space
  target = TargetInterval(
      config.target.low or -math.inf, upper_limits(config.target.high)[-1]
  )
  name = name or os.path.basename(os.path.abspath(workdir))
  ends = _ends(trials, (workdir / 'trials.jsonl').stat().mtime)
  further = recorded_further_costs(workdir)
  exported = [
      _exported(trial, space, [
          *optuna_parameters.constraints(trial.candidate.cost, target), *(
              float(cost - config.limits[metric])
              for metric, cost in further.get(trial.candidate.id, {}).items()
          ),
      ], end) for trial, end in zip(trials, ends, strict=True)
  ]
  try:
    study = optuna.create_study(
        storage=storage, study_name=name, direction='maximize',
        load_if_exists=True,
    )
    present = study.get_trials(deepcopy=False)
    _check_same(study, present, exported)
    study.add_trials(exported[len(present):])
    for key, value in _facts(workdir, config).items():
      study.set_user_attr(key, value)
  except UserError:
    raise
  # Optuna refuses an URL by a ValueError, or by what its database raises.
  except (
      SQLAlchemyError, ImportError, ValueError, optuna.exceptions.OptunaError
  ) as error:
    raise UserError(
        f'storage {storage}: {str(error).splitlines()[0]}: allowed is the URL'
        ' of a database that can be written, such as sqlite:///search.db'
    ) from error
  return study


def _ends(trials: Sequence[Trial], last: float) -> list[float]:
  """When trials ended, in seconds since 1970, as if none ran beside another."""
  ends: list[float] = []
  for trial in reversed(trials):
    ends.append(last)
    last -= trial.evaluation.seconds
  return ends[::-1]


def _exported(
    trial: Trial, space: SearchSpace, constraints: list[float], end: float
) -> optuna.trial.FrozenTrial:
  """A trial as Optuna's."""
  candidate, evaluation = trial.candidate, trial.evaluation
  architecture = candidate.architecture
  params, distributions = {}, {}
  if isinstance(architecture, str):
    constraints = [*constraints, 1.0]
  else:
    space.check(architecture)
    params = optuna_parameters.params(space, architecture)
    distributions = optuna_parameters.distributions(space)
  made = optuna.trial.create_trial(
      state=_STATES[evaluation.status], value=evaluation.reward, params=params,
      distributions=distributions,
      system_attrs={optuna_parameters.CONSTRAINTS: constraints}, user_attrs={
          **evaluation.metrics, **_identity(trial), 'cost': candidate.cost,
          'layer': candidate.layer, 'seconds': evaluation.seconds,
          'message': evaluation.message,
      },
  )
  made.datetime_start, made.datetime_complete = map(
      datetime.datetime.fromtimestamp, (end - evaluation.seconds, end)
  )
  return made


def _identity(trial: Trial) -> dict[str, Any]:
  """User attributes by which an exported trial is known again."""
  return {
      'architecture': architecture_id(trial.candidate.architecture),
      'seed': trial.candidate.seed,
  }


def _check_same(
    study: optuna.Study, present: list[optuna.trial.FrozenTrial],
    exported: list[optuna.trial.FrozenTrial],
) -> None:
  """Raises UserError unless a study holds the first of the trials, or none."""
  same = len(present) <= len(exported) and all(
      one.user_attrs.get(key) == other.user_attrs[key]
      for one, other in zip(present, exported, strict=False)
      for key in ('architecture', 'seed')
  )
  if not same:
    raise UserError(
        f'study {study.study_name!r}: its storage holds one of that name with'
        ' trials of another search: allowed is a name that is free, or that of'
        ' an earlier export of the same workdir'
    )


def _facts(workdir: epath.Path, config: Any) -> dict[str, Any]:
  """User attributes of the study."""
  facts = {
      'space': config.space, 'cost': config.cost.metric,
      'reward': config.reward,
  }
  result = workdir / 'result.json'
  if not result.exists():
    return facts
  with content_of(result):
    winner = read_json(result)['winner']
    return {**facts, 'winner': winner['trial']} if winner else facts
