"""Measures which trains more: one candidate at a time or several at once."""

import dataclasses
from collections.abc import Callable

from layernas.errors import UserError
from layernas.executors.connection import Backend
from layernas.executors.connection import Connection
from layernas.executors.executor import ExecutorSettings

_ROUNDS = 2
"""Of a measurement: the first one compiles."""


@dataclasses.dataclass(frozen=True)
class Choice:
  """The executor to take, and why.

  Attributes:
    name: inline or processes.
    workers: that would work side by side.
    inline: steps a second of one candidate on all devices.
    processes: steps a second of all workers together.
  """

  name: str
  workers: int
  inline: float
  processes: float

  def __str__(self) -> str:
    """The reason in words."""
    return (
        f'executor: {self.name} ({self.workers} candidates side by side come to'
        f' {self.processes:.3g} steps a second, one on all devices to'
        f' {self.inline:.3g})'
    )


def choose(
    settings: ExecutorSettings,
    make_backend: Callable[[ExecutorSettings], Backend],
) -> Choice:
  """Measures both.

  Args:
    settings: of the name auto.
    make_backend: where on this machine workers of other settings run.

  Returns:
    The faster one; inline where both are equally fast.

  Raises:
    UserError: a worker cannot start or measure.
  """
  side_by_side = make_backend(settings.called('processes'))
  workers = side_by_side.wanted()
  processes = rate(side_by_side)
  inline = rate(make_backend(settings.called('inline')))
  name = 'processes' if processes > inline else 'inline'
  return Choice(name, workers, inline, processes)


def rate(backend: Backend) -> float:
  """Steps a second of all workers, while all are at work.

  Args:
    backend: is left open.

  Returns:
    Their sum.

  Raises:
    UserError: a worker cannot start or measure.
  """
  workers = [backend.start(index) for index in range(backend.wanted())]
  try:
    _answers(backend, workers, 'ready')
    for _ in range(_ROUNDS):
      for worker in workers:
        worker.send('measure')
      rates = _answers(backend, workers, 'measured')
    return sum(answer['rate'] for answer in rates)
  finally:
    for worker in workers:
      worker.kill()
      worker.close(0.0)


def _answers(
    backend: Backend, workers: list[Connection], kind: str
) -> list[dict[str, float]]:
  """Waits until each has sent a message of a kind."""
  waiting, found = list(workers), []
  while waiting:
    backend.wait(waiting, 1.0)
    for worker in list(waiting):
      for message in worker.receive():
        if message['kind'] == 'error':
          raise UserError(message['message'])
        if message['kind'] == kind:
          found.append(message)
          waiting.remove(worker)
      if worker.ended:
        raise UserError(
            f"executor.name: 'auto': worker {worker.name} {worker.ended};"
            ' allowed is inline or processes where that cannot be measured'
        )
  return found
