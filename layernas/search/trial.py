"""Proposals, candidates for an evaluator, and their evaluations."""

import dataclasses
import enum
import math
from collections.abc import Mapping
from typing import Any

from layernas.errors import UserError
from layernas.plain import is_number
from layernas.plain import plain
from layernas.search.cost import Number
from layernas.search.space import Network
from layernas.search.space import architecture_id
from layernas.search.space import parse_network_id


class Status(enum.StrEnum):
  """How an evaluation ended.

  Infeasible prefixes are dropped before they become trials; the search counts
  them. An evaluation is stopped early if its network is too bad; that is no
  failure.
  """

  OK = 'ok'
  FAILED = 'failed'
  NAN = 'nan'
  STOPPED = 'stopped'


@dataclasses.dataclass(frozen=True, slots=True)
class Proposal:
  """An architecture whose reward a strategy wants to know.

  Attributes:
    architecture: option indices, or the name of a network outside the space.
    cost: its cost.
    length: number of decided layers, which is that of the layer table for it; 0
      if there are no tables.
    layer: number of the layer decided last, 1..L; 0 if none.
    repeat: whether the architecture is evaluated with a new seed even if it is
      known; otherwise an earlier trial answers, if trials are reused.
  """

  architecture: Network
  cost: Number
  length: int = 0
  layer: int = 0
  repeat: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
  """An architecture to evaluate.

  Attributes:
    id: number of the trial, from 0.
    layer: number of the layer that it decides, 1..L; 0 if none.
    architecture: option indices, or the name of a network outside the space.
    cost: cost by the search's cost model.
    seed: seed of everything random in the evaluation.
  """

  id: int
  layer: int
  architecture: Network
  cost: Number
  seed: int

  def __str__(self) -> str:
    """All of it, for people."""
    return (
        f'trial {self.id}, {architecture_id(self.architecture)} (layer'
        f' {self.layer}, cost {self.cost}, seed {self.seed})'
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Evaluation:
  """Result of evaluating a candidate.

  Attributes:
    reward: larger is better; None unless status is ok.
    seconds: seconds that the evaluation took or is charged.
    status: ok, failed, nan or stopped.
    message: the reason if the status is not ok.
    metrics: further figures to keep with the trial.
    early_reward: reward at an early point of the evaluation, whatever followed;
      None if it was not measured or is not finite.

  A reward that is not finite makes the status nan. Fields of another type are
  refused; numbers of NumPy and JAX become Python's own.
  """

  reward: float | None
  seconds: float = 0.0
  status: Status = Status.OK
  message: str = ''
  metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
  early_reward: float | None = None

  def __post_init__(self) -> None:
    for name in ('reward', 'early_reward', 'seconds'):
      object.__setattr__(self, name, self._number(name))
    if not 0 <= self.seconds < math.inf:
      raise UserError(
          f'Evaluation: seconds {self.seconds!r}: allowed are numbers of zero'
          ' or more'
      )
    if self.status not in list(Status):
      raise UserError(
          f'Evaluation: status {self.status!r}: allowed are'
          f' {[str(one) for one in Status]}'
      )
    object.__setattr__(self, 'status', Status(self.status))
    if not isinstance(self.metrics, Mapping):
      raise UserError(
          f'Evaluation: metrics {self.metrics!r}: allowed is a dict of numbers'
      )
    object.__setattr__(self, 'metrics', {
        name: plain(value) for name, value in self.metrics.items()
    })
    if self.status is Status.OK and (
        self.reward is None or not math.isfinite(self.reward)
    ):
      object.__setattr__(self, 'status', Status.NAN)
      message = self.message or f'reward {self.reward} is not finite'
      object.__setattr__(self, 'message', message)
    if self.status is not Status.OK:
      object.__setattr__(self, 'reward', None)
    early = self.early_reward
    if early is not None and not math.isfinite(early):
      object.__setattr__(self, 'early_reward', None)

  def _number(self, name: str) -> Number | None:
    """A field as a number of Python; None stays, but for seconds."""
    value = plain(getattr(self, name))
    if value is None and name != 'seconds':
      return None
    if not is_number(value):
      raise UserError(
          f'Evaluation: {name} {value!r}: allowed is a number'
          + ('' if name == 'seconds' else ', or None where there is none')
      )
    return value


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
  """A candidate with its evaluation."""

  candidate: Candidate
  evaluation: Evaluation

  @property
  def ok(self) -> bool:
    """Whether the trial has a reward."""
    return self.evaluation.status is Status.OK

  @property
  def failed(self) -> bool:
    """Whether something went wrong: no reward, and not stopped."""
    return self.evaluation.status in (Status.FAILED, Status.NAN)

  def to_dict(self) -> dict[str, Any]:
    """The trial as JSON types; `trial_from_dict` reads them back."""
    candidate, evaluation = self.candidate, self.evaluation
    return {
        'id': candidate.id,
        'layer': candidate.layer,
        'architecture': architecture_id(candidate.architecture),
        'cost': candidate.cost,
        'seed': candidate.seed,
        'status': str(evaluation.status),
        'reward': evaluation.reward,
        'early_reward': evaluation.early_reward,
        'seconds': evaluation.seconds,
        'message': evaluation.message,
        'metrics': dict(evaluation.metrics),
    }


def trial_from_dict(values: Mapping[str, Any]) -> Trial:
  """Inverse of `Trial.to_dict`.

  Args:
    values: as written by `to_dict`; old records lack 'early_reward'.

  Returns:
    The trial.

  Raises:
    UserError: a field is missing or has a value that no trial has.
  """
  try:
    if not isinstance(values['cost'], int | float):
      raise TypeError(f'cost {values["cost"]!r} is not a number')
    candidate = Candidate(
        id=int(values['id']),
        layer=int(values['layer']),
        architecture=parse_network_id(values['architecture']),
        cost=values['cost'],
        seed=int(values['seed']),
    )
    evaluation = Evaluation(
        reward=values['reward'],
        seconds=float(values['seconds']),
        status=Status(values['status']),
        message=str(values['message']),
        metrics=dict(values['metrics']),
        early_reward=values.get('early_reward'),
    )
  except (KeyError, TypeError, ValueError) as error:
    raise UserError(
        f'trial record {values!r}: {error!r}: allowed is what Trial.to_dict'
        ' writes'
    ) from error
  return Trial(candidate, evaluation)


def trial_name(trial_id: int) -> str:
  """The name of a trial in messages.

  Args:
    trial_id: id of a trial of the search, or of one that it knows from other
      searches.

  Returns:
    'trial 3', or 'known trial 3' for the id -3.
  """
  return f'trial {trial_id}' if trial_id >= 0 else f'known trial {-trial_id}'


def trial_seed(seed: int, trial_id: int) -> int:
  """A seed below 2**31 for each trial (SplitMix64 finaliser, Steele 2014)."""
  mask = (1 << 64) - 1
  z = (seed * 0x9E3779B97F4A7C15 + trial_id + 1) * 0x9E3779B97F4A7C15 & mask
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
  return (z ^ (z >> 31)) >> 33
