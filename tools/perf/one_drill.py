"""One drill: a search, a fault at a random moment, and how it ended."""

import contextlib
import dataclasses
import json
import os
import pathlib
import random
import time
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from tools.perf import damage
from tools.perf import drilled_search
from tools.perf import faulty_search
from tools.perf.drill import DAMAGES
from tools.perf.drill import SIGNALS
from tools.perf.drill import Drill
from tools.perf.drilled_search import SearchProcess

_RUNS = 12
"""Runs of one drill at most, those that ended before their fault included."""

_LATER = 1.5
"""By which a kill comes later on average where it found nothing to damage, and
earlier where the search had ended before."""

_ANSWER_SECONDS = 30.0
"""In which a worker answers a signal; it may be compiling."""

_START_SECONDS = 4.0
_LOOK_SECONDS = 0.05


class DrillFailedError(Exception):
  """A drill did not end as it must."""


class Trip:
  """The runs of one drill."""

  def __init__(
      self, drill: Drill, directory: pathlib.Path, seconds: float, seed: int
  ):
    """Prepares.

    Args:
      drill: to run.
      directory: empty, for the workdir and what is printed.
      seconds: that an undisturbed search takes behind its first line.
      seed: of what is drawn on the way.
    """
    self._drill = drill
    self._directory = directory
    self._seconds = seconds
    self._rng = random.Random(f'{seed}-{drill.number}-way')
    self.moment = drill.moment
    self._begun_anew = 0
    self.workdir = directory / 'disk' / '0'
    self.codes: list[int] = []
    self.lines: list[str] = []
    self.detail = ''
    self.more_lines = 0
    self.kept: dict[str, Any] = {}

  def run(self) -> str:
    """Runs the search until it has its result.

    Returns:
      The outcome, of the report's `OUTCOMES`.

    Raises:
      DrillFailedError: an end that is not allowed.
      TimeoutError: a run does not end.
    """
    fault = self._drill.fault
    with contextlib.ExitStack() as stack:
      if fault in SIGNALS:
        self._until_hit(self._signal)
      elif fault in DAMAGES:
        self._until_damaged(DAMAGES[fault])
      elif fault == 'disk_full':
        stack.enter_context(damage.small_disk(self._directory / 'disk'))
        self._until_hit(self._fill)
      else:
        self._end(self._start())
      first = self._first()
      self._resume()
      self.kept = drilled_search.outcome(self.workdir)
    return first

  def _start(self) -> SearchProcess:
    drill = self._drill
    if len(self.codes) + self._begun_anew >= _RUNS:
      raise DrillFailedError(f'no result after {_RUNS} runs')
    self.workdir.parent.mkdir(parents=True, exist_ok=True)
    environment = {}
    if drill.inside:
      fault = faulty_search.Fault(
          drill.fault, drill.candidate, drill.step,
          str(self._directory / 'marker'),
      )
      environment[faulty_search.VARIABLE] = json.dumps(
          dataclasses.asdict(fault)
      )
    return SearchProcess(
        drilled_search.command(
            self.workdir, drill.executor, drill.inside, drill.fault == 'hang'
        ), self._directory, environment,
    )

  def _end(self, search: SearchProcess) -> None:
    """Waits for the end of a run and judges it."""
    search.wait()
    code = search.process.returncode
    self.codes.append(code)
    self.lines += search.lines()
    unclear = search.unclear() if code == 2 else ''
    self.more_lines += len(search.error_lines()) - 1 if code == 2 else 0
    if code not in self._drill.codes or unclear:
      raise DrillFailedError(f'exit code {code}: {unclear or search.tail()}')

  def _at_moment(self, search: SearchProcess) -> bool:
    """Waits for the moment; whether the search still runs then."""
    if self._drill.early:
      return search.wait(self.moment * _START_SECONDS)
    return search.wait_until_open() and search.wait(
        self.moment * self._seconds
    )

  def _until_hit(self, hit: Callable[[SearchProcess], bool]) -> None:
    """Runs searches until one is hit before its end, earlier and earlier."""
    while True:
      search = self._start()
      if self._at_moment(search) and hit(search):
        self._end(search)
        return
      self._end(search)
      self._begin_anew()
      self.moment *= 0.7

  def _signal(self, search: SearchProcess) -> bool:
    """Sends the signal; whether there was someone to get it."""
    number = SIGNALS[self._drill.fault]
    if self._drill.fault.startswith('driver'):
      search.process.send_signal(number)
      return True
    while search.alive:
      if workers := damage.workers_of(search.process.pid):
        worker = self._rng.choice(workers)
        # It may have ended in between.
        with contextlib.suppress(ProcessLookupError):
          os.kill(worker, number)
          _wait_for_end(search, worker)
          return True
      time.sleep(_LOOK_SECONDS)
    return False

  def _fill(self, search: SearchProcess) -> bool:
    """Keeps the disk full until the search ends; then there is room again."""
    filler = self._directory / 'disk' / 'filler'
    while search.alive:
      damage.fill(filler, self._rng)
      time.sleep(_LOOK_SECONDS)
    filler.unlink()
    return True

  def _until_damaged(
      self, do: Callable[[pathlib.Path, random.Random], str]
  ) -> None:
    """Kills the search until there is something to damage.

    Later where there is nothing yet, since others may share the cores; earlier
    where it has ended before.
    """
    while not self.detail:
      search = self._start()
      if search.wait_until_open():
        search.wait(self.moment * self._seconds)
      search.process.kill()
      self._end(search)
      if drilled_search.finished(self.workdir):
        self._begin_anew()
        self._seconds /= _LATER
      else:
        self.detail = do(self.workdir, self._rng)
        self._seconds *= _LATER
      self.moment = self._rng.random()

  def _begin_anew(self) -> None:
    """The search ended before the fault came: another workdir."""
    self.codes.clear()
    self._begun_anew += 1
    self.workdir = self.workdir.with_name(str(self._begun_anew))

  def _first(self) -> str:
    """What the last run so far came to."""
    code = self.codes[-1]
    if code == 2:
      return 'error and resumed'
    if code:
      return 'killed and resumed'
    done = drilled_search.finished(self.workdir)
    return 'went through' if done else 'saved and resumed'

  def _resume(self) -> None:
    """The same command again until it ends well with a result."""
    while self.codes[-1] or not drilled_search.finished(self.workdir):
      if len(self.codes) > 1 and self.codes[-1] == self.codes[-2] == 2:
        raise DrillFailedError('the same command does not go on')
      self._end(self._start())


