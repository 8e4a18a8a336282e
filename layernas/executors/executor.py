"""The interface of all executors, and what they have in common.

An executor is given candidates and gives their results back, in any order. What
evaluating is it does not know: an `Evaluator` does. All executors share the
settings of the config's section `executor` and the counting of `Attempts`.
"""

import abc
import collections
import dataclasses
import math
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol
from typing import Self

from layernas.errors import UserError
from layernas.search.space import Network
from layernas.search.trial import Candidate
from layernas.search.trial import Evaluation
from layernas.search.trial import Status

SETTINGS_FILE = 'executor.json'
"""Of a workdir: the name that was asked for and the settings that were taken,
so that auto does not measure twice."""

NAMES = ('inline', 'processes', 'ray', 'auto')


@dataclasses.dataclass(frozen=True)
class ExecutorSettings:
  """How and where candidates are evaluated.

  Attributes:
    name: one of `NAMES`.
    workers: processes that evaluate; 0 = as many as there is room for.
    devices: accelerators of a worker; on CPU, virtual devices.
    per_device: workers that share a GPU and its memory.
    threads: of a candidate on CPU; 0 = all inline, one in a worker. Sums are
      rounded otherwise with another number.
    retries: attempts at a candidate beyond the first where one may help.
    timeout: seconds of an attempt, and of a worker's start, at most; 0 = no
      limit. Not for inline.
    address: of a Ray cluster; '' = one of this machine alone.
    memory: GiB of a Ray worker that are set apart for it; 0 = none.
  """

  name: str = 'inline'
  workers: int = 0
  devices: int = 1
  per_device: int = 1
  threads: int = 0
  retries: int = 2
  timeout: float = 0.0
  address: str = ''
  memory: float = 0.0

  def __post_init__(self) -> None:
    if self.name not in NAMES:
      raise UserError(
          f'executor.name: {self.name!r}: allowed are {list(NAMES)}'
      )
    for field in ('workers', 'devices', 'per_device', 'threads', 'retries'):
      value = getattr(self, field)
      least = int(field in ('devices', 'per_device'))
      if value < least or value != int(value):
        raise UserError(
            f'executor.{field}: {value!r}: allowed are integers >= {least}'
        )
    for field in ('timeout', 'memory'):
      value = getattr(self, field)
      if not 0 <= value < math.inf:
        raise UserError(
            f'executor.{field}: {value!r}: allowed are numbers of zero or more'
        )
    check_address('executor.address', self.address)
    if self.timeout and self.name == 'inline':
      raise UserError(
          f'executor.timeout: {self.timeout!r}: with executor.name inline'
          ' allowed is 0: a process cannot end what it is waiting for'
      )
    if self.per_device > 1 and self.name == 'inline':
      raise UserError(
          f'executor.per_device: {self.per_device!r}: with executor.name inline'
          ' allowed is 1: there are no workers to share a device'
      )
    if self.per_device > 1 and self.devices > 1:
      raise UserError(
          f'executor.per_device: {self.per_device!r}: with executor.devices'
          f' {self.devices} allowed is 1: a worker has several devices, or'
          ' several workers have one'
      )

  def called(self, name: str) -> 'ExecutorSettings':
    """The same of another name, without what only workers can have."""
    if name != 'inline':
      return dataclasses.replace(self, name=name)
    return dataclasses.replace(self, name=name, timeout=0.0, per_device=1)


def check_address(field: str, address: str) -> None:
  """Refuses what can be no address of the head of a Ray cluster.

  Args:
    field: where it is given.
    address: '', 'auto', 'local' or HOST:PORT.

  Raises:
    UserError: it is another text.
  """
  if address in ('', 'auto', 'local'):
    return
  host, _, port = address.rpartition(':')
  if '://' in address:
    host = address.partition('://')[2].partition('/')[0].rpartition(':')[0]
    raise UserError(
        f'{field}: {address!r}: addresses of Ray clients do not work; allowed'
        f' is the address of the cluster itself, {host or "HEAD"}:6379 unless'
        " the head was started with another --port, or 'auto' on one of its"
        ' machines'
    )
  if not host or not port.isdecimal() or not 0 < int(port) < 65536:
    raise UserError(
        f'{field}: {address!r}: allowed is the address of a Ray cluster, such'
        " as HEAD:6379, 'auto', or '' for this machine alone"
    )


def executor_settings(section: Any) -> ExecutorSettings:
  """The section of a config.

  Args:
    section: with the fields of `ExecutorSettings`.

  Returns:
    The settings.

  Raises:
    UserError: names the field, its value and what is allowed.
  """
  return ExecutorSettings(**section.to_dict())


