"""Evaluates candidates in workers that may be slow, hang, die, come and go."""

import collections
import dataclasses
import time
from collections.abc import Callable
from collections.abc import Sequence

from layernas import activity
from layernas.errors import Preempted
from layernas.errors import UserError
from layernas.executors import connection as messages
from layernas.executors.connection import Backend
from layernas.executors.connection import Connection
from layernas.executors.connection import Message
from layernas.executors.executor import Attempts
from layernas.executors.executor import Evaluated
from layernas.executors.executor import Executor
from layernas.executors.executor import ExecutorSettings
from layernas.executors.executor import Listener
from layernas.executors.executor import Result
from layernas.executors.executor import lost
from layernas.search.space import Network
from layernas.search.space import architecture_id
from layernas.search.trial import Candidate

_LOOK_SECONDS = 0.2
"""Between two looks at timeouts, at SIGTERM and for new workers."""

_GRACE_SECONDS = 25.0
"""For workers to save when the search ends early: preempted machines of Google
Cloud are switched off 30 s after SIGTERM."""

_STARTS = 3
"""Starts of workers that end before they are ready, in a row and for every
worker wanted, after which the search ends. Machines that are preempted at the
same time break a start each."""


@dataclasses.dataclass
class _Worker:
  """A worker and what it is at.

  Attributes:
    connection: to it.
    starting: whether it has begun and is not ready yet; one that waits for
      room on a cluster has not begun.
    ready: whether it has said so.
    candidate: that it evaluates.
    prepared: architectures that it was told of.
    since: when it began to start, or with the candidate.
    leaving: whether it has said that it ends.
  """

  connection: Connection
  starting: bool = False
  ready: bool = False
  candidate: Candidate | None = None
  prepared: set[Network] = dataclasses.field(default_factory=set)
  since: float = 0.0
  leaving: bool = False


