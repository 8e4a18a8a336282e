"""Workers on a virtual clock: when a search would end, and who waits for what.

Nothing is trained. A real `Search` is asked and told; each candidate keeps a
worker for a time that is given beforehand. Results are told in the order in
which they would arrive.
"""

import collections
import dataclasses
import heapq
from collections.abc import Callable
from collections.abc import Iterable

from layernas.search import Architecture
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Search

_ALL = 10**9
"""More candidates than any generation has."""


@dataclasses.dataclass(frozen=True)
class Task:
  """What a candidate takes and gives.

  Attributes:
    time: that its training keeps a worker, in any unit.
    reward: of it.
  """

  time: float
  reward: float


@dataclasses.dataclass
class Generation:
  """Candidates that can be trained at the same time, and who idled meanwhile.

  The schedules `sweep` and `recentred` have one for each layer of a pass.

  Attributes:
    layer: that its candidates decide, 1..L; 0 where none.
    size: number of its candidates.
    work: training time of all.
    longest: training time of the longest.
    opened: when the results were there on which it depends.
    closed: when its last candidate was answered.
    spare: time of workers for which it had no candidate from the beginning.
    waiting: time of workers that waited for the others' last candidates.
  """

  layer: int
  size: int
  work: float
  longest: float
  opened: float
  closed: float = 0
  spare: float = 0
  waiting: float = 0


@dataclasses.dataclass
class Timeline:
  """Where the workers' time went; all parts add up to workers * makespan.

  Attributes:
    workers: how many.
    generations: in the order in which they were asked for.
    makespan: when the last candidate was answered.
    training: time spent in trainings whose results were asked for.
    starting: time spent before those trainings.
    wasted: time spent on trainings ahead whose results nobody asked for.
  """

  workers: int
  generations: list[Generation] = dataclasses.field(default_factory=list)
  makespan: float = 0
  training: float = 0
  starting: float = 0
  wasted: float = 0

  @property
  def spare(self) -> float:
    """Time of workers for which a generation had no candidate."""
    return sum(one.spare for one in self.generations)

  @property
  def barriers(self) -> float:
    """Time spent waiting for the last candidates of all but the last one."""
    return sum(one.waiting for one in self.generations[:-1])

  @property
  def tail(self) -> float:
    """Time spent waiting for the last candidates of the last generation."""
    return sum(one.waiting for one in self.generations[-1:])

  @property
  def work(self) -> float:
    """Training time of all candidates."""
    return sum(one.work for one in self.generations)

  @property
  def shortest(self) -> float:
    """No workers end sooner that finish a generation before the next."""
    return sum(
        max(one.work / self.workers, one.longest) for one in self.generations
    )


class Ahead:
  """Chooses what idle workers train ahead; this one lets them idle."""

  def opened(self) -> None:
    """The search has handed out a generation."""

  def answered(self, architecture: Architecture, reward: float) -> None:
    """The search has been told a result."""

  def choices(self) -> Iterable[Architecture]:
    """What may be asked for later, the likeliest first."""
    return ()


@dataclasses.dataclass
class _Training:
  """A training under way.

  Attributes:
    architecture: that is trained.
    begun: when its worker turned to it.
    starts: when the training proper begins.
    ends: when its result is there.
    candidate: that it answers; None while nobody has asked for it.
    dropped: its worker left it.
  """

  architecture: Architecture
  begun: float
  starts: float
  ends: float
  candidate: Candidate | None
  dropped: bool = False


