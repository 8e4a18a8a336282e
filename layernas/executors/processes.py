"""Worker processes on this machine, one for each device or core."""

import contextlib
import functools
import json
import os
import pathlib
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
from typing import Any

from layernas.cores import usable_cores
from layernas.errors import UserError
from layernas.executors import connection
from layernas.executors.connection import Backend
from layernas.executors.connection import Connection
from layernas.executors.connection import Message
from layernas.executors.executor import ExecutorSettings

_PROGRAM = ('-m', 'layernas.executors.worker')

_LAST = 2000
"""Bytes of a log that are looked through for a reason."""

_MOST_ON_CPU = 8
"""Workers on CPU where the config names no number: each has its own copy of the
data and of XLA."""

_COUNT = (
    'import jax, json; from layernas.executors.processes import accelerators;'
    ' print(json.dumps([jax.default_backend(),'
    ' accelerators(jax.local_devices())]))'
)

_SHARED_MEMORY = 0.9
"""Share of a GPU's memory that the workers on it divide, unless XLA is told
another one."""

_MEMORY_SHARES = ('XLA_CLIENT_MEM_FRACTION', 'XLA_PYTHON_CLIENT_MEM_FRACTION')
"""Variables that tell XLA, which refuses both at once; all versions know the
last one."""

_TPU_BOUNDS = {1: '1,1,1', 2: '1,2,1', 4: '2,2,1'}
"""Chips of a process -> how they lie, as libtpu wants to hear it."""


class LocalProcess(Connection):
  """A worker process and the pipes to it."""

  def __init__(
      self, name: str, environment: Mapping[str, str], log: pathlib.Path,
      evaluator: str, settings: Mapping[str, Any],
  ):
    """Starts it.

    Args:
      name: for people.
      environment: variables beside those of this process.
      log: file that what it prints is added to.
      evaluator: module:function that makes what evaluates.
      settings: JSON types, for that function.
    """
    self.name = name
    self._log = log
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, 'ab') as output:
      self._process = subprocess.Popen(
          [sys.executable, *_PROGRAM], stdin=subprocess.PIPE,
          stdout=subprocess.PIPE, stderr=output, bufsize=0,
          # Not this terminal's Ctrl-C: the search ends its workers itself.
          start_new_session=True,
          env=os.environ | environment | {
              # A worker imports what this process can import.
              'PYTHONPATH': os.pathsep.join(filter(None, sys.path)),
          },
      )
    os.set_blocking(self._process.stdout.fileno(), False)
    self._part = b''
    self._ended = ''
    self.send('settings', evaluator=evaluator, settings=settings)

  @property
  def pid(self) -> int:
    """Of the process."""
    return self._process.pid

  def fileno(self) -> int:
    """That selectors watch."""
    return self._process.stdout.fileno()

  def send(self, kind: str, **values: Any) -> None:
    """Sends a message; one to a process that is gone is lost."""
    with contextlib.suppress(BrokenPipeError):
      self._process.stdin.write(connection.encode(kind, **values))

  def receive(self) -> Sequence[Message]:
    """Messages that have come."""
    while True:
      try:
        read = os.read(self.fileno(), 1 << 16)
      except BlockingIOError:
        break
      self._part += read
      if not read:
        self._ended = _reason(self._process.wait(), self._log)
        break
    *lines, self._part = self._part.split(b'\n')
    return list(map(connection.decode, lines))

  @property
  def ended(self) -> str:
    """Why it has ended; '' while it lives."""
    return self._ended

  def terminate(self) -> None:
    """Sends SIGTERM."""
    self._process.terminate()

  def kill(self) -> None:
    """Sends SIGKILL and waits."""
    self._process.kill()
    self._process.wait()

  def close(self, seconds: float) -> None:
    """Waits for its end, kills it after that, and closes the pipes."""
    try:
      self._process.wait(seconds)
    except subprocess.TimeoutExpired:
      self.kill()
    self._process.stdin.close()
    self._process.stdout.close()