@dataclasses.dataclass(frozen=True)
class Evaluated:
  """What an evaluator gives back.

  Attributes:
    evaluation: result of the candidate.
    seconds: wall time by phase.
    retriable: whether another attempt may end otherwise; only where the
      evaluation failed.
    traceback: of the exception that the evaluation failed with; '' where there
      is none.
  """

  evaluation: Evaluation
  seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
  retriable: bool = False
  traceback: str = ''


@dataclasses.dataclass(frozen=True)
class Result:
  """A candidate that is done.

  Attributes:
    candidate: as it was submitted.
    evaluation: its result.
    seconds: wall time of the last attempt by phase; empty where it is unknown.
    traceback: of the last attempt, where an exception ended it.
  """

  candidate: Candidate
  evaluation: Evaluation
  seconds: Mapping[str, float]
  traceback: str = ''


class Evaluator(Protocol):
  """Evaluates one candidate after another; a context."""

  def prepare(self, architectures: Sequence[Network]) -> None:
    """Gets ready for what may be evaluated next, beside other work."""

  def __call__(
      self, candidate: Candidate, hopeless: Callable[[float], bool]
  ) -> Evaluated:
    """Evaluates a candidate.

    Args:
      candidate: to evaluate; the same one again goes on where it was
        interrupted.
      hopeless: takes an early reward and says whether to stop; may be asked
        again with the same one.

    Returns:
      Its result; what goes wrong with the candidate is a result too.

    Raises:
      UserError: what all candidates share is at fault.
      Preempted: the process was told to end; what was done is saved.
    """

  def measure(self) -> float:
    """Steps a second of a typical candidate; the first call is slower."""

  def __enter__(self) -> Self:
    """Begins."""

  def __exit__(self, *error: object) -> None:
    """Ends what goes on beside."""


Report = Callable[[Candidate, int, Mapping[str, float]], None]
"""Takes a candidate, a step and the metrics of that step."""

MakeEvaluator = Callable[[Mapping[str, Any], Report], Evaluator]
"""Makes an evaluator from JSON settings; named module:function where a worker
has to find it."""


class Listener(Protocol):
  """Is told what goes on, and knows which candidates are hopeless."""

  def began(self, candidate: Candidate, worker: str) -> None:
    """An attempt at a candidate begins on a worker."""

  def stepped(
      self, candidate: Candidate, step: int, metrics: Mapping[str, float]
  ) -> None:
    """A candidate has come to a step."""

  def trouble(self, candidate: Candidate | None, message: str) -> None:
    """An attempt failed, or a worker was lost; it is tried again."""

  def hopeless(self, candidate: Candidate, early_reward: float) -> bool:
    """Whether a candidate is to be stopped, by all that is known now."""


class Executor(abc.ABC):
  """Evaluates candidates; a context.

  Attributes:
    capacity: candidates that it takes at a time; no more are of use to it.
  """

  capacity: int

  @abc.abstractmethod
  def submit(self, candidate: Candidate) -> None:
    """Takes a candidate; returns at once."""

  @abc.abstractmethod
  def prepare(self, architectures: Sequence[Network]) -> None:
    """Hears of what may be submitted next, the likeliest first."""

  @abc.abstractmethod
  def next_result(self) -> Result:
    """Waits until one of the candidates that were submitted is done.

    Raises:
      UserError: what all candidates share is at fault, or no worker can be
        started.
      Preempted: the search is to end; what was done is saved.
    """

  def __enter__(self) -> Self:
    return self

  @abc.abstractmethod
  def __exit__(self, *error: object) -> None:
    """Ends all work; what can be saved is."""


class Attempts:
  """Attempts at the candidates under way."""

  def __init__(self, retries: int):
    """Begins with none.

    Args:
      retries: attempts at one candidate beyond the first.
    """
    self._retries = retries
    self._failed: collections.Counter[int] = collections.Counter()

  def again(self, candidate: Candidate, evaluated: Evaluated) -> bool:
    """Counts an attempt; whether there is to be another one."""
    failed = evaluated.evaluation.status is Status.FAILED
    self._failed[candidate.id] += failed
    return (
        failed and evaluated.retriable
        and self._failed[candidate.id] <= self._retries
    )

  def last(self, candidate: Candidate, evaluated: Evaluated) -> Result:
    """The result that counts, once no attempt follows."""
    failed = self._failed.pop(candidate.id, 0)
    evaluation = evaluated.evaluation
    if evaluation.status is Status.FAILED and failed > 1:
      message = f'{evaluation.message} ({failed} attempts)'
      evaluation = dataclasses.replace(evaluation, message=message)
    return Result(
        candidate, evaluation, evaluated.seconds, evaluated.traceback
    )


def lost(message: str, seconds: float = 0.0) -> Evaluated:
  """What an attempt comes to whose worker gave no result.

  Args:
    message: why there is none.
    seconds: that the attempt took.
  """
  return Evaluated(
      Evaluation(None, seconds, Status.FAILED, message), retriable=True
  )
