"""Programs as users start them, in processes that have imported JAX already.

A process of its own takes seconds to import what a fork has at once.
"""

import contextlib
import multiprocessing
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from collections.abc import Sequence

from tests import impatience
from tests import tiny

_CONTEXT = multiprocessing.get_context('forkserver')
_CONTEXT.set_forkserver_preload([
    'layernas.runs.run_search', 'layernas.runs.final',
    'layernas.runs.one_candidate', 'layernas.runs.cli',
])


def run(
    program: str | pathlib.Path, *flags: str, devices: int = 1,
    timeout: float = 120, impatient: bool = False,
) -> subprocess.CompletedProcess:
  """Runs a program to its end.

  Args:
    program: name of one in experiments/, or a path.
    *flags: of its command line.
    devices: CPU devices that it has.
    timeout: in seconds.
    impatient: whether it says at once what may take long.

  Returns:
    Exit code and what it printed.
  """
  if isinstance(program, str):
    program = tiny.ROOT / 'experiments' / f'{program}.py'
  command = [str(program), *flags]
  environment = os.environ | {
      'XLA_FLAGS': f'--xla_force_host_platform_device_count={devices}'
  }
  with tempfile.TemporaryDirectory() as directory:
    streams = [str(pathlib.Path(directory) / name) for name in 'oe']
    process = _CONTEXT.Process(
        target=_in_child,
        args=(command, dict(environment), streams, impatient),
    )
    process.start()
    process.join(timeout)
    assert process.exitcode is not None, f'{command} does not end'
    output, errors = (pathlib.Path(one).read_text() for one in streams)
  return subprocess.CompletedProcess(
      command, process.exitcode, output, errors
  )


def _in_child(
    command: Sequence[str], environment: Mapping[str, str],
    streams: Sequence[str], impatient: bool,
) -> None:
  """Becomes a program whose standard streams are files."""
  os.chdir(tiny.ROOT)
  os.environ.update(environment)
  for number, path in enumerate(streams, 1):
    os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), number)
  sys.argv = list(command)
  with impatience.without_waiting() if impatient else contextlib.nullcontext():
    runpy.run_path(command[0], run_name='__main__')
