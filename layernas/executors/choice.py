"""Measures which trains more: one candidate at a time or several at once."""

import dataclasses
from collections.abc import Callable

from layernas.errors import UserError
from layernas.executors.connection import Connection
from layernas.executors.connection import Place
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
    settings: ExecutorSettings, make_place: Callable[[ExecutorSettings], Place]
) -> Choice:
  """Measures both.

  Args:
    settings: of the name auto.
    make_place: room on this machine for the workers of other settings.

  Returns:
    The faster one; inline where both are equally fast.

  Raises:
    UserError: a worker cannot start or measure.
  """
  side_by_side = make_place(settings.called('processes'))
  workers = side_by_side.wanted()
  processes = rate(side_by_side)
  inline = rate(make_place(settings.called('inline')))
  name = 'processes' if processes > inline else 'inline'
  return Choice(name, workers, inline, processes)


def rate(place: Place) -> float:
  """Steps a second of all workers of a place, while all are at work.

  Args:
    place: is left open.

  Returns:
    Their sum.

  Raises:
    UserError: a worker cannot start or measure.
  """
  workers = [place.start(index) for index in range(place.wanted())]
  try:
    _answers(place, workers, 'ready')
    for _ in range(_ROUNDS):
      for worker in workers:
        worker.send('measure')
      rates = _answers(place, workers, 'measured')
    return sum(answer['rate'] for answer in rates)
  finally:
    for worker in workers:
      worker.kill()
      worker.close(0.0)


def _answers(
    place: Place, workers: list[Connection], kind: str
) -> list[dict[str, float]]:
  """Waits until each has sent a message of a kind."""
  waiting, found = list(workers), []
  while waiting:
    place.wait(waiting, 1.0)
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
