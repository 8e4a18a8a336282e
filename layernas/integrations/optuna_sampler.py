"""A search as a sampler of Optuna.

    search = Search(problem, 'sweep', Budget(trials=100), seed=0)
    study = optuna.create_study(
        direction='maximize', sampler=LayerNASSampler(search)
    )
    study.optimize(objective, n_jobs=4)

The objective asks for one categorical parameter per layer, in any order, or
calls `suggest(trial, space)`. Trials keep the id of their candidate, so that a
new sampler can continue a stored study.
"""

import contextlib
import datetime
import heapq
import threading
import time
from collections.abc import Sequence
from typing import Any

from layernas.errors import UserError
from layernas.integrations import optuna_parameters
from layernas.integrations.numbered import NumberedSearch
from layernas.integrations.optuna_parameters import optuna
from layernas.integrations.optuna_parameters import suggest
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search import Status
from layernas.search.space import Architecture
from layernas.search.space import architecture_id

__all__ = ['LayerNASSampler', 'suggest']

_CANDIDATE = 'layernas:candidate'
_SECONDS = 'layernas:seconds'
"""System attributes of a trial: its candidate and its seconds."""

_FIXED = 'fixed_params'
"""System attribute in which Optuna keeps the values of an enqueued trial."""

_PATIENCE_SECONDS = 60.0
"""Seconds to wait for a lower trial that another thread has just begun."""


