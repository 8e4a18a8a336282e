"""A search with workers on a virtual clock: when it ends, and who waits.

A real `Search` is asked and told, but nothing is trained: each candidate keeps
a worker for a given time, and results arrive in the order of their ends.

Idle workers may train ahead. Once all candidates of a layer of `sweep` or
`recentred` are in training, at most as many as there are workers are
unanswered, and most buckets hold none of them. Such a bucket's entries are
certain, and so are their children. A child's result is then ready when the
search asks for it, and the search decides nothing differently. Children of
whole networks, which belong to the first layer of the next pass, are ignored.
"""

import collections
import dataclasses
import heapq
import itertools
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator

from layernas.search import Architecture
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search.layer_pass import LayerPass

_ALL = 10**9
"""More candidates than any generation has."""


@dataclasses.dataclass(frozen=True)
class Task:
  """Time and reward of a candidate.

  Attributes:
    time: of its training, in any unit.
    reward: of the candidate.
  """

  time: float
  reward: float


@dataclasses.dataclass
class Generation:
  """Candidates that can be trained at the same time, and the idle time then.

  The schedules `sweep` and `recentred` have one for each layer of a pass.

  Attributes:
    layer: searched layer, 1..L; 0 if there is none.
    size: number of its candidates.
    work: training time of all.
    longest: training time of the longest.
    opened: when the results it depends on were known.
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
    workers: their number.
    generations: in the order in which they were asked for.
    makespan: when the last candidate was answered.
    training: time spent in trainings whose results were asked for.
    starting: time spent before those trainings.
    wasted: time spent on trainings ahead whose results were never asked for.
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
    """Least makespan if each generation is finished before the next begins."""
    return sum(
        max(one.work / self.workers, one.longest) for one in self.generations
    )


class Ahead:
  """Chooses what idle workers train ahead; this class lets them idle."""

  def opened(self) -> None:
    """The search has handed out a generation."""

  def answered(self, architecture: Architecture, reward: float) -> None:
    """The search has been told a result."""

  def choices(self) -> Iterable[Architecture]:
    """Architectures that may be asked for later, the likeliest first."""
    return ()


@dataclasses.dataclass
class _Training:
  """A training in progress.

  Attributes:
    architecture: what is trained.
    begun: when its worker turned to it.
    starts: when the training proper begins.
    ends: when its result is known.
    candidate: which it answers; None until it is asked for.
    dropped: whether its worker has left it.
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
    """Sets the clock to 0; all workers are free.

    Args:
      search: before its first candidate.
      task: time and reward of an architecture, always the same.
      workers: at least 1.
      start: time before each training (compilation).
      hidden: whether a worker compiles while it trains the previous candidate,
        from the moment both are known.
      ahead: chooses what idle workers train.
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
    """Runs the search to its end.

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
    """Asks for all it can; tells at once what was trained ahead."""
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
    """Drops trainings that the new generation did not ask for."""
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
    """Moves the clock to the next results and takes all of them."""
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


class NextLayer(Ahead):
  """Children of the entries that an unfinished layer will or may keep."""

  def __init__(self, search: Search, leading: bool):
    """Prepares.

    Args:
      search: before its first candidate, with the schedule `sweep` or
        `recentred`.
      leading: whether buckets with unanswered candidates count too, after all
        others; their children are wasted if they come to keep another entry.
    """
    self._search = search
    self._leading = leading
    self._rewards: dict[Architecture, float] = {}
    self._pass: LayerPass | None = None
    # Prices children without counting them in the search's own pass.
    self._pricing: LayerPass | None = None
    self._length = 0
    self._buckets: dict[int, list[Architecture]] = {}
    self._bucket_of: dict[Architecture, int] = {}
    self._unanswered: collections.Counter[int] = collections.Counter()
    self._children: dict[Architecture, list[Architecture]] = {}

  def opened(self) -> None:
    """Sorts the new layer's children by bucket."""
    current = self._search.strategy.passes[-1]
    if current is not self._pass:
      self._pass = current
      self._pricing = LayerPass(
          current.problem, current.order, current.start, current.settings
      )
    self._length = len(current.tables) - 1
    parents = current.tables[self._length - 1].entries()
    families = self._pricing.children(
        [entry.architecture for entry in parents], self._length
    )
    axis = current.tables[self._length].axis
    self._buckets = collections.defaultdict(list)
    self._unanswered.clear()
    self._bucket_of = {}
    self._children = {}
    for child in itertools.chain.from_iterable(families):
      bucket = axis.bucket(child.cost)
      self._bucket_of[child.architecture] = bucket
      self._buckets[bucket].append(child.architecture)
      self._unanswered[bucket] += child.architecture not in self._rewards

  def answered(self, architecture: Architecture, reward: float) -> None:
    """Notes that its bucket has one unanswered candidate less."""
    self._rewards[architecture] = reward
    self._unanswered[self._bucket_of[architecture]] -= 1

  def choices(self) -> Iterator[Architecture]:
    """Children that may be asked for, the likeliest first."""
    if self._length == len(self._pass.order):
      return
    # The best candidate is an unanswered one with this probability.
    chances = {
        bucket: self._unanswered[bucket] / len(members)
        for bucket, members in self._buckets.items()
    }
    for bucket in sorted(chances, key=lambda one: (chances[one], one)):
      if chances[bucket] and not self._leading:
        return
      for entry in self._kept(bucket):
        yield from self._new_children(entry)

  def _kept(self, bucket: int) -> list[Architecture]:
    """Entries that the bucket would keep by the results so far."""
    known = [one for one in self._buckets[bucket] if one in self._rewards]
    # The sort is stable: the older one of two equals comes first.
    known.sort(key=self._rewards.__getitem__, reverse=True)
    return known[:self._pass.settings.keep]

  def _new_children(self, entry: Architecture) -> list[Architecture]:
    """Its children without an earlier result."""
    if entry not in self._children:
      [family] = self._pricing.children([entry], self._length + 1)
      self._children[entry] = [
          child.architecture for child in family
          if child.architecture not in self._rewards
      ]
    return self._children[entry]
