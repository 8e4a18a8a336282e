"""Workers as the pool sees them, and the places where they run."""

import abc
from collections.abc import Sequence
from typing import Any
from typing import Self

from layernas.executors.messages import Message


class Connection(abc.ABC):
  """A worker as the pool sees it."""

  name: str

  @abc.abstractmethod
  def send(self, kind: str, **values: Any) -> None:
    """Sends a message; one to a worker that is gone is lost."""

  @abc.abstractmethod
  def receive(self) -> Sequence[Message]:
    """Messages that have come; does not wait."""

  @property
  @abc.abstractmethod
  def ended(self) -> str:
    """Why it has ended; '' while it lives. Known once `receive` found it."""

  @abc.abstractmethod
  def terminate(self) -> None:
    """Asks it to save and end."""

  @abc.abstractmethod
  def kill(self) -> None:
    """Ends it now."""

  @abc.abstractmethod
  def close(self, seconds: float) -> None:
    """Waits so long for its end, then kills it; frees what it took."""


class Place(abc.ABC):
  """Where workers run; a context."""

  @property
  def page(self) -> str:
    """Address of a page that shows the place; '' where there is none."""
    return ''

  @abc.abstractmethod
  def wanted(self) -> int:
    """How many workers there is room for now.

    Raises:
      UserError: there is no room for what the settings want.
    """

  @abc.abstractmethod
  def start(self, index: int) -> Connection:
    """Starts the worker of a place.

    Args:
      index: of the place, 0 <= index < wanted().
    """

  @abc.abstractmethod
  def wait(self, connections: Sequence[Connection], seconds: float) -> None:
    """Waits until one has sent something or ended, at most so long."""

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *error: object) -> None:  # noqa: B027
    """Gives back what it took."""