class LocalBackend(Backend):
  """Worker processes of this machine, each with devices of its own.

  By the name inline it is one process that has what this process has. Devices
  are looked for in the background, until it is asked what there is room for.
  """

  def __init__(
      self, settings: ExecutorSettings, logs: pathlib.Path, evaluator: str,
      evaluator_settings: Mapping[str, Any],
  ):
    """Begins to look for devices; starts no worker.

    Args:
      settings: workers, devices and threads.
      logs: directory for what workers print.
      evaluator: module:function that makes what evaluates.
      evaluator_settings: JSON types, for that function.
    """
    self._settings = settings
    self._logs = logs
    self._evaluator = evaluator, evaluator_settings
    if settings.name != 'inline':
      pool = futures.ThreadPoolExecutor(1)
      self._devices = pool.submit(local_devices)
      pool.shutdown(wait=False)

  @functools.cached_property
  def _environments(self) -> list[dict[str, str]]:
    if self._settings.name == 'inline':
      return [_whole(self._settings)]
    return environments(self._settings, *self._devices.result())

  def wanted(self) -> int:
    """As many as there are devices or cores for, unless the config says.

    Raises:
      UserError: there are too few devices.
    """
    return len(self._environments)

  def start(self, index: int) -> LocalProcess:
    """Starts a process with its share of the devices."""
    return LocalProcess(
        str(index), self._environments[index], self._logs / f'{index}.log',
        *self._evaluator,
    )

  def wait(
      self, connections: Sequence[LocalProcess], seconds: float
  ) -> None:
    """Waits until one has sent something or ended."""
    with selectors.DefaultSelector() as selector:
      for connection in connections:
        selector.register(connection, selectors.EVENT_READ)
      selector.select(seconds)


def local_devices() -> tuple[str, int]:
  """Backend of this machine, and its number of GPUs, TPU chips or CPU devices.

  Another process looks: one that has looked for itself keeps the devices.

  Raises:
    UserError: JAX does not find any.
  """
  done = subprocess.run(
      [sys.executable, '-c', _COUNT], capture_output=True, text=True,
      check=False,
  )
  if done.returncode:
    last = done.stderr.strip().rpartition('\n')[2]
    platforms = os.environ.get('JAX_PLATFORMS', '')
    where = f' with JAX_PLATFORMS={platforms!r}' if platforms else ''
    raise UserError(
        f'devices{where}: {last}; allowed is a machine on which JAX runs, and'
        ' JAX_PLATFORMS as it has them, or not set'
    )
  backend, count = json.loads(done.stdout.splitlines()[-1])
  return backend, count


def accelerators(devices: Iterable[Any]) -> int:
  """What workers can be given: GPUs, or TPU chips.

  Args:
    devices: of JAX. Of TPU v2 and v3 these are cores, of which a chip has two.

  Returns:
    Their number.
  """
  return len({
      tuple(device.coords) if device.platform == 'tpu' else device.id
      for device in devices
  })


