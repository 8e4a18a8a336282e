"""Has a worker process on another machine; what lives there speaks for it."""

import os
import pathlib
import selectors
import tempfile
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from layernas.executors.local_process import LocalProcess
from layernas.executors.messages import Message


class WorkerHost:
  """A worker process beside this one.

  A process of its own, and not this one's thread: it can be killed, it gets
  SIGTERM in its main thread, and XLA reads its settings when it begins.
  """

  def __init__(
      self, name: str, environment: Mapping[str, str], evaluator: str,
      settings: Mapping[str, Any],
  ):
    """Starts the process.

    Args:
      name: of the worker.
      environment: variables beside those of this process.
      evaluator: module:function that makes what evaluates.
      settings: JSON types, for that function.
    """
    directory = pathlib.Path(tempfile.mkdtemp(prefix='layernas-worker-'))
    self._process = LocalProcess(
        name, environment, directory / f'{name}.log', evaluator, settings
    )

  def send(self, kind: str, values: Mapping[str, Any]) -> None:
    """Passes on a message."""
    self._process.send(kind, **values)

  def receive(self, seconds: float) -> tuple[Sequence[Message], str]:
    """Waits for messages, at most so long.

    Args:
      seconds: at most.

    Returns:
      The messages, and why the process has ended, '' while it lives.
    """
    with selectors.DefaultSelector() as selector:
      selector.register(self._process, selectors.EVENT_READ)
      selector.select(seconds)
    return self._process.receive(), self._process.ended

  def terminate(self) -> None:
    """Sends SIGTERM."""
    self._process.terminate()

  def pid(self) -> int:
    """Of this process."""
    return os.getpid()
