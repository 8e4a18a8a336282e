"""Workers on a Ray cluster: an actor for each, on any node that has room.

The actor does not evaluate: it has a worker process beside it, as a search has
on its own machine, and passes on what the two say to each other.
"""

import contextlib
import math
import os
import pathlib
import selectors
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import ray

from layernas.errors import UserError
from layernas.executors.connection import Backend
from layernas.executors.connection import Connection
from layernas.executors.connection import Message
from layernas.executors.executor import ExecutorSettings
from layernas.executors.executor import check_address
from layernas.executors.processes import LocalProcess
from layernas.executors.processes import check_shared
from layernas.executors.processes import memory_share
from layernas.termination import beside

_KINDS = ('TPU', 'GPU', 'CPU')
"""Ray's names of what workers take, the first one that the cluster has."""

_LOOK_SECONDS = 1.0
"""Between two looks at the nodes."""

_POLL_SECONDS = 10.0
"""For which an actor waits until its process says something."""

_CONNECT_SECONDS = 4.0


class WorkerHost:
  """A worker process beside this one.

  A process of its own, and not this one's thread: it can be killed, it gets
  SIGTERM in its main thread, and XLA reads its settings when it begins.
  """

  def __init__(
      self, name: str, environment: Mapping[str, str], evaluator: str,
      settings: Mapping[str, Any],
  ):
    """Starts the process.

    Args:
      name: of the worker.
      environment: variables beside those of this process.
      evaluator: module:function that makes what evaluates.
      settings: JSON types, for that function.
    """
    directory = pathlib.Path(tempfile.mkdtemp(prefix='layernas-worker-'))
    self._process = LocalProcess(
        name, environment, directory / f'{name}.log', evaluator, settings
    )

  def send(self, kind: str, values: Mapping[str, Any]) -> None:
    """Passes on a message."""
    self._process.send(kind, **values)

  def receive(self, seconds: float) -> tuple[Sequence[Message], str]:
    """Waits for messages, at most so long.

    Args:
      seconds: at most.

    Returns:
      The messages, and why the process has ended, '' while it lives.
    """
    with selectors.DefaultSelector() as selector:
      selector.register(self._process, selectors.EVENT_READ)
      selector.select(seconds)
    return self._process.receive(), self._process.ended

  def terminate(self) -> None:
    """Sends SIGTERM."""
    self._process.terminate()

  def pid(self) -> int:
    """Of this process."""
    return os.getpid()


_HOST = ray.remote(WorkerHost)


