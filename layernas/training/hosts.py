"""Several processes that run one program together, one per host.

Every process runs the same code on its own devices and its own share of every
batch. Process 0 decides and writes; what it decides is told to the others, and
what all must have in common is compared. With one process nothing is sent.

A preempted machine gets SIGTERM: the process saves, says so and ends, after the
step that is under way or after the compilation or evaluation. Several processes
end after the same step.

All processes call these functions equally often and in the same order.

A process that fails leaves the others in a collective, which on GPUs waits for
ever. They hear of it through JAX's coordination service, which needs no device,
and end too.
"""

import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import TypeVar

import jax
import numpy as np
from jax._src import distributed  # Its client has no other name.
from jax.experimental import multihost_utils

from layernas.errors import Preempted
from layernas.errors import UserError
from layernas.termination import leave

Value = TypeVar('Value')

AUTO = 'auto'
"""As a coordinator: the platform knows it (TPU slices, Slurm, Open MPI)."""


def join(
    coordinator: str, count: int | None = None, index: int | None = None
) -> None:
  """Makes this process one of several; before anything is computed.

  Args:
    coordinator: host:port of process 0, or `AUTO`; '' stays alone.
    count: number of processes; None where the platform knows.
    index: of this process, 0 <= index < count; None likewise.

  Raises:
    UserError: the platform does not know, or the others did not come.
  """
  if not coordinator:
    return
  print(
      f'waiting for the other processes at {coordinator}, for five minutes at'
      ' most', file=sys.stderr,
  )
  address = None if coordinator == AUTO else coordinator
  try:
    jax.distributed.initialize(address, count, index)
  except (RuntimeError, ValueError) as error:
    raise UserError(
        f'flag --coordinator: {coordinator!r}: {error}: allowed are host:port'
        ' of process 0 with --process_count and --process_index, or'
        f' {AUTO!r} where the platform knows them (TPU slices, Slurm, Open MPI)'
    ) from error


def is_first() -> bool:
  """Whether this is process 0, which decides and writes."""
  return jax.process_index() == 0


def shared(value: Any) -> Any:
  """What process 0 has.

  Args:
    value: JSON types; that of other processes is ignored.

  Returns:
    The value of process 0.
  """
  if jax.process_count() == 1:
    return value
  return _gathered(value if is_first() else None)[0]


def shared_arrays(tree: Any) -> Any:
  """What process 0 has, to the bit.

  Args:
    tree: NumPy arrays; in other processes of the same shapes and dtypes.

  Returns:
    The tree of process 0.
  """
  if jax.process_count() == 1:
    return tree
  leaves, structure = jax.tree.flatten(jax.tree.map(np.asarray, tree))
  # As bytes: a sum over processes would make 0.0 of -0.0.
  flat = np.concatenate([
      np.frombuffer(leaf.tobytes(), np.uint8) for leaf in leaves
  ])
  flat = np.asarray(multihost_utils.broadcast_one_to_all(flat), np.uint8)
  parts = np.split(flat, np.cumsum([leaf.nbytes for leaf in leaves])[:-1])
  return jax.tree.unflatten(structure, [
      np.frombuffer(part.tobytes(), leaf.dtype).reshape(leaf.shape)
      for part, leaf in zip(parts, leaves, strict=True)
  ])


def on_first(function: Callable[[], Value]) -> Value:
  """Calls a function in process 0 alone.

  Args:
    function: returns JSON types.

  Returns:
    Its result, in every process.

  Raises:
    UserError: it raised one; every process does.
  """
  if jax.process_count() == 1:
    return function()
  outcome = _outcome(function) if is_first() else None
  value, error = _gathered(outcome)[0]
  if error is not None:
    raise UserError(error)
  return value


def on_all(function: Callable[[], Value]) -> Value:
  """Calls a function in every process.

  Args:
    function: prepares something on this host.

  Returns:
    Its result here.

  Raises:
    UserError: one of the processes raised one; every process does.
  """
  if jax.process_count() == 1:
    return function()
  kept = []

  def kept_here() -> None:
    kept.append(function())

  for index, (_, error) in enumerate(_gathered(_outcome(kept_here))):
    if error is not None:
      raise UserError(f'process {index}: {error}')
  return kept[0]


def agree(what: str, value: Any) -> None:
  """Checks that every process has the same.

  Args:
    what: name of the value, for the message.
    value: JSON types.

  Raises:
    UserError: they differ; every process raises it.
  """
  if jax.process_count() == 1:
    return
  first, *others = _gathered(value)
  for index, other in enumerate(others, 1):
    if other != first:
      where, one, another = _difference(what, first, other)
      raise UserError(
          f'{where}: process 0 has {one!r}, process {index} has {another!r}:'
          ' allowed is the same in every process'
      )


