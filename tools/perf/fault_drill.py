"""Runs searches with one random fault each and checks that each recovers.

  .venv/bin/python tools/perf/fault_drill.py --searches=200 --parallel=2
  .venv/bin/python tools/perf/fault_drill.py --mode=report

The drills take the `FAULTS` in turn. Moment, executor (inline, or two worker
processes) and all else are drawn at random. A search must give the result of a
search without a fault. Otherwise it must end with one line and exit code 2, or
by its signal, and the same command must then give that result. Full disks need
the right to mount one (root on Linux). Without it that fault is left out, and
the table counts 0 searches with it.

Every drill adds a line to drills.jsonl.gz, and the same command continues with
the drills that are missing there. --mode=report prints the table of
docs/scale.md. What goes wrong inside a training is in faulty_search.py.
"""

import collections
import contextlib
import dataclasses
import gzip
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
from typing import Any

from absl import flags

from layernas.errors import UserError
from layernas.runs import cli
from layernas.study.report import table_text
from layernas.study.report_tables import Table
from tools.perf import faulty_search
from tools.perf.machine import machine
from tools.perf.search_outcome import without_times

OUTCOMES = (
    'went through', 'error and resumed', 'saved and resumed',
    'killed and resumed', 'failed',
)
"""How a drill may end; the last one is a defect."""

FAULTS = {
    'driver_kill': 'kill -9 of the search',
    'driver_term': 'SIGTERM to the search',
    'worker_kill': 'kill -9 of a worker',
    'worker_term': 'SIGTERM to a worker',
    'nan': "NaN in a candidate's images",
    'exception': 'an exception in a training',
    'hang': 'a training hangs',
    'memory': 'a worker gets no more memory',
    'disk_full': 'the disk becomes full',
    'newest_checkpoint': 'kill -9, and a newest checkpoint is cut short',
    'older_checkpoint': 'kill -9, and an older checkpoint is overwritten',
    'history_line': 'kill -9, and zeros in trials.jsonl',
}
"""Names and descriptions of the faults, in the order of their turns."""


def read(path: pathlib.Path) -> list[dict[str, Any]]:
  """Reads drills.jsonl.gz.

  Args:
    path: of the file, which may be missing.

  Returns:
    The drills in the order of their numbers.
  """
  if not path.exists():
    return []
  lines = gzip.decompress(path.read_bytes()).splitlines()
  return sorted(map(json.loads, lines), key=lambda drill: drill['drill'])


def write(path: pathlib.Path, drills: Iterable[Mapping[str, Any]]) -> None:
  """Writes drills.jsonl.gz, which depends on the drills alone.

  Args:
    path: of the file.
    drills: in the order of their lines.
  """
  text = ''.join(json.dumps(drill) + '\n' for drill in drills)
  path.write_bytes(gzip.compress(text.encode(), mtime=0))


def table(drills: Sequence[Mapping[str, Any]]) -> str:
  """Counts outcomes by fault.

  Args:
    drills: as `read` gives them.

  Returns:
    Markdown with a row for each fault, and one for all.
  """
  counts = {name: collections.Counter() for name in FAULTS}
  for drill in drills:
    counts[drill['fault']][drill['outcome']] += 1
  rows = [(FAULTS[name], counter) for name, counter in counts.items()]
  rows.append(('all', sum(counts.values(), collections.Counter())))
  return table_text(Table('', ('fault', 'searches', *OUTCOMES), tuple(
      (name, str(counter.total()), *(str(counter[one]) for one in OUTCOMES))
      for name, counter in rows
  )))


_SIZE = '32m'
_CHUNK = 4096
_MOST_LEFT = 16 << 10
"""Bytes that are left at most on a full disk, so that a write fails halfway."""

_WORKER = b'layernas.executors.worker'


def workers_of(pid: int) -> list[int]:
  """Process ids of a search's workers."""
  found = []
  with contextlib.suppress(OSError):
    children = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text()
    for child in map(int, children.split()):
      with contextlib.suppress(OSError):
        if _WORKER in pathlib.Path(f'/proc/{child}/cmdline').read_bytes():
          found.append(child)
  return found


