"""Several real processes of one program on this machine."""

import os
import socket
import subprocess
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

from tests import tiny


def start(
    command_of: Sequence[Sequence[str]], devices: int = 1
) -> list[subprocess.Popen]:
  """Starts a command per process, each with some CPU devices."""
  environment = os.environ | {'JAX_NUM_CPU_DEVICES': str(devices)}
  return [
      subprocess.Popen(
          command, cwd=tiny.ROOT, env=environment, stdout=subprocess.PIPE,
          stderr=subprocess.PIPE, text=True,
      )
      for command in command_of
  ]


def ended(
    processes: Sequence[subprocess.Popen], timeout: float = 120
) -> list[subprocess.CompletedProcess]:
  """Waits for all; none is left behind."""
  try:
    outputs = [process.communicate(timeout=timeout) for process in processes]
  finally:
    for process in processes:
      process.kill()
  return [
      subprocess.CompletedProcess(process.args, process.returncode, *output)
      for process, output in zip(processes, outputs, strict=True)
  ]


class Ended(NamedTuple):
  """What became of a program that got a signal.

  Attributes:
    code: exit code.
    output: of both streams.
    seconds: from the signal to the end.
  """

  code: int
  output: str
  seconds: float


def signalled(
    command: Sequence[str], number: int, ready: Callable[[], bool]
) -> Ended:
  """Sends a program a signal.

  Args:
    command: of Python.
    number: of the signal.
    ready: when to send it; asked again and again.

  Returns:
    How it ended.
  """
  # The tests may be a job of a script, in which Ctrl-C is ignored.
  heeding = 'import runpy, signal, sys; sys.argv = sys.argv[1:]; ' + (
      'signal.signal(signal.SIGINT, signal.default_int_handler); '
      "runpy.run_path(sys.argv[0], run_name='__main__')"
  )
  python, *rest = command
  process = subprocess.Popen(
      [python, '-uc', heeding, *rest], cwd=tiny.ROOT, text=True,
      stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
  )
  try:
    while process.poll() is None and not ready():
      time.sleep(0.005)
    begun = time.monotonic()
    process.send_signal(number)
    process.wait(60)
    seconds = time.monotonic() - begun
    output, _ = process.communicate(timeout=60)
  finally:
    process.kill()
  return Ended(process.returncode, output, seconds)


def free_address() -> str:
  """host:port that nobody listens on."""
  with socket.socket() as probe:
    probe.bind(('localhost', 0))
    return f'localhost:{probe.getsockname()[1]}'


def joining(index: int, count: int, address: str) -> list[str]:
  """Flags of one of several processes."""
  return [
      f'--coordinator={address}', f'--process_count={count}',
      f'--process_index={index}',
  ]