class VirtualWorkers:
  """Runs one search to its end.

  Attributes:
    timeline: complete after `run`.
  """

  def __init__(
      self, search: Search, task: Callable[[Architecture], Task],
      workers: int, start: float = 0, hidden: bool = False,
      ahead: Ahead | None = None,
  ):
    """Everybody is free, the clock stands at 0.

    Args:
      search: that has not begun.
      task: what an architecture takes and gives, always the same.
      workers: at least 1.
      start: time before each training (compilation).
      hidden: the time before a training runs on while the worker trains the
        candidate before, from when both are known.
      ahead: what idle workers train.
    """
    self.timeline = Timeline(workers)
    self._search = search
    self._task = task
    self._start = start
    self._hidden = hidden
    self._ahead = ahead or Ahead()
    self._now: float = 0
    self._queue: collections.deque[Candidate] = collections.deque()
    self._events: list[tuple[float, int, _Training]] = []
    self._count = 0
    # When each free worker began what it did last.
    self._free: list[float] = [0] * workers
    self._running: dict[Architecture, _Training] = {}
    self._ready: dict[Architecture, _Training] = {}

  def run(self) -> Timeline:
    """Runs the search until it stops.

    Returns:
      Where the time went.
    """
    self._ask()
    while not self._search.finished:
      self._assign()
      self._advance()
      self._ask()
    self.timeline.makespan = self._now
    for training in [*self._running.values(), *self._ready.values()]:
      self._waste(training)
    return self.timeline

  def _ask(self) -> None:
    """Takes all that can be asked; what was trained ahead is told at once."""
    while asked := self._search.ask(_ALL):
      times = [self._task(one.architecture).time for one in asked]
      self.timeline.generations.append(Generation(
          asked[0].layer, len(asked), sum(times), max(times), self._now
      ))
      self._ahead.opened()
      for candidate in asked:
        self._take(candidate)
      self._leave()

  def _take(self, candidate: Candidate) -> None:
    one = candidate.architecture
    if one in self._running:
      self._running[one].candidate = candidate
    elif one in self._ready:
      self._answer(candidate, self._ready.pop(one))
    else:
      self._queue.append(candidate)

  def _leave(self) -> None:
    """Workers leave trainings that the new generation did not ask for."""
    for one, training in list(self._running.items()):
      if training.candidate is None:
        training.dropped = True
        self._waste(training)
        self._free.append(training.begun)
        del self._running[one]

  def _assign(self) -> None:
    known = self.timeline.generations[-1].opened
    while self._free and self._queue:
      candidate = self._queue.popleft()
      self._begin(candidate.architecture, candidate, known)
    if not self._free:
      return
    for one in self._ahead.choices():
      if not self._free:
        break
      if one not in self._running and one not in self._ready:
        self._begin(one, None, self._now)

  def _begin(
      self, one: Architecture, candidate: Candidate | None, known: float
  ) -> None:
    begun = self._free.pop()
    start = self._start
    if self._hidden:
      start = max(0, start - (self._now - max(known, begun)))
    starts = self._now + start
    training = _Training(
        one, self._now, starts, starts + self._task(one).time, candidate
    )
    self._running[one] = training
    heapq.heappush(self._events, (training.ends, self._count, training))
    self._count += 1

  def _advance(self) -> None:
    """Moves the clock to the next results and takes all of that moment."""
    while self._events[0][2].dropped:
      heapq.heappop(self._events)
    self._idle(self._events[0][0] - self._now)
    self._now = self._events[0][0]
    while self._events and self._events[0][0] == self._now:
      training = heapq.heappop(self._events)[2]
      if training.dropped:
        continue
      self._free.append(training.begun)
      del self._running[training.architecture]
      if training.candidate is None:
        self._ready[training.architecture] = training
      else:
        self._answer(training.candidate, training)

  def _idle(self, time: float) -> None:
    generation = self.timeline.generations[-1]
    spare = min(
        len(self._free), max(0, self.timeline.workers - generation.size)
    )
    generation.spare += spare * time
    generation.waiting += (len(self._free) - spare) * time

  def _answer(self, candidate: Candidate, training: _Training) -> None:
    self.timeline.starting += training.starts - training.begun
    self.timeline.training += training.ends - training.starts
    reward = self._task(candidate.architecture).reward
    self._search.tell(candidate.id, Evaluation(reward))
    self._ahead.answered(candidate.architecture, reward)
    self.timeline.generations[-1].closed = self._now

  def _waste(self, training: _Training) -> None:
    self.timeline.wasted += min(self._now, training.ends) - training.begun
