"""Decision trace: how a layerwise search came to its winner.

A trace is a function of the search's history, as its tables are: recorded from
the beginning or from a replay, it is the same. Its parts say what became of
the children of each layer: dropped, since no completion reaches the target, or
met in the bucket of their cost, where they were kept, displaced or lost.
"""

import dataclasses
import enum
import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from layernas.errors import UserError
from layernas.search.cost import ChildCosts
from layernas.search.cost import Number
from layernas.search.layer_pass import LayerPass
from layernas.search.problem import Problem
from layernas.search.space import Architecture
from layernas.search.space import architecture_id
from layernas.search.strategy import Strategy
from layernas.search.table import Entry
from layernas.search.trial import Proposal
from layernas.search.trial import Trial


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
  """A child of which no completion reaches the target and keeps the limits.

  Attributes:
    architecture: the child.
    cost: of that complete network.
    low: smallest cost over all completions.
    high: largest cost over all completions.
    exceeded: further costs of which every completion is above the limit, by
      name, with the smallest over all completions.
  """

  architecture: Architecture
  cost: Number
  low: Number
  high: Number
  exceeded: Mapping[str, Number] = dataclasses.field(default_factory=dict)

  def to_dict(self) -> dict[str, Any]:
    """JSON types."""
    return {
        'architecture': architecture_id(self.architecture),
        'cost': self.cost,
        'low': self.low,
        'high': self.high,
        **({'exceeded': dict(self.exceeded)} if self.exceeded else {}),
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


@dataclasses.dataclass
class LayerRecord:
  """What is known of one layer of one pass.

  Attributes:
    extended: prefixes whose children were considered, in that order.
    children: how many children they have.
    dropped: children that cannot reach the target.
    meetings: children that were evaluated or known, in that order.
  """

  extended: list[Architecture] = dataclasses.field(default_factory=list)
  children: int = 0
  dropped: list[Dropped] = dataclasses.field(default_factory=list)
  meetings: list[Meeting] = dataclasses.field(default_factory=list)
  _places: dict[Architecture, int] = dataclasses.field(default_factory=dict)

  def met(self, meeting: Meeting) -> None:
    """Adds a meeting; the one that it displaces learns of it."""
    if meeting.displaced is not None:
      place = self._places[meeting.displaced]
      self.meetings[place] = dataclasses.replace(
          self.meetings[place], verdict=Verdict.DISPLACED,
          rival=meeting.architecture, rival_reward=meeting.reward,
      )
    self._places[meeting.architecture] = len(self.meetings)
    self.meetings.append(meeting)


@dataclasses.dataclass
class PassRecord:
  """What is known of one pass.

  Attributes:
    layer_pass: its layer tables.
    layers: record of the children of each length from 1 on.
  """

  layer_pass: LayerPass
  layers: dict[int, LayerRecord] = dataclasses.field(default_factory=dict)

  def layer(self, length: int) -> LayerRecord:
    """Record of the children of a length."""
    return self.layers.setdefault(length, LayerRecord())


class Trace:
  """Records a search from its first candidate on.

  Attributes:
    passes: in their order.
    incumbents: the best networks in the target interval, each better than the
      one before; the last one is the winner.
  """

  def __init__(self, problem: Problem, strategy: Strategy):
    """Attaches itself to a strategy.

    Args:
      problem: that the strategy works on.
      strategy: that has not begun.

    Raises:
      UserError: the strategy has no layer tables of trained networks.
      ValueError: it has begun.
    """
    proposer = strategy.proposer
    if proposer.passes is None:
      raise UserError(
          f'decision trace: {type(proposer).__name__} has no layer tables of'
          ' trained networks; allowed are layerwise schedules, such as sweep'
          ' (method kind layernas)'
      )
    if proposer.passes:
      raise ValueError('the strategy has begun; attach the trace before')
    self.problem = problem
    self.passes: list[PassRecord] = []
    self.incumbents: list[Incumbent] = []
    self._told = 0
    self._trials = 0
    proposer.observer = self

  def priced(
      self, layer_pass: LayerPass, prefixes: Sequence[Architecture],
      length: int, costs: ChildCosts, feasible: np.ndarray,
  ) -> None:
    """Records prefixes that were extended, and the children dropped."""
    record = self._pass(layer_pass).layer(length)
    record.extended += map(tuple, prefixes)
    record.children += feasible.size
    layer = layer_pass.order[length - 1]
    for row, option in np.argwhere(~feasible).tolist():
      prefix = tuple(prefixes[row])
      child = prefix[:layer] + (option,) + prefix[layer + 1:]
      record.dropped.append(
          Dropped(
              child,
              costs.cost[row, option].item(),
              costs.low[row, option].item(),
              costs.high[row, option].item(),
              self._exceeded(child, layer_pass.order[:length]),
          )
      )

  def _exceeded(
      self, child: Architecture, decided: Sequence[int]
  ) -> dict[str, Number]:
    """Further costs whose limit a child cannot keep, with the smallest."""
    return {
        limit.cost.name: least for limit in self.problem.limits
        if (least := limit.cost.interval(child, decided)[0]) > limit.high
    }

  def placed(
      self, layer_pass: LayerPass, proposal: Proposal, trial: Trial,
      loser: Entry | None,
  ) -> None:
    """Records what became of a child, and whether it is the new incumbent."""
    record = self._pass(layer_pass).layer(proposal.length)
    table = layer_pass.tables[proposal.length]
    bucket = table.axis.bucket(proposal.cost)
    meeting = Meeting(
        self._told, proposal.architecture, proposal.cost, bucket,
        trial.candidate.id, trial.candidate.id < self._trials,
        trial.evaluation.reward,
        _verdict_without_rival(trial),
        message=trial.evaluation.message,
    )
    if loser is not None and loser.architecture == proposal.architecture:
      rival = table.buckets[bucket][-1]
      meeting = dataclasses.replace(
          meeting, verdict=Verdict.LOST, rival=rival.architecture,
          rival_reward=rival.reward,
      )
    elif loser is not None:
      meeting = dataclasses.replace(meeting, displaced=loser.architecture)
    record.met(meeting)
    self._told += 1
    self._trials = max(self._trials, trial.candidate.id + 1)
    self._compare(meeting, proposal.layer)

  def to_dict(self) -> dict[str, Any]:
    """The trace in JSON types; None stands for no limit and for nothing."""
    space, target = self.problem.space, self.problem.target
    return {
        'problem': {
            'cost': self.problem.cost.name,
            'unit': self.problem.cost.unit,
            'target': {
                'low': _finite(target.low),
                'high': _finite(target.high),
            },
            # Older traces, and most, have neither.
            **({'limits': {
                limit.cost.name: limit.high for limit in self.problem.limits
            }} if self.problem.limits else {}),
            **({
                'smaller_highs': list(self.problem.smaller_highs)
            } if self.problem.smaller_highs else {}),
            'layers': [
                {
                    'name': layer.name,
                    'options': list(map(option_text, layer.options)),
                }
                for layer in space.layers
            ],
        },
        'passes': [
            self._pass_dict(record, goal)
            for record, goal in zip(self.passes, self._goals(), strict=True)
        ],
        'incumbents': [incumbent.to_dict() for incumbent in self.incumbents],
    }

  def _pass(self, layer_pass: LayerPass) -> PassRecord:
    if not self.passes or self.passes[-1].layer_pass is not layer_pass:
      self.passes.append(PassRecord(layer_pass))
    return self.passes[-1]

  def _compare(self, meeting: Meeting, layer: int) -> None:
    """Notes a new incumbent, by the rule of `Search`."""
    if meeting.reward is None or not self.problem.admits(
        meeting.architecture, meeting.cost
    ):
      return
    if self.incumbents and meeting.reward <= self.incumbents[-1].reward:
      return
    self.incumbents.append(
        Incumbent(
            meeting.number, len(self.passes) - 1,
            self.problem.space.layers[layer - 1].name, meeting.trial,
            meeting.architecture, meeting.cost, meeting.reward,
        )
    )

  def _goals(self) -> list[Architecture | None]:
    """For each pass the network that it led to: the next start or the winner.

    A pass starts from the incumbent that the one before it left.
    """
    winner = self.incumbents[-1].architecture if self.incumbents else None
    return [*(one.layer_pass.start for one in self.passes[1:]), winner][
        :len(self.passes)
    ]

  def _pass_dict(
      self, record: PassRecord, goal: Architecture | None
  ) -> dict[str, Any]:
    layer_pass, layers = record.layer_pass, self.problem.space.layers
    return {
        'start': architecture_id(layer_pass.start),
        'start_cost': self.problem.cost.cost(layer_pass.start),
        'keep': layer_pass.settings.keep,
        'order': [layers[layer].name for layer in layer_pass.order],
        'layers': [
            {'layer': layers[layer_pass.order[length - 1]].name}
            | _layer_dict(layer_pass, length, record.layer(length), goal)
            for length in sorted(record.layers)
        ],
    }


def _verdict_without_rival(trial: Trial) -> Verdict:
  if trial.ok:
    return Verdict.KEPT
  return Verdict.FAILED if trial.failed else Verdict.STOPPED


def _layer_dict(
    layer_pass: LayerPass, length: int, record: LayerRecord,
    goal: Architecture | None,
) -> dict[str, Any]:
  buckets: dict[int, list[dict[str, Any]]] = {}
  for meeting in record.meetings:
    buckets.setdefault(meeting.bucket, []).append(meeting.to_dict())
  tables = layer_pass.tables
  return {
      'length': length,
      'extended': [architecture_id(prefix) for prefix in record.extended],
      'children': record.children,
      'infeasible': [dropped.to_dict() for dropped in record.dropped],
      # A sweep that finds no feasible child opens no table.
      'edges': list(tables[length].axis.edges) if length < len(tables) else [],
      'buckets': {str(bucket): buckets[bucket] for bucket in sorted(buckets)},
      'path': goal and architecture_id(prefix_of(goal, layer_pass, length)),
  }


def prefix_of(
    architecture: Architecture, layer_pass: LayerPass, length: int
) -> Architecture:
  """The prefix of a network in a pass.

  Args:
    architecture: the network.
    layer_pass: with order and start.
    length: number of decided layers.

  Returns:
    Its options in the decided layers, those of the start in the others.
  """
  prefix = list(layer_pass.start)
  for layer in layer_pass.order[:length]:
    prefix[layer] = architecture[layer]
  return tuple(prefix)


def option_text(option: Any) -> str:
  """An option's label as text: 'filters 16, kernel 3' or the label itself."""
  if isinstance(option, Mapping):
    return ', '.join(f'{name} {value}' for name, value in option.items())
  return str(option)


def _finite(limit: Number) -> Number | None:
  return limit if math.isfinite(limit) else None
