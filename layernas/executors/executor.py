"""What evaluates candidates, and where: the interface of all executors.

An executor is given candidates and gives their results back, in any order. What
evaluating is it does not know: an `Evaluator` does.
"""

import abc
import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol
from typing import Self

from layernas.search.space import Architecture
from layernas.search.trial import Candidate
from layernas.search.trial import Evaluation


@dataclasses.dataclass(frozen=True)
class Evaluated:
  """What an evaluator gives back.

  Attributes:
    evaluation: result of the candidate.
    seconds: wall time by phase.
    retriable: whether another attempt may end otherwise; only where the
      evaluation failed.
  """

  evaluation: Evaluation
  seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
  retriable: bool = False


@dataclasses.dataclass(frozen=True)
class Result:
  """A candidate that is done.

  Attributes:
    candidate: as it was submitted.
    evaluation: its result.
    seconds: wall time of the last attempt by phase; empty where it is unknown.
  """

  candidate: Candidate
  evaluation: Evaluation
  seconds: Mapping[str, float]


class Evaluator(Protocol):
  """Evaluates one candidate after another; a context."""

  def prepare(self, architectures: Sequence[Architecture]) -> None:
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
  """Whoever wants to know what goes on, and knows what is hopeless."""

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
    page: address of a page that shows its workers; '' where there is none.
  """

  capacity: int
  page: str = ''

  @abc.abstractmethod
  def submit(self, candidate: Candidate) -> None:
    """Takes a candidate; returns at once."""

  @abc.abstractmethod
  def prepare(self, architectures: Sequence[Architecture]) -> None:
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
