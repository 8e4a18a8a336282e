"""An evaluator without training, whose candidates can go wrong."""

import os
import pathlib
import signal
import time

from layernas.errors import Preempted
from layernas.errors import UserError
from layernas.executors.executor import Evaluated
from layernas.search import Evaluation
from layernas.search import Status

NAME = 'tests.executors.evaluators:faulty'


class Faulty:
  """Rewards the sum of the options; every fault happens once."""

  def __init__(self, settings, report):
    self.settings = settings
    self.report = report
    self.prepared = []

  def prepare(self, architectures):
    self.prepared += architectures

  def __call__(self, candidate, hopeless):
    del hopeless
    self.report(candidate, 1, {'train_loss': 0.5})
    time.sleep(self.settings.get('seconds', {}).get(str(candidate.id), 0))
    if fault := self._next_fault(candidate):
      return getattr(self, fault)(candidate)
    reward = sum(candidate.architecture) / 10
    return Evaluated(Evaluation(reward, 1.0), {'train': 1.0})

  def measure(self):
    return self.settings['rate']

  def _next_fault(self, candidate):
    for number, name in enumerate(
        self.settings.get('faults', {}).get(str(candidate.id), ())
    ):
      marker = pathlib.Path(self.settings['markers'])
      marker /= f'{candidate.id}-{number}'
      if not marker.exists():
        marker.touch()
        return name
    return ''

  def kill(self, candidate):
    del candidate
    os.kill(os.getpid(), signal.SIGKILL)

  def leave(self, candidate):
    del candidate
    print('what it left')
    os._exit(3)

  def hang(self, candidate):
    del candidate
    time.sleep(1000)

  def preempt(self, candidate):
    del candidate
    raise Preempted('saved')

  def wait_for_sigterm(self, candidate):
    """As a training does that notices the signal."""
    try:
      self.report(candidate, 2, {})
      time.sleep(1000)
    finally:
      name = f'saved-{candidate.id}'
      (pathlib.Path(self.settings['markers']) / name).touch()

  def fail(self, candidate):
    del candidate
    evaluation = Evaluation(None, 1.0, Status.FAILED, 'no luck')
    return Evaluated(evaluation, retriable=True)

  def mistake(self, candidate):
    del candidate
    return Evaluated(Evaluation(None, 1.0, Status.FAILED, 'a mistake'))

  def nan(self, candidate):
    del candidate
    return Evaluated(Evaluation(float('nan'), 1.0))

  def data(self, candidate):
    raise UserError(f'data: of trial {candidate.id}: allowed is other data')

  def __enter__(self):
    if self.settings.get('broken'):
      print('no such device')
      os._exit(4)
    if self.settings.get('sleepy'):
      time.sleep(1000)
    return self

  def __exit__(self, *error):
    pass


def faulty(settings, report):
  return Faulty(settings, report)


class Heard:
  """A listener that keeps what it hears."""

  def __init__(self, hopeless=lambda candidate, reward: False):
    self.lines = []
    self.hopeless = hopeless

  def began(self, candidate, worker):
    self.lines.append(('began', candidate.id, worker))

  def stepped(self, candidate, step, metrics):
    self.lines.append(('stepped', candidate.id, step, dict(metrics)))

  def trouble(self, candidate, message):
    self.lines.append(('trouble', candidate and candidate.id, message))

  def of(self, kind):
    return [line[1:] for line in self.lines if line[0] == kind]
