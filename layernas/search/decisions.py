"""What became of the children of a layer: the parts of a decision trace."""

import dataclasses
import enum
from typing import Any

from layernas.search.cost import Number
from layernas.search.space import Architecture
from layernas.search.space import architecture_id


class Verdict(enum.StrEnum):
  """What a bucket made of a child.

  A displaced child was kept until a better one came; a lost one never was.
  """

  KEPT = 'kept'
  DISPLACED = 'displaced'
  LOST = 'lost'
  FAILED = 'failed'
  STOPPED = 'stopped'


@dataclasses.dataclass(frozen=True, slots=True)
class Meeting:
  """A child that came to the bucket of its cost.

  Attributes:
    number: place in the order in which the search saw all children, from 0.
    architecture: the child.
    cost: its cost.
    bucket: index of the bucket that holds this cost.
    trial: id of the trial that measured it.
    seen_before: whether an earlier child had that trial already.
    reward: of the trial; None where it failed or was stopped.
    verdict: as it stands.
    rival: the entry that the child lost to or was displaced by; where several
      are kept per bucket, the last of those it lost to.
    rival_reward: of the rival.
    displaced: the entry that the child displaced when it came.
    message: why the trial failed or was stopped.
  """

  number: int
  architecture: Architecture
  cost: Number
  bucket: int
  trial: int
  seen_before: bool
  reward: float | None
  verdict: Verdict
  rival: Architecture | None = None
  rival_reward: float | None = None
  displaced: Architecture | None = None
  message: str = ''

  def to_dict(self) -> dict[str, Any]:
    """JSON types."""
    values = {
        field.name: getattr(self, field.name)
        for field in dataclasses.fields(self)
    }
    for name in ('architecture', 'rival', 'displaced'):
      values[name] = values[name] and architecture_id(values[name])
    values['verdict'] = str(self.verdict)
    return values


@dataclasses.dataclass(frozen=True, slots=True)
class Dropped:
  """A child of which no completion reaches the target.

  Attributes:
    architecture: the child.
    cost: of that complete network.
    low: smallest cost over all completions.
    high: largest cost over all completions.
  """

  architecture: Architecture
  cost: Number
  low: Number
  high: Number

  def to_dict(self) -> dict[str, Any]:
    """JSON types."""
    return {
        'architecture': architecture_id(self.architecture),
        'cost': self.cost,
        'low': self.low,
        'high': self.high,
    }


@dataclasses.dataclass(frozen=True, slots=True)
class Incumbent:
  """A child that became the best network in the target interval.

  Attributes:
    number: of the meeting.
    pass_number: of the pass, from 0.
    layer: name of the layer decided last.
    trial: id of its trial.
    architecture: the network.
    cost: its cost.
    reward: its reward.
  """

  number: int
  pass_number: int
  layer: str
  trial: int
  architecture: Architecture
  cost: Number
  reward: float

  def to_dict(self) -> dict[str, Any]:
    """JSON types."""
    return {
        'number': self.number,
        'pass': self.pass_number,
        'layer': self.layer,
        'trial': self.trial,
        'architecture': architecture_id(self.architecture),
        'cost': self.cost,
        'reward': self.reward,
    }
