"""Tests of layernas.training.preemption."""

import os
import signal

from layernas.training import preemption


def test_signal_is_noticed_inside_alone():
  before = signal.getsignal(signal.SIGTERM)
  with preemption.listening():
    assert not preemption.noticed()
    os.kill(os.getpid(), signal.SIGTERM)
    assert preemption.noticed()
    assert preemption.noticed()
  assert signal.getsignal(signal.SIGTERM) is before
  with preemption.listening():
    assert not preemption.noticed()
