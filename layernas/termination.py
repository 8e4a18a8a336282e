"""How a program ends by SIGTERM and Ctrl-C, whatever it is waiting for.

`end_on_sigterm` is for when nothing is under way that must be saved; what has
something to save listens itself, see `training.hosts.listening`.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any
from typing import NoReturn
from typing import TypeVar

from layernas.errors import Preempted

Value = TypeVar('Value')

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells use it."""

INTERRUPTED_TEXT = 'interrupted; the same command goes on from here'

PREEMPTED_TEXT = 'preempted: {}; the same command goes on from here'

_FINISHED = 'what was finished is saved'

_SOON = 0.05
"""Seconds after which a signal comes again that was lost."""

_LOOK_SECONDS = 0.2

_NOTICE_SECONDS = 1.5
"""For the main thread to hear of a signal."""

_END_SECONDS = 35.0
"""For it to end after Ctrl-C: workers have 25 s to save."""

_noticed = {
    signal.SIGINT: threading.Event(), signal.SIGTERM: threading.Event()
}
"""Whether the main thread has heard of a signal."""


def end_on_sigterm() -> None:
  """Has SIGTERM raise Preempted in the main thread, at any time.

  Python drops what is raised inside callbacks of its garbage collector and in
  finalizers, and JAX has such callbacks: what was dropped there comes again.
  """
  signal.signal(signal.SIGTERM, preempt)
  _when_dropped(Preempted, lambda: _send_again(signal.SIGTERM))


def preempt(*_: object) -> None:
  """Answers the signal, the first time."""
  if not _noticed[signal.SIGTERM].is_set():
    _noticed[signal.SIGTERM].set()
    raise Preempted(_FINISHED)


def end_on_interrupt() -> None:
  """Has Ctrl-C end the program once, however often it comes.

  The first one raises KeyboardInterrupt in the main thread, further ones do
  nothing. Where SIGINT is ignored (nohup, jobs of scripts), it stays so.
  """
  if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
    return
  signal.signal(signal.SIGINT, _interrupt)
  _when_dropped(KeyboardInterrupt, lambda: _send_again(signal.SIGINT))


def end_unanswered() -> None:
  """Has the process end where the main thread does not answer a signal in time.

  Python hands a signal to the main thread between two instructions only: it may
  be inside a library for long, as in XLA's compiler, or not come to an end.
  That is as safe as a kill: what was recorded before is on disk. SIGTERM is
  left to whatever listens to it in the place of `preempt`.
  """
  reader, writer = os.pipe()
  os.set_blocking(writer, False)
  signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
  os.register_at_fork(after_in_child=_deaf)
  threading.Thread(
      target=_watch, args=(reader,), name='signals', daemon=True
  ).start()


def _interrupt(*_: object) -> None:
  """Answers Ctrl-C."""
  if not _noticed[signal.SIGINT].is_set():
    _noticed[signal.SIGINT].set()
    raise KeyboardInterrupt


def leave(code: int) -> NoReturn:
  """Ends the process at once, with all that was printed.

  Python would wait for threads in which something is compiled, and pull down
  XLA under them.

  Args:
    code: exit code.
  """
  for stream in (sys.stdout, sys.stderr):
    # Whoever read the other end of a pipe may be gone.
    with contextlib.suppress(OSError, ValueError, AttributeError):
      stream.flush()
  os._exit(code)


def beside(function: Callable[[], Value], check: Callable[[], None]) -> Value:
  """Calls a function in another thread, so that signals are answered.

  Args:
    function: may be inside a library for long. Where the wait for it is ended
      it goes on, and what comes of it is dropped.
    check: called several times a second; what it raises ends the wait.

  Returns:
    What the function returns; what it raises is raised.
  """
  job: futures.Future[Value] = futures.Future()

  def run() -> None:
    try:
      job.set_result(function())
    except BaseException as error:  # Is raised where it is waited for.
      job.set_exception(error)

  threading.Thread(target=run, name='beside', daemon=True).start()
  while not futures.wait([job], _LOOK_SECONDS).done:
    check()
  return job.result()


def _watch(reader: int) -> None:
  """Waits for signals, and for the answer to each."""
  handlers = {signal.SIGINT: _interrupt, signal.SIGTERM: preempt}
  while True:
    for number in os.read(reader, 64):
      if number in handlers and signal.getsignal(number) is handlers[number]:
        threading.Thread(
            target=_end_if_unanswered, args=(number,), daemon=True
        ).start()


def _end_if_unanswered(number: int) -> None:
  """Ends the process unless the main thread does in time."""
  interrupted = number == signal.SIGINT
  if _noticed[number].wait(_NOTICE_SECONDS):
    time.sleep(_END_SECONDS)
  text = INTERRUPTED_TEXT if interrupted else PREEMPTED_TEXT.format(_FINISHED)
  with contextlib.suppress(OSError):
    os.write(2 if interrupted else 1, f'{text}\n'.encode())
  leave(INTERRUPTED if interrupted else 0)


def _deaf() -> None:
  """Has a forked process not write into the pipe of its parent."""
  with contextlib.suppress(ValueError):
    signal.set_wakeup_fd(-1)


def _when_dropped(
    kind: type[BaseException], act: Callable[[], None]
) -> None:
  """Does something where Python drops an exception of a kind."""
  before = sys.unraisablehook

  def hook(unraisable: Any) -> None:
    if issubclass(unraisable.exc_type, kind):
      act()
    else:
      before(unraisable)

  sys.unraisablehook = hook


def _send_again(number: int) -> None:
  """Sends this process a signal whose exception was dropped."""
  _noticed[number].clear()
  timer = threading.Timer(_SOON, os.kill, (os.getpid(), number))
  timer.daemon = True
  timer.start()
