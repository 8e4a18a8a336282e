"""Worker processes on this machine."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from layernas.executors import messages
from layernas.executors.connection import Connection
from layernas.executors.messages import Message

PROGRAM = ('-m', 'layernas.executors.worker')

_LAST = 2000
"""Bytes of a log that are looked through for a reason."""


class LocalProcess(Connection):
  """A worker process and the pipes to it."""

  def __init__(
      self, name: str, environment: Mapping[str, str], log: pathlib.Path,
      evaluator: str, settings: Mapping[str, Any],
  ):
    """Starts it.

    Args:
      name: for people.
      environment: variables beside those of this process.
      log: file that what it prints is added to.
      evaluator: module:function that makes what evaluates.
      settings: JSON types, for that function.
    """
    self.name = name
    self._log = log
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, 'ab') as output:
      self._process = subprocess.Popen(
          [sys.executable, *PROGRAM], stdin=subprocess.PIPE,
          stdout=subprocess.PIPE, stderr=output, bufsize=0,
          # Not this terminal's Ctrl-C: the search ends its workers itself.
          start_new_session=True,
          env=os.environ | environment | {
              # A worker imports what this process can import.
              'PYTHONPATH': os.pathsep.join(filter(None, sys.path)),
          },
      )
    os.set_blocking(self._process.stdout.fileno(), False)
    self._part = b''
    self._ended = ''
    self.send('settings', evaluator=evaluator, settings=settings)

  @property
  def pid(self) -> int:
    """Of the process."""
    return self._process.pid

  def fileno(self) -> int:
    """That selectors watch."""
    return self._process.stdout.fileno()

  def send(self, kind: str, **values: Any) -> None:
    """Sends a message; one to a process that is gone is lost."""
    with contextlib.suppress(BrokenPipeError):
      self._process.stdin.write(messages.encode(kind, **values))

  def receive(self) -> Sequence[Message]:
    """Messages that have come."""
    while True:
      try:
        read = os.read(self.fileno(), 1 << 16)
      except BlockingIOError:
        break
      self._part += read
      if not read:
        self._ended = _reason(self._process.wait(), self._log)
        break
    *lines, self._part = self._part.split(b'\n')
    return list(map(messages.decode, lines))

  @property
  def ended(self) -> str:
    """Why it has ended; '' while it lives."""
    return self._ended

  def terminate(self) -> None:
    """Sends SIGTERM."""
    self._process.terminate()

  def kill(self) -> None:
    """Sends SIGKILL and waits."""
    self._process.kill()
    self._process.wait()

  def close(self, seconds: float) -> None:
    """Waits for its end, kills it after that, and closes the pipes."""
    try:
      self._process.wait(seconds)
    except subprocess.TimeoutExpired:
      self.kill()
    self._process.stdin.close()
    self._process.stdout.close()


def _reason(code: int, log: pathlib.Path) -> str:
  """Why a process ended, in words."""
  if code < 0:
    cause = f'killed by {signal.Signals(-code).name}'
    if -code == signal.SIGKILL:
      cause += ' (perhaps for want of memory)'
    return cause
  with open(log, 'rb') as file:
    file.seek(max(0, log.stat().st_size - _LAST))
    lines = file.read().decode(errors='replace').splitlines()
  last = next((line.strip() for line in reversed(lines) if line.strip()), '')
  return f'ended with exit code {code}' + (f': {last}' if code and last else '')