@contextlib.contextmanager
def small_disk(directory: pathlib.Path) -> Iterator[None]:
  """Mounts a small disk in memory on a directory.

  Raises:
    OSError: this process may not mount one.
  """
  directory.mkdir(parents=True, exist_ok=True)
  done = subprocess.run(
      ['mount', '-t', 'tmpfs', '-o', f'size={_SIZE}', 'tmpfs', str(directory)],
      capture_output=True, text=True, check=False,
  )
  if done.returncode:
    raise OSError(f'no disk can be mounted: {done.stderr.strip()}')
  try:
    yield
  finally:
    subprocess.run(['umount', '-l', str(directory)], check=True)


def fill(file: pathlib.Path, rng: random.Random) -> None:
  """Lets a file grow until the disk has at most a few KiB left."""
  with open(file, 'ab', buffering=0) as filler:
    with contextlib.suppress(OSError):
      while True:
        filler.write(bytes(_CHUNK))
    left = rng.choice((0, rng.randrange(_MOST_LEFT)))
    os.ftruncate(filler.fileno(), max(0, os.fstat(filler.fileno()).st_size
                                      - left))


def _checkpoints(workdir: pathlib.Path) -> list[list[pathlib.Path]]:
  """Complete checkpoints, oldest first, of each of their directories."""
  directories = [workdir / 'checkpoints',
                 *sorted(workdir.glob('candidates/*/checkpoints'))]
  return [
      sorted(
          (path for path in directory.iterdir() if path.name.isdigit()),
          key=lambda path: int(path.name),
      ) for directory in directories if directory.is_dir()
  ]


def _some_file(directory: pathlib.Path, rng: random.Random) -> pathlib.Path:
  return rng.choice(sorted(
      path for path in directory.rglob('*')
      if path.is_file() and path.stat().st_size
  ))


def truncate_newest(workdir: pathlib.Path, rng: random.Random) -> str:
  """Truncates a file of a newest checkpoint.

  Args:
    workdir: of a search that is not running.
    rng: chooses the directory of checkpoints, the file and its new size.

  Returns:
    What was done; '' where there is no checkpoint.
  """
  found = [steps[-1] for steps in _checkpoints(workdir) if steps]
  if not found:
    return ''
  file = _some_file(rng.choice(found), rng)
  size = file.stat().st_size
  left = rng.randrange(size)
  os.truncate(file, left)
  return f'{file.relative_to(workdir)}: {left} of {size} bytes left'


def damage_older(workdir: pathlib.Path, rng: random.Random) -> str:
  """Overwrites a file of an older checkpoint; see `truncate_newest`."""
  found = [step for steps in _checkpoints(workdir) for step in steps[:-1]]
  if not found:
    return ''
  file = _some_file(rng.choice(found), rng)
  file.write_bytes(rng.randbytes(file.stat().st_size))
  return f'{file.relative_to(workdir)}: overwritten'


def damage_line(workdir: pathlib.Path, rng: random.Random) -> str:
  """Overwrites a part of trials.jsonl with zeros, as a power failure may."""
  file = workdir / 'trials.jsonl'
  data = bytearray(file.read_bytes() if file.exists() else b'')
  if not data:
    return ''
  begin = rng.randrange(len(data))
  end = min(len(data), begin + rng.randrange(1, 200))
  data[begin:end] = bytes(end - begin)
  file.write_bytes(bytes(data))
  return f'trials.jsonl: zeros from byte {begin} to {end} of {len(data)}'


ROOT = pathlib.Path(__file__).parents[2]

TRIALS = 5
STEPS = 25
"""Of a candidate: 0.2 epochs of 8,000 images."""

_SEARCH_FLAGS = (
    f'--config={ROOT}/configs/cifar10_small.py:smoke',
    f'--config.budget.trials={TRIALS}',
    # It leaves a decision trace and layer tables, which are compared, too.
    '--config.search.schedule=sweep',
    '--config.training.log_every_steps=2',
    '--config.training.checkpoint_every_steps=3',
    '--config.executor.threads=1',
)
_HANG_SECONDS = 15
"""Time limit of an attempt in the drills that hang."""

_POLL_SECONDS = 0.02
_LONGEST = 240.0
"""Seconds after which a search counts as hanging."""

