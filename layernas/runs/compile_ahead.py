"""Compiles the next candidates' programs while the present one trains."""

import collections
import threading
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from concurrent import futures
from typing import Generic
from typing import TypeVar

from layernas.errors import Preempted
from layernas.search.space import Network

Compiled = TypeVar('Compiled')

KEPT = 8
"""Networks whose programs stay in memory: repeats of finalists are few."""


class CompileAhead(Generic[Compiled]):
  """Compiles each network once, in one further thread; a context.

  XLA compiles without Python's lock, so that steps are computed beside it.
  When and where a network is compiled changes no result. Any thread may call
  `prepare`: a worker is told what comes next while it trains.
  """

  def __init__(
      self, compile_one: Callable[[Network], Compiled], ahead: int
  ):
    """Starts no thread yet.

    Args:
      compile_one: compiles an architecture's programs, in any thread.
      ahead: networks that are compiled before they are asked for; 0 for none,
        and no thread.
    """
    self._compile = compile_one
    # Of the jobs; not held while something is compiled.
    self._lock = threading.Lock()
    self._pool = futures.ThreadPoolExecutor(1, 'compile') if ahead else None
    self._jobs: collections.OrderedDict[
        Network, futures.Future[Compiled]
    ] = collections.OrderedDict()

  def prepare(self, architectures: Sequence[Network]) -> None:
    """Compiles these behind what was prepared before.

    What turns out not to be needed is compiled all the same: a second run then
    finds all that it prepares in the cache on disk.

    Args:
      architectures: the first ones are needed first.
    """
    if self._pool is None:
      return
    with self._lock:
      for one in architectures:
        if one not in self._jobs:
          self._jobs[one] = self._pool.submit(self._compile, one)
      self._forget(architectures)

  def programs(self, architecture: Network) -> Compiled:
    """Programs of an architecture; waits for them, or compiles them here.

    Raises:
      Exception: whatever compiling raised; it is tried anew at the next call.
    """
    with self._lock:
      job = self._jobs.get(architecture)
      # It need not wait until another is compiled, which is perhaps of no use.
      busy = any(other.running() for other in self._jobs.values())
      here = job is None or (busy and job.cancel())
    if here:
      job = _done_here(self._compile, architecture)
    with self._lock:
      self._jobs[architecture] = job
      self._jobs.move_to_end(architecture)
      self._forget([architecture])
    if job.exception() is not None:
      with self._lock:
        self._jobs.pop(architecture, None)
    return job.result()

  def _forget(self, needed: Iterable[Network]) -> None:
    """Lets go of the programs that were longest not used."""
    for one in [key for key in self._jobs if key not in needed]:
      if len(self._jobs) <= KEPT:
        return
      if self._jobs[one].done():
        del self._jobs[one]

  def __enter__(self) -> 'CompileAhead[Compiled]':
    return self

  def __exit__(self, *error: object) -> None:
    """Waits for what is being compiled, but not where the run is told to end.

    What has not begun is dropped.
    """
    ends = any(
        isinstance(one, KeyboardInterrupt | Preempted) for one in error
    )
    if self._pool is not None:
      self._pool.shutdown(wait=not ends, cancel_futures=True)


def _done_here(
    function: Callable[[Network], Compiled], architecture: Network
) -> futures.Future[Compiled]:
  """Calls a function now; its result or exception as a future has it."""
  job: futures.Future[Compiled] = futures.Future()
  try:
    job.set_result(function(architecture))
  except Exception as error:  # Raised by whoever asks for the result.
    job.set_exception(error)
  return job