def _outcome(function: Callable[[], Any]) -> tuple[Any, str | None]:
  """Result and UserError of a function, one of them None."""
  try:
    return function(), None
  except UserError as error:
    return None, str(error)


def _gathered(value: Any) -> list[Any]:
  """The values of all processes, as JSON leaves them."""
  text = np.frombuffer(json.dumps(value).encode(), np.uint8)
  sizes = multihost_utils.process_allgather(np.int32(len(text)))
  padded = np.pad(text, (0, int(sizes.max()) - len(text)))
  rows = np.asarray(multihost_utils.process_allgather(padded), np.uint8)
  return [
      json.loads(row[:size].tobytes())
      for row, size in zip(rows, sizes.tolist(), strict=True)
  ]


def _difference(name: str, one: Any, another: Any) -> tuple[str, Any, Any]:
  """Name and values of the first field in which two JSON values differ."""
  if isinstance(one, dict) and isinstance(another, dict):
    for field in sorted(one.keys() | another.keys()):
      if one.get(field) != another.get(field):
        return _difference(
            f'{name}.{field}', one.get(field), another.get(field)
        )
  return name, one, another


_FAILURE = 'layernas/failure'
"""What the coordination service keeps the first failure under."""

_LOOK_SECONDS = 1.0
_MEET_SECONDS = 15.0
_GRACE_SECONDS = 5.0
"""For processes that come to the same end to say so themselves."""

_fails = threading.Event()
"""Whether this process says itself why it ends."""

_another_failed = threading.Event()
"""Whether this process has heard that another one failed."""


@contextlib.contextmanager
def together() -> Iterator[None]:
  """Ends all processes of a run within seconds when an exception ends one.

  A context, or a decorator. The others print the exception and have its exit
  code. Nothing is done where a process is alone.
  """
  if not jax.distributed.is_initialized():
    yield
    return
  client = distributed.global_state.client
  index = distributed.global_state.process_id
  ended = threading.Event()
  listener = threading.Thread(
      target=_end_with_another, args=(client, index, ended), daemon=True
  )
  listener.start()

  def stop_listening() -> None:
    # A thread in JAX's code while Python ends would have the process abort.
    ended.set()
    listener.join()

  try:
    yield
  except Preempted:
    stop_listening()
    raise
  except BaseException as error:
    own = isinstance(error, UserError | KeyboardInterrupt)
    if _another_failed.is_set() and not own:
      # It follows from that failure: a connection was closed.
      threading.Event().wait()
    _fails.set()
    code = 2 if isinstance(error, UserError) else 1
    name = '' if code == 2 else f'{type(error).__name__}: '
    text = json.dumps({
        'process': index, 'code': code,
        'message': ' '.join(f'{name}{error}'.split()),
    })
    # Another one may have failed before, or be gone.
    with contextlib.suppress(RuntimeError):
      client.key_value_set(_FAILURE, text)
    raise
  stop_listening()


def all_come(place: str) -> bool:
  """Whether every process comes to the same place within seconds.

  Args:
    place: its name, which is used once.

  Returns:
    True where this process is alone.
  """
  if jax.process_count() == 1:
    return True
  client = distributed.global_state.client
  try:
    client.wait_at_barrier(place, int(1e3 * _MEET_SECONDS))
  except RuntimeError:
    return False
  return True


def _end_with_another(
    client: Any, index: int, ended: threading.Event
) -> None:
  """Waits for a failure of any process, then ends this one."""
  while True:
    try:
      failure = json.loads(client.key_value_try_get(_FAILURE))
      break
    except RuntimeError:  # There is none.
      if ended.wait(_LOOK_SECONDS):
        return
  if failure['process'] != index:
    _another_failed.set()
  time.sleep(_GRACE_SECONDS)
  if not _fails.is_set():
    print(
        f'error: process {failure["process"]}: {failure["message"]}',
        file=sys.stderr, flush=True,
    )
  if index == 0:
    # The others hear of it from the service in this process.
    time.sleep(_GRACE_SECONDS)
  leave(failure['code'])


_NOTICE = threading.Event()
_asked = 0


@contextlib.contextmanager
def listening() -> Iterator[None]:
  """Notices SIGTERM inside; to be entered in the main thread.

  Where several processes run, JAX's own notice of the signal is left in place:
  it lets them agree on a step.
  """
  if jax.process_count() > 1:
    yield
    return
  before = signal.signal(signal.SIGTERM, lambda *_: _NOTICE.set())
  try:
    yield
  finally:
    signal.signal(signal.SIGTERM, before)
    # A training that nobody listens for does not end by an earlier signal.
    _NOTICE.clear()


def noticed() -> bool:
  """Whether to save and end now.

  Every process of a run calls this equally often; all get the same answer.
  """
  global _asked  # noqa: PLW0603
  _asked += 1
  if jax.process_count() > 1:
    return multihost_utils.reached_preemption_sync_point(_asked)
  return _NOTICE.is_set()
