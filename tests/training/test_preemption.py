"""Tests of layernas.training.hosts."""

import os
import signal

from layernas.training import hosts


def test_signal_is_noticed_inside_alone():
  before = signal.getsignal(signal.SIGTERM)
  with hosts.listening():
    assert not hosts.noticed()
    os.kill(os.getpid(), signal.SIGTERM)
    assert hosts.noticed()
    assert hosts.noticed()
  assert signal.getsignal(signal.SIGTERM) is before
  with hosts.listening():
    assert not hosts.noticed()