def _wait_for_end(search: SearchProcess, worker: int) -> None:
  """Waits until a worker that got a signal, or its search, has ended."""
  until = time.monotonic() + _ANSWER_SECONDS
  while search.alive and pathlib.Path(f'/proc/{worker}').exists():
    if time.monotonic() > until:
      search.process.kill()
      raise DrillFailedError('a worker does not answer its signal')
    time.sleep(_LOOK_SECONDS)


def run_drill(
    drill: Drill, directory: pathlib.Path, seconds: float, seed: int,
    reference: Callable[[Drill], Mapping[str, Any]],
) -> dict[str, Any]:
  """Runs a drill.

  Args:
    drill: as it was drawn.
    directory: empty.
    seconds: of an undisturbed search behind its first line.
    seed: of the whole drill.
    reference: gives what the search must come to.

  Returns:
    A line of drills.jsonl.
  """
  trip, begun, reason = Trip(drill, directory, seconds, seed), time.time(), ''
  try:
    outcome = trip.run()
    if trip.kept != reference(drill):
      outcome, reason = 'failed', 'another result'
  except (DrillFailedError, OSError) as error:
    outcome, reason = 'failed', str(error)
  # Where the drill lay is of no interest later.
  def short(text: str) -> str:
    return text.replace(f'{directory}/disk/', '')

  return {
      'drill': drill.number, 'fault': drill.fault, 'executor': drill.executor,
      'moment': round(trip.moment, 4), 'early': drill.early,
      'candidate': drill.candidate, 'step': drill.step,
      'detail': trip.detail, 'exit_codes': trip.codes,
      'lines': list(map(short, trip.lines)),
      'more_lines': trip.more_lines,
      'resumes': max(0, len(trip.codes) - 1), 'outcome': outcome,
      'reason': short(reason), 'seconds': round(time.time() - begun, 1),
  }