class RayBackend(Backend):
  """Workers wherever the cluster has room; nodes may come and go."""

  def __init__(
      self, settings: ExecutorSettings, evaluator: str,
      evaluator_settings: Mapping[str, Any],
  ):
    """Joins the cluster, or starts one on this machine.

    Args:
      settings: address, workers, devices, per_device, threads and memory.
      evaluator: module:function that makes what evaluates.
      evaluator_settings: JSON types, for that function.

    Raises:
      UserError: there is no such cluster, or it has no room for a worker, or
        what it has cannot be shared.
    """
    self._settings = settings
    self._evaluator = evaluator, evaluator_settings
    self._joined = not ray.is_initialized()
    if self._joined:
      _join(settings.address)
    self._looked = -_LOOK_SECONDS
    self._room = 0
    nodes = _nodes()
    self._kind = next(
        kind for kind in _KINDS
        if kind == 'CPU' or any(node.get(kind, 0) for node in nodes)
    )
    check_shared(settings.per_device, self._kind.lower())
    if not any(node.get(self._kind, 0) >= self._each() for node in nodes):
      raise UserError(
          f"executor.name: 'ray': no node has room for a worker with"
          f' executor.devices {settings.devices}, executor.threads'
          f' {settings.threads}; the nodes have {nodes}; allowed is a cluster'
          ' with such a node'
      )

  @property
  def page(self) -> str:
    """Address of Ray's dashboard; '' where it does not run."""
    url = ray.worker.get_dashboard_url()
    return f'http://{url}' if url else ''

  def wanted(self) -> int:
    """As many as the config says, or as the nodes have room for now."""
    if self._settings.workers:
      return self._settings.workers
    if time.monotonic() - self._looked >= _LOOK_SECONDS:
      self._looked = time.monotonic()
      self._room = self._settings.per_device * sum(
          int(resources.get(self._kind, 0) // self._each())
          for resources in _nodes()
      )
    return self._room

  def start(self, index: int) -> 'RayWorker':
    """Starts an actor; it waits until there is room."""
    each, settings = self._each(), self._settings
    options: dict[str, Any] = {
        'num_cpus': settings.threads or 1, 'max_concurrency': 4,
        'runtime_env': {'env_vars': {
            # Nodes import what this process can import.
            'PYTHONPATH': os.pathsep.join(filter(None, sys.path)),
        }},
    }
    if self._kind == 'GPU':
      options['num_gpus'] = _part(each, settings.per_device)
    elif self._kind == 'TPU':
      options['resources'] = {'TPU': each}
    if settings.memory:
      options['memory'] = int(settings.memory * 2**30)
    actor = _HOST.options(**options).remote(
        str(index), self._environment(), *self._evaluator
    )
    return RayWorker(str(index), actor)

  def wait(self, connections: Sequence['RayWorker'], seconds: float) -> None:
    """Waits until one has sent something or ended."""
    if connections:
      ray.wait([one.polled for one in connections], timeout=seconds)
    else:
      time.sleep(seconds)

  def __exit__(self, *error: object) -> None:
    """Leaves the cluster; one that was started here ends."""
    if self._joined:
      ray.shutdown()

  def _each(self) -> int:
    """Of the kind, for a worker, or for all that share a device."""
    cpu = self._kind == 'CPU'
    return (self._settings.threads or 1) if cpu else self._settings.devices

  def _environment(self) -> dict[str, str]:
    """Variables of a worker beside those that Ray sets."""
    if self._kind != 'CPU':
      return memory_share(self._settings.per_device)
    return {
        'JAX_PLATFORMS': 'cpu',
        'JAX_NUM_CPU_DEVICES': str(self._settings.devices),
        'NPROC': str(self._settings.threads or 1),
        'OPENBLAS_NUM_THREADS': '1',
    }


class RayWorker(Connection):
  """An actor that has a worker process, seen from the search.

  Attributes:
    polled: what the actor is asked at the moment.
  """

  def __init__(self, name: str, actor: Any):
    """Asks the actor for its first message.

    Args:
      name: for people.
      actor: a remote `WorkerHost`.
    """
    self.name = name
    self._actor = actor
    self._ended = ''
    self.polled = actor.receive.remote(_POLL_SECONDS)

  def send(self, kind: str, **values: Any) -> None:
    """Sends a message; one to an actor that is gone is lost."""
    self._actor.send.remote(kind, values)

  def receive(self) -> Sequence[Message]:
    """Messages that have come."""
    if self._ended or not ray.wait([self.polled], timeout=0)[0]:
      return []
    try:
      messages, self._ended = ray.get(self.polled)
    except ray.exceptions.RayError as error:
      self._ended = 'lost with its node or actor: ' + _first_line(error)
      return []
    if not self._ended:
      self.polled = self._actor.receive.remote(_POLL_SECONDS)
    return messages

  @property
  def ended(self) -> str:
    """Why it has ended; '' while it lives."""
    return self._ended

  def terminate(self) -> None:
    """Has the process get SIGTERM."""
    self._actor.terminate.remote()

  def kill(self) -> None:
    """Ends the process with its actor."""
    ray.kill(self._actor)

  def close(self, seconds: float) -> None:
    """Waits until the process has ended, at most so long."""
    until = time.monotonic() + seconds
    while not self._ended and time.monotonic() < until:
      ray.wait([self.polled], timeout=until - time.monotonic())
      self.receive()
    ray.kill(self._actor)


def _join(address: str) -> None:
  answers_sigterm = signal.getsignal(signal.SIGTERM)
  # With 'auto' Ray goes by it.
  inherited = os.environ.get('RAY_ADDRESS', '')
  if address == 'auto' and inherited:
    check_address('environment variable RAY_ADDRESS', inherited)
  try:
    _knock(inherited if address == 'auto' else address)
    ray.init(
        # Without an address Ray would join a cluster that it finds here.
        address=address or 'local', logging_level='ERROR', log_to_driver=False,
    )
    # Ray's own answer would end the search before it has saved.
    signal.signal(signal.SIGTERM, answers_sigterm)
  except (OSError, RuntimeError, ValueError) as error:
    raise UserError(
        f'executor.address: {address!r}: {_first_line(error)}; allowed is the'
        " address of a Ray cluster, 'auto', or '' for this machine alone"
    ) from error


def _knock(address: str) -> None:
  """Raises OSError where no head of a cluster answers; Ray would wait long."""
  host, colon, port = address.rpartition(':')
  if not colon:
    return
  socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
  until = time.monotonic() + _CONNECT_SECONDS

  def check() -> None:
    if time.monotonic() > until:
      raise OSError('what listens there is not the head of a Ray cluster')

  try:
    with _quiet():
      beside(lambda: ray._raylet.GcsClient(address=address), check)
  except ray.exceptions.RpcError as error:
    raise OSError(
        'what listens there is not the head of a Ray cluster:'
        f' {_first_line(error)}'
    ) from error
  except ray.exceptions.RayError as error:
    # Such as a wrong token; Ray would ask for a while.
    raise OSError(_first_line(error)) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Keeps away what Ray's C++ prints when nobody answers."""
  kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
  try:
    os.dup2(nowhere, 2)
    yield
  finally:
    os.dup2(kept, 2)
    os.close(kept)
    os.close(nowhere)


def _part(whole: int, workers: int) -> float:
  """Of GPUs; Ray counts in ten-thousandths, and as many parts have to fit."""
  return whole if workers == 1 else math.floor(1e4 * whole / workers) / 1e4


def _nodes() -> list[Mapping[str, float]]:
  """Resources of the nodes that live."""
  return [node['Resources'] for node in ray.nodes() if node['Alive']]


def _first_line(error: Exception) -> str:
  return next(filter(None, str(error).splitlines()), type(error).__name__)
