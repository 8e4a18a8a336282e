"""Several real processes of one program on this machine."""

import os
import socket
import subprocess
from collections.abc import Sequence

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
