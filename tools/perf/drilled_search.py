"""One search of the drill as a process, and what it leaves."""

import os
import pathlib
import re
import subprocess
import sys
import time
from typing import Any

from tools.perf.search_outcome import without_times

ROOT = pathlib.Path(__file__).parent.parent

TRIALS = 5
STEPS = 25
"""Of a candidate: 0.2 epochs of 8,000 images."""

_FLAGS = (
    f'--config={ROOT}/configs/cifar10_small.py:smoke',
    f'--config.budget.trials={TRIALS}',
    '--config.training.log_every_steps=2',
    '--config.training.checkpoint_every_steps=3',
    '--config.executor.threads=1',
)
_HANG_SECONDS = 15
"""Of an attempt at most, in the drills that hang."""

_LOOK_SECONDS = 0.02
_LONGEST = 240.0
"""Seconds after which a search is taken to hang."""


def command(
    workdir: pathlib.Path, executor: str, faulty: bool = False,
    hangs: bool = False,
) -> list[str]:
  """Command line of a search.

  Args:
    workdir: of the search.
    executor: inline or processes.
    faulty: whether it is the program with a fault inside.
    hangs: whether attempts have a time limit.
  """
  program = 'benchmarks/faulty_search' if faulty else 'experiments/search'
  return [
      sys.executable, str(ROOT / f'{program}.py'), *_FLAGS,
      f'--config.executor.name={executor}',
      *(['--config.executor.workers=2'] if executor == 'processes' else []),
      *([f'--config.executor.timeout={_HANG_SECONDS}'] if hangs else []),
      f'--workdir={workdir}',
  ]


_LOGGED = re.compile(r'WARNING|[IW]\d{4} ')
"""How lines begin that absl logs."""


class SearchProcess:
  """A search that runs, and what it prints.

  Attributes:
    process: of the search.
  """

  def __init__(
      self, line: list[str], logs: pathlib.Path, environment: dict[str, str]
  ):
    """Starts it.

    Args:
      line: its command line.
      logs: directory for what it prints.
      environment: variables beside those of this process.
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
    """Whether it still runs; one that never ends is ended, and raises."""
    if self.process.poll() is not None:
      return False
    if time.monotonic() - self._begun > _LONGEST:
      self.process.kill()
      self.process.wait()
      raise TimeoutError(f'no end after {_LONGEST:g} s')
    return True

  def wait(self, seconds: float = _LONGEST) -> bool:
    """Waits so long at most; whether it still runs."""
    until = time.monotonic() + seconds
    while self.alive and time.monotonic() < until:
      time.sleep(_LOOK_SECONDS)
    return self.alive

  def wait_until_open(self) -> bool:
    """Waits for its first lines; whether it still runs."""
    while self.alive and b'bound' not in self._output.read_bytes():
      time.sleep(_LOOK_SECONDS)
    return self.alive

  def lines(self) -> list[str]:
    """What it printed about faults, one line each."""
    text = self._output.read_text() + self._errors.read_text()
    words = ('error: ', 'preempted', 'tried again', 'set aside', 'run again',
             'interrupted')
    return [
        line[:300] for line in text.splitlines()
        if any(word in line for word in words)
    ]

  def error_lines(self) -> list[str]:
    """Lines on standard error but for warnings that were logged."""
    return [
        line for line in self._errors.read_text().splitlines()
        if line.strip() and not _LOGGED.match(line)
    ]

  def unclear(self) -> str:
    """What is wrong with an error of exit code 2; '' where it is clear."""
    lines = self.error_lines()
    errors = [line for line in lines if line.startswith('error: ')]
    if len(errors) == 1 and errors == lines[-1:]:
      return ''
    return f'{len(lines)} lines on standard error, the last: {lines[-1:]}'

  def tail(self) -> str:
    """The end of what it printed on standard error."""
    return self._errors.read_text()[-2000:]


def finished(workdir: pathlib.Path) -> bool:
  """Whether a search has its result."""
  return (workdir / 'result.json').exists()


def outcome(workdir: pathlib.Path) -> dict[str, Any]:
  """What a search must give again: all but times and config."""
  found = without_times(workdir)
  del found['result']['config']
  return found
