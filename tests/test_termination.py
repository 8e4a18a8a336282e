"""SIGTERM ends a program, wherever it comes."""

import subprocess
import sys

import pytest

_PROGRAM = """
import gc, os, signal, time
from layernas.errors import Preempted
from layernas.termination import end_on_sigterm

end_on_sigterm()

def terminate(*_):
  gc.callbacks.clear()
  os.kill(os.getpid(), signal.SIGTERM)
  time.sleep(0)

class Finalized:
  def __del__(self):
    terminate()

def in_a_callback():
  gc.callbacks.append(terminate)
  gc.collect()

def in_a_finalizer():
  Finalized()

try:
  WHERE()
  time.sleep(60)
except Preempted as reason:
  print(reason)
"""


@pytest.mark.parametrize('where', [
    'terminate', 'in_a_callback', 'in_a_finalizer',
])
def test_it_is_never_lost(where):
  done = subprocess.run(
      [sys.executable, '-c', _PROGRAM.replace('WHERE', where)],
      capture_output=True, text=True, timeout=30,
  )
  assert (done.stdout, done.stderr) == ('nothing was under way\n', '')


def test_what_else_is_dropped_is_shown():
  done = subprocess.run(
      [sys.executable, '-c',
       _PROGRAM.replace('os.kill(os.getpid(), signal.SIGTERM)', '1 / 0')
       .replace('WHERE', 'in_a_finalizer').replace('60', '0')],
      capture_output=True, text=True, timeout=30,
  )
  assert 'ZeroDivisionError' in done.stderr
  assert done.stdout == ''