class WorkerPool(Executor):
  """Gives every worker one candidate at a time, those it prepared first.

  A candidate whose worker is lost, hangs or fails goes to the next free worker
  until its attempts are spent; one whose worker was preempted goes on from its
  checkpoint and spends none.
  """

  def __init__(
      self, backend: Backend, settings: ExecutorSettings, listener: Listener,
      check: Callable[[], None],
  ):
    """Starts no worker yet.

    Args:
      backend: where workers run; is left open.
      settings: retries and timeout.
      listener: hears what goes on.
      check: called several times a second; raises Preempted where the search
        is to end.
    """
    self._backend = backend
    self._settings = settings
    self._listener = listener
    self._check = check
    self._attempts = Attempts(settings.retries)
    self._workers: dict[int, _Worker] = {}
    self._backlog: collections.deque[Candidate] = collections.deque()
    self._hints: list[Network] = []
    self._early: dict[int, float] = {}
    self._done: collections.deque[Result] = collections.deque()
    self._broken_starts = 0

  @property
  def capacity(self) -> int:
    """Two for every worker: none waits for the next."""
    return 2 * max(1, self._backend.wanted())

  def submit(self, candidate: Candidate) -> None:
    """Puts it behind those submitted before."""
    self._backlog.append(candidate)

  def prepare(self, architectures: Sequence[Network]) -> None:
    """Workers get ready for these behind what was submitted."""
    self._hints = list(architectures)

  def next_result(self) -> Result:
    """Waits for a result; restarts workers, ends those that hang."""
    while True:
      self._assign()
      if self._done:
        return self._done.popleft()
      connections = [one.connection for one in self._workers.values()]
      self._backend.wait(connections, _LOOK_SECONDS)
      for index, worker in list(self._workers.items()):
        for message in worker.connection.receive():
          self._take(worker, message)
        if worker.connection.ended:
          self._lose(index, worker.connection.ended)
        elif self._hangs(worker):
          worker.connection.kill()
          what = 'no result' if worker.ready else 'not ready'
          self._lose(index, f'{what} after {self._settings.timeout:,g} s'
                            ' (executor.timeout)')
      self._stop_hopeless()
      self._check()

  def _assign(self) -> None:
    """Starts missing workers and gives the free ones something to do."""
    wanted = self._backend.wanted()
    if wanted and not self._workers:
      activity.say(f'starting {wanted} worker{"s" if wanted > 1 else ""}')
    for index in range(wanted):
      if index not in self._workers:
        self._workers[index] = _Worker(self._backend.start(index))
    for worker in self._workers.values():
      free = worker.ready and not worker.leaving and worker.candidate is None
      if free and self._backlog:
        self._give(worker, self._next_for(worker))
    self._let_prepare()

  def _next_for(self, worker: _Worker) -> Candidate:
    """What it prepared, else what no other prepares, else the oldest."""
    others = set().union(*(
        one.prepared for one in self._workers.values() if one is not worker
    ))
    return min(self._backlog, key=lambda candidate: (
        candidate.architecture not in worker.prepared,
        candidate.architecture in others,
    ))

  def _give(self, worker: _Worker, candidate: Candidate) -> None:
    self._backlog.remove(candidate)
    worker.candidate, worker.since = candidate, time.monotonic()
    worker.prepared.discard(candidate.architecture)
    worker.connection.send(
        'train', candidate=messages.candidate_to_json(candidate)
    )
    self._listener.began(candidate, worker.connection.name)

  def _let_prepare(self) -> None:
    """Each worker gets ready for one candidate that no other one does."""
    taken = set().union(*(one.prepared for one in self._workers.values()))
    coming = [candidate.architecture for candidate in self._backlog]
    free = [
        one for one in dict.fromkeys([*coming, *self._hints])
        if one not in taken
    ]
    for worker in self._workers.values():
      # What is no longer to come is forgotten.
      worker.prepared &= {*coming, *self._hints}
      if worker.ready and not worker.prepared and free:
        one = free.pop(0)
        worker.prepared = {one}
        worker.connection.send(
            'prepare', architectures=[architecture_id(one)]
        )

  def _take(self, worker: _Worker, message: Message) -> None:
    """Acts on a message."""
    kind, candidate = message['kind'], worker.candidate
    if kind == 'started':
      worker.starting, worker.since = True, time.monotonic()
    elif kind == 'ready':
      worker.starting, worker.ready = False, True
      self._broken_starts = 0
    elif kind == 'step':
      self._listener.stepped(candidate, message['step'], message['metrics'])
    elif kind == 'early':
      self._early[message['id']] = message['reward']
    elif kind == 'done':
      self._finish(worker, messages.evaluated_from_json(message))
    elif kind == 'preempted':
      self._give_back(worker)
    elif kind == 'error':
      raise UserError(message['message'])

  def _finish(self, worker: _Worker, evaluated: Evaluated) -> None:
    """An attempt is over."""
    candidate, worker.candidate = worker.candidate, None
    self._early.pop(candidate.id, None)
    if self._attempts.again(candidate, evaluated):
      self._listener.trouble(candidate, evaluated.evaluation.message)
      self._backlog.appendleft(candidate)
      return
    self._done.append(self._attempts.last(candidate, evaluated))

  def _give_back(self, worker: _Worker) -> None:
    """A worker ends and has saved what it was at."""
    candidate, worker.candidate = worker.candidate, None
    worker.leaving = True
    self._listener.trouble(
        candidate, f'worker {worker.connection.name} was preempted'
    )
    if candidate:
      self._early.pop(candidate.id, None)
      self._backlog.appendleft(candidate)

  def _lose(self, index: int, reason: str) -> None:
    """A worker is gone."""
    worker = self._workers.pop(index)
    worker.connection.close(0.0)
    message = f'worker {worker.connection.name}: {reason}'
    if worker.candidate:
      self._finish(worker, lost(message, time.monotonic() - worker.since))
    elif not (worker.ready or worker.leaving):
      self._broken_starts += 1
      self._listener.trouble(None, message)
      if self._broken_starts >= _STARTS * max(1, self._backend.wanted()):
        raise UserError(
            f'executor.name: {self._settings.name!r}: {self._broken_starts}'
            ' workers in a row ended before they were ready, the last one:'
            f' {message}; allowed is a machine on which they start'
        )

  def _hangs(self, worker: _Worker) -> bool:
    limit = self._settings.timeout
    busy = worker.starting or worker.candidate is not None
    return busy and 0 < limit < time.monotonic() - worker.since

  def _stop_hopeless(self) -> None:
    """Stops those of which it is known by now."""
    for worker in self._workers.values():
      candidate = worker.candidate
      if candidate is None or candidate.id not in self._early:
        continue
      if self._listener.hopeless(candidate, self._early[candidate.id]):
        del self._early[candidate.id]
        worker.connection.send('stop', id=candidate.id)

  def __exit__(self, *error: object) -> None:
    """Ends all workers; those at something save it where the search goes on.

    It does after Ctrl-C and SIGTERM. At the end of a search what is under way
    was withdrawn.
    """
    goes_on = isinstance(error[1], Preempted | KeyboardInterrupt)
    for worker in self._workers.values():
      if goes_on and worker.candidate:
        worker.connection.terminate()
      else:
        worker.connection.kill()
    until = time.monotonic() + _GRACE_SECONDS
    for worker in self._workers.values():
      worker.connection.close(max(0.0, until - time.monotonic()))
    self._workers.clear()