class LayerNASSampler(optuna.samplers.BaseSampler):
  """A sampler that gives trials the candidates of a search, by number.

  With several threads (`n_jobs`), a trial waits if its network depends on
  results that are missing; the trials are the same as with one thread. The
  search learns of trials that fail or are pruned. When the search is over, it
  stops the study. A network outside the target, which a search may train on its
  way, violates a constraint, so `study.best_trial` lies in the target. The user
  attributes 'cost' and 'seed' of a trial are those of its candidate.

  If a study has trials of an earlier sampler with the same search, finished
  trials are replayed, and networks of unfinished trials are given to the next
  ones. Only one process may work on a study at a time. Enqueued trials keep
  their own values, and the search does not learn of them.

  Attributes:
    search: the search; `search.best` is its answer, which is the best trial
      unless the schedule has a rule of its own.
  """

  def __init__(self, search: Search):
    """Makes a sampler for one study with one objective.

    Args:
      search: a search that has not begun.

    Raises:
      UserError: it is not a Search, or it has begun.
    """
    self._numbered = NumberedSearch(search)
    self.search = search
    self._space = search.problem.space
    self._made = datetime.datetime.now()
    self._study_name: str | None = None
    self._sign = 1
    self._arrived = threading.Condition()
    # Numbers of trials for which no thread of this process is on its way.
    self._known: set[int] = set()
    # Ids of candidates below the next one that no trial has.
    self._open: list[int] = []
    self._next = 0
    # By the number of a trial: its candidate, and when it was handed out.
    self._running: dict[int, tuple[Candidate, float]] = {}

  def before_trial(
      self, study: optuna.Study, trial: optuna.trial.FrozenTrial
  ) -> None:
    """Takes the next candidate for a trial; may wait for results."""
    if _FIXED in trial.system_attrs:
      self._constrain_enqueued(study, trial)
      return
    candidate_id = self._take_id(study, trial.number)
    try:
      candidate = self._numbered.candidate(candidate_id)
    except BaseException:
      with self._arrived:
        heapq.heappush(self._open, candidate_id)
      raise
    if candidate is None:
      _stop(study)
      return
    self._running[trial.number] = candidate, time.monotonic()
    for key, value in (('cost', candidate.cost), ('seed', candidate.seed)):
      study._storage.set_trial_user_attr(trial._trial_id, key, value)
      # The copy that the objective sees.
      trial.set_user_attr(key, value)
    self._constrain(study, trial, candidate.architecture)
    # Last: a trial without it is one that never began.
    study._storage.set_trial_system_attr(
        trial._trial_id, _CANDIDATE, _record(candidate)
    )

  def infer_relative_search_space(
      self, study: optuna.Study, trial: optuna.trial.FrozenTrial
  ) -> dict[str, optuna.distributions.BaseDistribution]:
    """All layers; none for an enqueued trial."""
    del study
    if _FIXED in trial.system_attrs:
      return {}
    return dict(optuna_parameters.distributions(self._space))

  def sample_relative(
      self, study: optuna.Study, trial: optuna.trial.FrozenTrial,
      search_space: dict[str, optuna.distributions.BaseDistribution],
  ) -> dict[str, Any]:
    """The options of a trial's candidate; prunes a trial without one."""
    del study
    if not search_space:
      return {}
    if trial.number not in self._running:
      raise optuna.TrialPruned(f'search is over: {self.search.stop_reason}')
    candidate, _ = self._running[trial.number]
    return optuna_parameters.params(self._space, candidate.architecture)

  def sample_independent(
      self, study: optuna.Study, trial: optuna.trial.FrozenTrial,
      param_name: str,
      param_distribution: optuna.distributions.BaseDistribution,
  ) -> Any:
    """Refuses parameters that are not layers."""
    del study, param_distribution
    names = [layer.name for layer in self._space.layers]
    if param_name in names:
      raise UserError(
          f'trial {trial.number}: it was enqueued without {param_name!r}:'
          f' allowed are enqueued trials with all of {names}'
      )
    raise UserError(
        f'trial {trial.number}: parameter {param_name!r}: allowed are the'
        f' layers of the space, {names}'
    )

  def after_trial(
      self, study: optuna.Study, trial: optuna.trial.FrozenTrial,
      state: optuna.trial.TrialState, values: Sequence[float] | None,
  ) -> None:
    """Tells the search the result of a trial."""
    if trial.number not in self._running:
      return
    candidate, begun = self._running.pop(trial.number)
    seconds = time.monotonic() - begun
    study._storage.set_trial_system_attr(trial._trial_id, _SECONDS, seconds)
    self._numbered.tell(
        candidate.id, self._evaluation(trial, state, values, seconds)
    )
    if not self._open and self._numbered.over:
      _stop(study)
    missing = self._missing(trial)
    if state is optuna.trial.TrialState.COMPLETE and missing:
      raise UserError(
          f'trial {trial.number}: its objective did not ask for the layers'
          f' {missing}: allowed is one that asks for all, see'
          ' layernas.integrations.optuna_sampler.suggest'
      )

  def _take_id(self, study: optuna.Study, number: int) -> int:
    """The id of the candidate for a trial: trials are served by number."""
    with self._arrived:
      self._begin(study)
      try:
        self._wait_for_lower(study, number)
      finally:
        self._known.add(number)
        self._arrived.notify_all()
      if self._open:
        return heapq.heappop(self._open)
      self._next += 1
      return self._next - 1

  def _begin(self, study: optuna.Study) -> None:
    """Looks at a study for the first time, and replays what it holds."""
    if self._study_name == study.study_name:
      return
    if self._study_name is not None:
      raise UserError(
          f'study {study.study_name!r}: the sampler has been used in study'
          f' {self._study_name!r}: allowed is a new sampler for each study'
      )
    if len(study.directions) > 1:
      raise UserError(
          f'study {study.study_name!r}: it has {len(study.directions)}'
          ' objectives: allowed is one'
      )
    minimize = study.direction is optuna.study.StudyDirection.MINIMIZE
    self._sign = -1 if minimize else 1
    trials = study._storage.get_all_trials(study._study_id, deepcopy=False)
    self._replay([
        trial for trial in trials
        if trial.state.is_finished() and _CANDIDATE in trial.system_attrs
    ])
    self._known |= {
        trial.number for trial in trials
        if _CANDIDATE in trial.system_attrs or trial.datetime_start is None
        or trial.state.is_finished() or trial.datetime_start < self._made
    }
    self._study_name = study.study_name

  def _replay(self, trials: list[optuna.trial.FrozenTrial]) -> None:
    """Tells the search what an earlier one has been told."""
    recorded = {trial.system_attrs[_CANDIDATE]['id']: trial for trial in trials}
    for number in range(max(recorded, default=-1) + 1):
      # One without a result may be what all later ones depend on.
      candidate = self._numbered.peek(number)
      if candidate is None:
        break
      if number in recorded:
        self._check_same(candidate, recorded[number])
        self._numbered.candidate(number)
        self._numbered.tell(number, self._recorded(recorded[number]))
      else:
        self._open.append(number)
      self._next = number + 1

  def _check_same(
      self, candidate: Candidate, trial: optuna.trial.FrozenTrial
  ) -> None:
    """Raises UserError where a trial was that of another candidate."""
    found, expected = trial.system_attrs[_CANDIDATE], _record(candidate)
    if found != expected:
      raise UserError(
          f'trial {trial.number} of the study: {found}, but this search asks'
          f' for {expected}: allowed is a study of the same search, with the'
          ' same settings and seed'
      )

  def _recorded(self, trial: optuna.trial.FrozenTrial) -> Evaluation:
    return self._evaluation(
        trial, trial.state, trial.values, trial.system_attrs.get(_SECONDS, 0.0)
    )

  def _evaluation(
      self, trial: optuna.trial.FrozenTrial, state: optuna.trial.TrialState,
      values: Sequence[float] | None, seconds: float,
  ) -> Evaluation:
    """The outcome of a trial, as a search takes it."""
    if state is optuna.trial.TrialState.PRUNED:
      return Evaluation(None, seconds, Status.STOPPED, 'pruned')
    if state is not optuna.trial.TrialState.COMPLETE or self._missing(trial):
      return Evaluation(None, seconds, Status.FAILED, 'failed in its study')
    return Evaluation(self._sign * values[0], seconds)

  def _missing(self, trial: optuna.trial.FrozenTrial) -> list[str]:
    """Layers that the objective of a trial did not ask for."""
    return [
        layer.name for layer in self._space.layers
        if layer.name not in trial.params
    ]

  def _wait_for_lower(self, study: optuna.Study, number: int) -> None:
    """Waits for threads that have begun a trial of a lower number."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
      others = [
          trial for trial in study._storage.get_all_trials(
              study._study_id, deepcopy=False,
              states=(optuna.trial.TrialState.RUNNING,),
          )
          if trial.number not in self._known
          and _FIXED not in trial.system_attrs
      ]
      foreign = [one.number for one in others if _CANDIDATE in one.system_attrs]
      lower = [one.number for one in others if one.number < number]
      if foreign or (lower and time.monotonic() > deadline):
        raise UserError(
            f'study {study.study_name!r}: another process runs its trials'
            f' {foreign or lower}: allowed is one process at a time, with'
            ' threads (n_jobs)'
        )
      if not lower:
        return
      # Not for ever: a trial may end elsewhere.
      self._arrived.wait(0.05)

  def _constrain(
      self, study: optuna.Study, trial: optuna.trial.FrozenTrial,
      architecture: Architecture,
  ) -> None:
    """Stores how a trial stands to the limits, where there are any."""
    problem = self.search.problem
    found = optuna_parameters.constraints(
        problem.cost.cost(architecture), problem.target
    ) + [
        float(limit.cost.cost(architecture) - limit.high)
        for limit in problem.limits
    ]
    if found:
      study._storage.set_trial_system_attr(
          trial._trial_id, optuna_parameters.CONSTRAINTS, found
      )

  def _constrain_enqueued(
      self, study: optuna.Study, trial: optuna.trial.FrozenTrial
  ) -> None:
    """Holds a trial with values of its own to the target, too."""
    # Unfit values are for Optuna to refuse when they are asked for.
    with contextlib.suppress(KeyError, ValueError):
      architecture = optuna_parameters.architecture_of(
          self._space, trial.system_attrs[_FIXED]
      )
      self._constrain(study, trial, architecture)


def _record(candidate: Candidate) -> dict[str, Any]:
  """What a study keeps of a candidate, in JSON types."""
  return {
      'id': candidate.id,
      'architecture': architecture_id(candidate.architecture),
      'seed': candidate.seed,
  }


def _stop(study: optuna.Study) -> None:
  """Ends `study.optimize`; whoever asks and tells is not in it."""
  with contextlib.suppress(RuntimeError):
    study.stop()