_LOGGED = re.compile(r'WARNING|[IW]\d{4} ')
"""Beginning of the lines that absl logs."""


def command(
    workdir: pathlib.Path, executor: str, faulty: bool = False,
    hangs: bool = False,
) -> list[str]:
  """Command line of a search.

  Args:
    workdir: of the search.
    executor: inline or processes.
    faulty: whether to start the program with a fault inside.
    hangs: whether attempts have a time limit.

  Returns:
    The program and its flags.
  """
  program = 'tools/perf/faulty_search' if faulty else 'experiments/search'
  return [
      sys.executable, str(ROOT / f'{program}.py'), *_SEARCH_FLAGS,
      f'--config.executor.name={executor}',
      *(['--config.executor.workers=2'] if executor == 'processes' else []),
      *([f'--config.executor.timeout={_HANG_SECONDS}'] if hangs else []),
      f'--workdir={workdir}',
  ]


class SearchProcess:
  """A running search and its output.

  Attributes:
    process: of the search.
  """

  def __init__(
      self, line: list[str], logs: pathlib.Path, environment: dict[str, str]
  ):
    """Starts it.

    Args:
      line: its command line.
      logs: directory for its output.
      environment: variables in addition to those of this process.
    """
    self._output, self._errors = logs / 'output', logs / 'errors'
    self._begun = time.monotonic()
    with open(self._output, 'wb') as output, open(self._errors, 'wb') as errors:
      self.process = subprocess.Popen(
          line, stdout=output, stderr=errors, stdin=subprocess.DEVNULL,
          env=os.environ | {
              'PYTHONPATH': str(ROOT), 'OPENBLAS_NUM_THREADS': '1',
          } | environment,
      )

  @property
  def alive(self) -> bool:
    """Whether it is running; kills one that hangs, and raises TimeoutError."""
    if self.process.poll() is not None:
      return False
    if time.monotonic() - self._begun > _LONGEST:
      self.process.kill()
      self.process.wait()
      raise TimeoutError(f'no end after {_LONGEST:g} s')
    return True

  def wait(self, seconds: float = _LONGEST) -> bool:
    """Waits for at most so many seconds; whether it is still running."""
    until = time.monotonic() + seconds
    while self.alive and time.monotonic() < until:
      time.sleep(_POLL_SECONDS)
    return self.alive

  def wait_until_open(self) -> bool:
    """Waits for its first lines; whether it is still running."""
    while self.alive and b'bound' not in self._output.read_bytes():
      time.sleep(_POLL_SECONDS)
    return self.alive

  def lines(self) -> list[str]:
    """The lines that it printed about faults."""
    text = self._output.read_text() + self._errors.read_text()
    words = ('error: ', 'preempted', 'tried again', 'set aside', 'run again',
             'interrupted')
    return [
        line[:300] for line in text.splitlines()
        if any(word in line for word in words)
    ]

  def error_lines(self) -> list[str]:
    """Lines on standard error, logged warnings excepted."""
    return [
        line for line in self._errors.read_text().splitlines()
        if line.strip() and not _LOGGED.match(line)
    ]

  def unclear(self) -> str:
    """What is wrong with the message of exit code 2; '' if it is clear."""
    lines = self.error_lines()
    errors = [line for line in lines if line.startswith('error: ')]
    if len(errors) == 1 and errors == lines[-1:]:
      return ''
    return f'{len(lines)} lines on standard error, the last: {lines[-1:]}'

  def tail(self) -> str:
    """The last 2,000 characters on standard error."""
    return self._errors.read_text()[-2000:]


def finished(workdir: pathlib.Path) -> bool:
  """Whether a search has its result."""
  return (workdir / 'result.json').exists()


def to_reproduce(workdir: pathlib.Path) -> dict[str, Any]:
  """What a search must reproduce: all but times and config."""
  found = without_times(workdir)
  del found['result']['config']
  return found


SIGNALS = {
    'driver_kill': signal.SIGKILL, 'driver_term': signal.SIGTERM,
    'worker_kill': signal.SIGKILL, 'worker_term': signal.SIGTERM,
}
DAMAGES: Mapping[str, Callable[[pathlib.Path, random.Random], str]] = {
    'newest_checkpoint': truncate_newest,
    'older_checkpoint': damage_older,
    'history_line': damage_line,
}
_OF_WORKERS = ('worker_kill', 'worker_term', 'hang', 'memory')
"""Faults that need worker processes."""

