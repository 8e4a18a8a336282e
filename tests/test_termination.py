"""SIGTERM and Ctrl-C end a program, wherever they come and however often."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from layernas import termination
from layernas.errors import Preempted
from tests import tiny

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
  assert (done.stdout, done.stderr) == ('what was finished is saved\n', '')


def test_what_else_is_dropped_is_shown():
  done = subprocess.run(
      [sys.executable, '-c',
       _PROGRAM.replace('os.kill(os.getpid(), signal.SIGTERM)', '1 / 0')
       .replace('WHERE', 'in_a_finalizer').replace('60', '0')],
      capture_output=True, text=True, timeout=30,
  )
  assert 'ZeroDivisionError' in done.stderr
  assert done.stdout == ''


_STUCK = """
import concurrent.futures, hashlib, signal, sys, time
from layernas.runs import cli
from layernas import termination

# The tests may be a job of a script, in which it is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def long():
  # Inside C, as XLA's compiler is: no signal ends it.
  hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)

def main():
  print('ready', flush=True)
  print('printed')
  WHERE

cli.run(main, resumable=True)
"""


def _ended(where: str, *signals: int) -> tuple[int, str, str, float]:
  """Exit code, output and seconds of a program that gets signals."""
  process = subprocess.Popen(
      [sys.executable, '-c', _STUCK.replace('WHERE', where)], text=True,
      cwd=tiny.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
      start_new_session=True,
  )
  try:
    assert process.stdout.readline() == 'ready\n'
    time.sleep(0.2)
    begun = time.monotonic()
    for number in signals:
      process.send_signal(number)
      time.sleep(0.2)
    process.wait(30)
    output, errors = process.stdout.read(), process.stderr.read()
  finally:
    process.kill()
  return process.returncode, output, errors, time.monotonic() - begun


_THREAD = (
    'pool = concurrent.futures.ThreadPoolExecutor(1); pool.submit(long);'
)


@pytest.mark.parametrize('where', [
    'time.sleep(60)', _THREAD + ' time.sleep(60)', 'long()',
    'termination.beside(long, lambda: None)',
])
@pytest.mark.parametrize('times', [
    1, pytest.param(3, marks=pytest.mark.long),
])
def test_ctrl_c_ends_at_once_however_often_it_comes(where, times):
  code, output, errors, seconds = _ended(where, *[signal.SIGINT] * times)
  assert code == 130
  assert output in ('printed\n', '')  # Inside C nothing can be flushed.
  assert errors == 'interrupted; the same command goes on from here\n'
  assert seconds < 4


def test_sigterm_does_not_wait_for_threads():
  code, output, errors, seconds = _ended(
      _THREAD + ' time.sleep(60)', signal.SIGTERM
  )
  assert (code, errors) == (0, '')
  assert output.startswith('printed\npreempted: ')
  assert seconds < 3


@pytest.mark.parametrize('times', [
    1, pytest.param(3, marks=pytest.mark.long),
])
def test_sigterm_does_not_wait_for_a_library(times):
  code, output, errors, seconds = _ended('long()', *[signal.SIGTERM] * times)
  assert (code, errors) == (0, '')
  assert output.endswith(
      'preempted: what was finished is saved; the same command goes on from'
      ' here\n'
  )
  assert seconds < 4


def test_a_second_sigterm_changes_nothing():
  where = """
  try:
    time.sleep(60)
  finally:
    time.sleep(0.5)
    print('cleaned')
""".strip()
  code, output, errors, _ = _ended(where, signal.SIGTERM, signal.SIGTERM)
  assert (code, errors) == (0, '')
  assert output.startswith('printed\ncleaned\npreempted: ')


@pytest.mark.long
def test_what_saves_at_sigterm_takes_its_time():
  where = """
  signal.signal(signal.SIGTERM, lambda *_: print('heard'))
  time.sleep(4)
  print('saved')
""".strip()
  code, output, errors, _ = _ended(where, signal.SIGTERM)
  assert (code, output, errors) == (0, 'printed\nheard\nsaved\n', '')


def test_what_is_beside_gives_its_result_or_its_error():
  assert termination.beside(lambda: 3, lambda: None) == 3
  with pytest.raises(ZeroDivisionError):
    termination.beside(lambda: 1 // 0, lambda: None)


def test_a_check_ends_the_wait():
  ends = threading.Event()

  def check():
    raise Preempted('now')

  with pytest.raises(Preempted):
    termination.beside(lambda: ends.wait(20), check)
  ends.set()
