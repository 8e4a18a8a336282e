"""SIGTERM where nothing is under way that must be saved: the program ends.

What has something to save listens itself; see `training.preemption`.
"""

import os
import signal
import sys
import threading
from typing import Any
from typing import NoReturn

from layernas.errors import Preempted

_SOON = 0.05
"""Seconds after which a signal comes again that was lost."""


def end_on_sigterm() -> None:
  """Has SIGTERM raise Preempted in the main thread, at any time.

  Python drops what is raised inside callbacks of its garbage collector and in
  finalizers, and JAX has such callbacks: what was dropped there comes again.
  """
  signal.signal(signal.SIGTERM, preempt)
  before = sys.unraisablehook

  def hook(unraisable: Any) -> None:
    if issubclass(unraisable.exc_type, Preempted):
      _send_again()
    else:
      before(unraisable)

  sys.unraisablehook = hook


def preempt(*_: object) -> NoReturn:
  """Answers the signal."""
  raise Preempted('nothing was under way')


def _send_again() -> None:
  timer = threading.Timer(_SOON, os.kill, (os.getpid(), signal.SIGTERM))
  timer.daemon = True
  timer.start()