_BEFORE_ITS_FIRST_LINE = 0.15
"""Share of the signals that come while the program starts."""


@dataclasses.dataclass(frozen=True)
class Drill:
  """The random choices of a drill.

  Attributes:
    number: of the drill.
    fault: a name of `FAULTS`.
    executor: inline or processes.
    moment: share of an undisturbed search's duration.
    early: whether the fault comes before the search's first line.
    candidate: whose training has the fault, if it is in a training.
    step: of that training.
  """

  number: int
  fault: str
  executor: str
  moment: float
  early: bool
  candidate: int
  step: int

  @property
  def inside(self) -> bool:
    """Whether the fault is in a training."""
    return self.fault in faulty_search.FAULTS

  @property
  def codes(self) -> set[int]:
    """Exit codes that a run may have."""
    killed = self.fault == 'driver_kill' or self.fault in DAMAGES
    # The signal ends a program that has not installed its handler yet.
    ended = self.fault == 'driver_term' and self.early
    return {0, 2} | ({-signal.SIGKILL} if killed else set()) | (
        {-signal.SIGTERM} if ended else set()
    )


def drawn(number: int, seed: int, faults: tuple[str, ...]) -> Drill:
  """The drill of a number: faults take turns, all else is random."""
  fault = faults[number % len(faults)]
  rng = random.Random(f'{seed}-{number}')
  executor = rng.choice(('inline', 'processes'))
  return Drill(
      number, fault, 'processes' if fault in _OF_WORKERS else executor,
      rng.random(), rng.random() < _BEFORE_ITS_FIRST_LINE,
      rng.randrange(TRIALS), rng.randrange(1, STEPS),
  )


_RUNS = 12
"""Most runs of one drill, including those that ended before their fault."""

_LATER = 1.5
"""Factor by which a kill comes later if it found nothing to damage, and earlier
if the search had ended."""

_ANSWER_SECONDS = 30.0
"""Time that a worker has to answer a signal; it may be compiling."""

