"""The program of a worker process: evaluates what it is told to.

  python -m layernas.executors.worker

Messages come on standard input and go out on standard output; all else that is
printed goes to standard error. A worker ends with the process that started it.
"""

import contextlib
import ctypes
import functools
import importlib
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import Any
from typing import BinaryIO
from typing import NoReturn

from layernas.errors import Preempted
from layernas.errors import UserError
from layernas.executors import connection
from layernas.executors.connection import Message
from layernas.executors.executor import Evaluator
from layernas.executors.executor import MakeEvaluator
from layernas.search.space import parse_network_id
from layernas.search.trial import Candidate
from layernas.termination import end_on_sigterm

_PR_SET_PDEATHSIG = 1
"""Of <sys/prctl.h>: the signal that a process gets when its parent dies."""


def main() -> NoReturn:
  """Runs until standard input ends."""
  _end_with_parent()
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent decides.
  end_on_sigterm()
  output = os.fdopen(os.dup(1), 'wb', buffering=0)
  os.dup2(2, 1)
  link = Link(output)
  code = 1
  try:
    _serve(link, sys.stdin.buffer)
  except Preempted as reason:
    link.send('preempted', message=str(reason))
    code = 0
  except UserError as error:
    link.send('error', message=str(error))
    code = 2
  except Exception:
    traceback.print_exc()
  # Not a moment for a compilation that goes on beside, nor for Python to wait
  # for the thread that reads.
  sys.stderr.flush()
  os._exit(code)


class Link:
  """What a worker has heard, and its way to answer.

  Attributes:
    commands: 'train' and 'measure' messages, in their order.
    hopeless: ids of candidates that are to be stopped.
  """

  def __init__(self, output: BinaryIO):
    """Opens it.

    Args:
      output: unbuffered; takes lines.
    """
    self._output = output
    self._lock = threading.Lock()
    self._early: set[int] = set()
    self.commands: queue.SimpleQueue[Message] = queue.SimpleQueue()
    self.hopeless: set[int] = set()

  def send(self, kind: str, **values: Any) -> None:
    """Sends a message."""
    with self._lock:
      self._output.write(connection.encode(kind, **values))

  def listen(self, commands: BinaryIO, evaluator: Evaluator) -> NoReturn:
    """Takes messages as they come, until the other side is gone."""
    for line in commands:
      message = connection.decode(line)
      if message['kind'] in ('train', 'measure'):
        self.commands.put(message)
      elif message['kind'] == 'prepare':
        evaluator.prepare(list(map(
            parse_network_id, message['architectures']
        )))
      elif message['kind'] == 'stop':
        self.hopeless.add(message['id'])
    # Another process may go on with the candidate: nothing more is written.
    os._exit(0)

  def begin(self, candidate: Candidate) -> None:
    """An attempt begins, perhaps not the first one in this process."""
    self._early.discard(candidate.id)

  def early(self, candidate: Candidate, reward: float) -> bool:
    """Whether to stop; tells of an attempt's reward when it is first asked."""
    if candidate.id not in self._early:
      self._early.add(candidate.id)
      self.send('early', id=candidate.id, reward=reward)
    return candidate.id in self.hopeless

  def stepped(
      self, candidate: Candidate, step: int, metrics: Mapping[str, float]
  ) -> None:
    """Tells of a step."""
    self.send('step', id=candidate.id, step=step, metrics=dict(metrics))


def _serve(link: Link, commands: BinaryIO) -> NoReturn:
  settings = connection.decode(commands.readline())
  link.send('started')
  make = named(settings['evaluator'])
  # Never left: the process ends.
  evaluator = contextlib.ExitStack().enter_context(
      make(settings['settings'], link.stepped)
  )
  threading.Thread(
      target=link.listen, args=(commands, evaluator), daemon=True
  ).start()
  link.send('ready', pid=os.getpid())
  while True:
    _answer(link, evaluator, link.commands.get())


def _answer(link: Link, evaluator: Evaluator, message: Message) -> None:
  if message['kind'] == 'measure':
    link.send('measured', rate=evaluator.measure())
    return
  candidate = connection.candidate_from_json(message['candidate'])
  link.begin(candidate)
  evaluated = evaluator(candidate, functools.partial(link.early, candidate))
  link.send('done', **connection.evaluated_to_json(candidate, evaluated))


def named(name: str) -> MakeEvaluator:
  """A function by module:function, one of ours or of a test."""
  module, _, function = name.partition(':')
  return getattr(importlib.import_module(module), function)


def _end_with_parent() -> None:
  """Has the kernel end this process when its parent is killed; Linux only."""
  parent = os.getppid()
  if sys.platform == 'linux':
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
      os._exit(0)


if __name__ == '__main__':
  main()