def environments(
    settings: ExecutorSettings, backend: str, count: int
) -> list[dict[str, str]]:
  """Variables of every worker.

  Args:
    settings: workers, devices of each or workers on each, threads.
    backend: as JAX names it.
    count: devices of this machine.

  Returns:
    One mapping for each worker.

  Raises:
    UserError: there are too few devices, or they cannot be shared.
  """
  check_shared(settings.per_device, backend)
  if backend == 'cpu':
    workers = settings.workers or min(usable_cores(), _MOST_ON_CPU)
    return [_cpu(settings)] * workers
  each, sharing = settings.devices, settings.per_device
  workers = settings.workers or count // each * sharing
  if not 1 <= workers * each <= count * sharing:
    shared = f', {sharing} workers on each' if sharing > 1 else ''
    raise UserError(
        f'executor.devices: {each} for each of {max(workers, 1)} workers:'
        f' allowed are {count} {backend} devices in all{shared}'
    )
  make = {'gpu': _gpu, 'tpu': _tpu}.get(backend)
  if make is None:
    raise UserError(
        f'executor.name: {settings.name!r} on {backend}: allowed is inline'
    )
  # Those of one device are not neighbours: few workers lie on many devices.
  return [
      make(index % (count // each), each) | memory_share(sharing)
      for index in range(workers)
  ]


def check_shared(workers: int, backend: str) -> None:
  """Refuses to share what only one process can have.

  Args:
    workers: on one device.
    backend: as JAX names it.

  Raises:
    UserError: there are several, and the devices are no GPUs.
  """
  if workers == 1 or backend == 'gpu':
    return
  why = {
      'tpu': 'a chip belongs to one process',
      'cpu': 'workers share the cores, and executor.workers is their number',
  }.get(backend, 'only GPUs are shared')
  raise UserError(
      f'executor.per_device: {workers!r}: on {backend} allowed is 1: {why}'
  )


def memory_share(workers: int) -> dict[str, str]:
  """Variables by which XLA takes a part of a GPU's memory.

  Args:
    workers: on one GPU. A single one takes what XLA takes by itself.

  Returns:
    Variable and value, or nothing.

  Raises:
    UserError: the variable is set already, to no number.
  """
  if workers == 1:
    return {}
  name = next(filter(os.environ.get, _MEMORY_SHARES), _MEMORY_SHARES[-1])
  given = os.environ.get(name) or str(_SHARED_MEMORY)
  try:
    return {name: f'{float(given) / workers:.4f}'}
  except ValueError as error:
    raise UserError(
        f'environment variable {name}: {given!r}: allowed is a share of the'
        f' memory, such as {_SHARED_MEMORY}'
    ) from error


def _reason(code: int, log: pathlib.Path) -> str:
  """Why a process ended, in words."""
  if code < 0:
    cause = f'killed by {signal.Signals(-code).name}'
    if -code == signal.SIGKILL:
      cause += ' (perhaps for want of memory)'
    return cause
  with open(log, 'rb') as file:
    file.seek(max(0, log.stat().st_size - _LAST))
    lines = file.read().decode(errors='replace').splitlines()
  last = next((line.strip() for line in reversed(lines) if line.strip()), '')
  return f'ended with exit code {code}' + (f': {last}' if code and last else '')


def _whole(settings: ExecutorSettings) -> dict[str, str]:
  return {'NPROC': str(settings.threads)} if settings.threads else {}


def _cpu(settings: ExecutorSettings) -> dict[str, str]:
  return {
      'JAX_PLATFORMS': 'cpu',
      'JAX_NUM_CPU_DEVICES': str(settings.devices),
      # Threads of XLA, whose number decides how sums are rounded.
      'NPROC': str(settings.threads or 1),
      # NumPy's, which would all wait for the same cores.
      'OPENBLAS_NUM_THREADS': '1',
  }


def _gpu(index: int, each: int) -> dict[str, str]:
  shown = os.environ.get('CUDA_VISIBLE_DEVICES')
  names = shown.split(',') if shown else list(map(str, range(1024)))
  return {
      'CUDA_VISIBLE_DEVICES': ','.join(
          names[index * each:(index + 1) * each]
      ),
  }


def _tpu(index: int, each: int) -> dict[str, str]:
  if each not in _TPU_BOUNDS:
    raise UserError(
        f'executor.devices: {each}: on TPU allowed are {list(_TPU_BOUNDS)}'
    )
  chips = range(index * each, (index + 1) * each)
  return {
      'TPU_VISIBLE_DEVICES': ','.join(map(str, chips)),
      'TPU_CHIPS_PER_PROCESS_BOUNDS': _TPU_BOUNDS[each],
      'TPU_PROCESS_BOUNDS': '1,1,1',
  }