_START_SECONDS = 4.0


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
      directory: empty, for the workdir and the output.
      seconds: of an undisturbed search after its first line.
      seed: of the random choices on the way.
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
      One of `OUTCOMES`.

    Raises:
      DrillFailedError: the search ended in a way that is not allowed.
      TimeoutError: a run does not end.
    """
    fault = self._drill.fault
    with contextlib.ExitStack() as stack:
      if fault in SIGNALS:
        self._until_hit(self._signal)
      elif fault in DAMAGES:
        self._until_damaged(DAMAGES[fault])
      elif fault == 'disk_full':
        stack.enter_context(small_disk(self._directory / 'disk'))
        self._until_hit(self._fill)
      else:
        self._end(self._start())
      first = self._first()
      self._resume()
      self.kept = to_reproduce(self.workdir)
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
        command(
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
    """Waits for the moment; whether the search is still running then."""
    if self._drill.early:
      return search.wait(self.moment * _START_SECONDS)
    return search.wait_until_open() and search.wait(
        self.moment * self._seconds
    )

  def _until_hit(self, hit: Callable[[SearchProcess], bool]) -> None:
    """Runs searches until one is hit before its end; each is hit earlier."""
    while True:
      search = self._start()
      if self._at_moment(search) and hit(search):
        self._end(search)
        return
      self._end(search)
      self._begin_anew()
      self.moment *= 0.7

  def _signal(self, search: SearchProcess) -> bool:
    """Sends the signal; whether a process received it."""
    number = SIGNALS[self._drill.fault]
    if self._drill.fault.startswith('driver'):
      search.process.send_signal(number)
      return True
    while search.alive:
      if workers := workers_of(search.process.pid):
        worker = self._rng.choice(workers)
        # The worker may have ended in the meantime.
        with contextlib.suppress(ProcessLookupError):
          os.kill(worker, number)
          _wait_for_end(search, worker)
          return True
      time.sleep(_POLL_SECONDS)
    return False

  def _fill(self, search: SearchProcess) -> bool:
    """Keeps the disk full until the search ends, then makes room again."""
    filler = self._directory / 'disk' / 'filler'
    while search.alive:
      fill(filler, self._rng)
      time.sleep(_POLL_SECONDS)
    filler.unlink()
    return True

  def _until_damaged(
      self, do: Callable[[pathlib.Path, random.Random], str]
  ) -> None:
    """Kills the search until there is something to damage.

    A kill comes later if there was nothing yet, since other drills may share
    the cores, and earlier if the search had ended.
    """
    while not self.detail:
      search = self._start()
      if search.wait_until_open():
        search.wait(self.moment * self._seconds)
      search.process.kill()
      self._end(search)
      if finished(self.workdir):
        self._begin_anew()
        self._seconds /= _LATER
      else:
        self.detail = do(self.workdir, self._rng)
        self._seconds *= _LATER
      self.moment = self._rng.random()

  def _begin_anew(self) -> None:
    """Takes another workdir: the search ended before the fault came."""
    self.codes.clear()
    self._begun_anew += 1
    self.workdir = self.workdir.with_name(str(self._begun_anew))

  def _first(self) -> str:
    """The outcome, by the run that the fault ended."""
    code = self.codes[-1]
    if code == 2:
      return 'error and resumed'
    if code:
      return 'killed and resumed'
    done = finished(self.workdir)
    return 'went through' if done else 'saved and resumed'

  def _resume(self) -> None:
    """Repeats the same command until it ends well with a result."""
    while self.codes[-1] or not finished(self.workdir):
      if len(self.codes) > 1 and self.codes[-1] == self.codes[-2] == 2:
        raise DrillFailedError('the same command does not go on')
      self._end(self._start())


def _wait_for_end(search: SearchProcess, worker: int) -> None:
  """Waits until a worker that received a signal, or its search, has ended."""
  until = time.monotonic() + _ANSWER_SECONDS
  while search.alive and pathlib.Path(f'/proc/{worker}').exists():
    if time.monotonic() > until:
      search.process.kill()
      raise DrillFailedError('a worker does not answer its signal')
    time.sleep(_POLL_SECONDS)


def run_drill(
    drill: Drill, directory: pathlib.Path, seconds: float, seed: int,
    reference: Callable[[Drill], Mapping[str, Any]],
) -> dict[str, Any]:
  """Runs a drill.

  Args:
    drill: to run.
    directory: empty.
    seconds: of an undisturbed search after its first line.
    seed: of all drills.
    reference: gives the result that the search must have.

  Returns:
    A line of drills.jsonl.gz.
  """
  trip, begun, reason = Trip(drill, directory, seconds, seed), time.time(), ''
  try:
    outcome = trip.run()
    if trip.kept != reference(drill):
      outcome, reason = 'failed', 'another result'
  except (DrillFailedError, OSError) as error:
    outcome, reason = 'failed', str(error)

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


_FILE = 'drills.jsonl.gz'
_FLAGS = flags.FLAGS


def _define_flags() -> None:
  """Defines them for this program alone: others import this module."""
  flags.DEFINE_enum(
      'mode', 'drill', ['drill', 'report'], 'Runs drills or shows them.'
  )
  flags.DEFINE_integer('searches', 200, 'Drills in all.', 1)
  flags.DEFINE_integer('parallel', 2, 'Drills at a time.', 1)
  flags.DEFINE_integer('seed', 0, 'Of all random choices.')
  flags.DEFINE_float(
      'minutes', 0.0, 'After which no other drill begins; 0 = no limit.', 0.0
  )
  flags.DEFINE_list('faults', list(FAULTS), 'Faults that are drilled.')
  cli.define_path(
      'output', 'Where the results are written.',
      default='docs/results/fault_drill',
  )
  cli.define_path(
      'cache', 'Compilation cache that is kept; empty = a temporary one.',
  )


def main() -> None:
  """Runs drills and prints their table."""
  output = pathlib.Path(_FLAGS.output)
  if _FLAGS.mode == 'drill':
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as cache:
      _drill(output, pathlib.Path(_FLAGS.cache or cache))
  print(table(read(output / _FILE)))


class References:
  """Results of undisturbed searches.

  Attributes:
    seconds: of such a search after its first line, by executor.
  """

  def __init__(self, directory: pathlib.Path, seed: int):
    """Runs a search with each executor, after one that fills the cache.

    Args:
      directory: for workdirs.
      seed: of all drills.
    """
    self._directory = directory
    self._seed = seed
    self._lock = threading.Lock()
    self._found: dict[Any, Any] = {}
    self.seconds: dict[str, float] = {}
    for name, executor in (
        ('first_inline', 'inline'), ('first_processes', 'processes'),
        ('inline', 'inline'), ('processes', 'processes'),
    ):
      logs = directory / name
      logs.mkdir()
      search = SearchProcess(command(logs / 'run', executor), logs, {})
      search.wait_until_open()
      begun = time.monotonic()
      search.wait()
      self.seconds[executor] = time.monotonic() - begun
      if search.process.returncode:
        raise RuntimeError(f'a search without a fault fails: {search.tail()}')
      self._found[name] = to_reproduce(logs / 'run')
    if self._found['inline'] != self._found['processes']:
      raise RuntimeError('inline and processes differ without any fault')

  def of(self, drill: Drill) -> Any:
    """The result that a drill must have; NaN has one of its own."""
    if drill.fault != 'nan':
      return self._found['inline']
    with self._lock:
      key = drill.candidate, drill.step
      if key not in self._found:
        directory = self._directory / f'nan{drill.candidate}-{drill.step}'
        directory.mkdir()
        quiet = Drill(
            drill.number, 'nan', 'inline', 0.0, False, drill.candidate,
            drill.step,
        )
        trip = Trip(quiet, directory, 0.0, self._seed)
        trip.run()
        self._found[key] = trip.kept
      return self._found[key]


def _drill(output: pathlib.Path, cache: pathlib.Path) -> None:
  faults = _possible(_FLAGS.faults)
  path = output / _FILE
  done = {drill['drill'] for drill in read(path)}
  wanted = [one for one in range(_FLAGS.searches) if one not in done]
  lock = threading.Lock()
  until = time.monotonic() + 60 * (_FLAGS.minutes or 1e6)
  os.environ['JAX_COMPILATION_CACHE_DIR'] = str(cache)

  def one(number: int) -> None:
    if time.monotonic() > until:
      return
    drill = drawn(number, _FLAGS.seed, faults)
    with tempfile.TemporaryDirectory(prefix='drill') as directory:
      found = run_drill(
          drill, pathlib.Path(directory), references.seconds[drill.executor],
          _FLAGS.seed, references.of,
      )
    # Members of a gzip file may follow each other.
    with lock, gzip.open(path, 'at', encoding='utf-8') as file:
      file.write(json.dumps(found) + '\n')
    print(found['drill'], found['fault'], found['executor'],
          found['exit_codes'], found['outcome'], found['reason'][-300:],
          flush=True)

  with tempfile.TemporaryDirectory(prefix='drill') as directory:
    references = References(pathlib.Path(directory), _FLAGS.seed)
    print('undisturbed:', references.seconds, flush=True)
    with futures.ThreadPoolExecutor(_FLAGS.parallel) as pool:
      for job in [pool.submit(one, number) for number in wanted]:
        job.result()
  write(path, read(path))
  text = json.dumps(machine(seed=_FLAGS.seed), indent=1)
  (output / 'machine.json').write_text(text + '\n')


def _possible(faults: list[str]) -> tuple[str, ...]:
  """The faults that can be made on this machine."""
  asked, unknown = ','.join(faults), set(faults) - set(FAULTS)
  if unknown:
    raise UserError(
        f'flag --faults: {sorted(unknown)}: allowed are {list(FAULTS)}'
    )
  try:
    with (
        tempfile.TemporaryDirectory() as directory,
        small_disk(pathlib.Path(directory) / 'disk'),
    ):
      pass
  except OSError as error:
    print(f'the fault disk_full is left out: {error}')
    faults = [one for one in faults if one != 'disk_full']
  if not faults:
    raise UserError(
        f'flag --faults: {asked!r}: none that can be made here;'
        f' allowed are {list(FAULTS)}'
    )
  return tuple(faults)


if __name__ == '__main__':
  _define_flags()
  cli.run(main)
