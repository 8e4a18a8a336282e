"""Faults come once, in the training that they are meant for."""

import itertools
import json
import os
import resource

import numpy as np
import pytest

from layernas.training.train import Job
from tools.perf import faulty_search
from tools.perf.faulty_search import Fault
from tools.perf.faulty_search import PoisonedImages


class Images:
  name = 'images'

  def train_batches(self, *values):
    [_, _, _, start_step] = values
    for number in itertools.count(start_step):
      yield {'image': np.full((2, 1), number, np.float32), 'label': number}


def train(steps=10):
  """Stands for `train_and_evaluate`: reports ten steps."""

  def train_and_evaluate(job, workdir, *, hooks=()):
    for step in range(1, steps + 1):
      for hook in hooks:
        hook(step, {})
    return job.dataset

  return train_and_evaluate


@pytest.mark.parametrize('start', [0, 3])
def test_one_batch_is_nan_wherever_training_begins(start):
  poisoned = PoisonedImages(Images(), 4)
  assert poisoned.name == 'images'
  batches = poisoned.train_batches('train', 2, 0, start)
  for number, batch in zip(range(start, 8), batches, strict=False):
    assert batch['label'] == number
    assert np.isnan(batch['image']).all() == (number == 4)


def test_nan_is_in_the_data_of_its_candidate():
  wrapped = faulty_search.faulty(Fault('nan', 2, 4), train())
  images = Images()

  def dataset_of(candidate):
    return wrapped(Job({}, None, images), f'w/candidates/{candidate:06d}')

  assert dataset_of(1) is images
  assert isinstance(dataset_of(2), PoisonedImages)


def test_an_exception_comes_once_at_its_step(tmp_path):
  fault = Fault('exception', 2, 4, str(tmp_path / 'marker'))
  wrapped, seen = faulty_search.faulty(fault, train()), []

  def run(candidate):
    wrapped(Job({}, None, None), f'w/candidates/{candidate:06d}',
            hooks=[lambda step, metrics: seen.append(step)])

  run(1)
  assert len(seen) == 10
  seen.clear()
  with pytest.raises(RuntimeError, match='drill'):
    run(2)
  assert seen == [1, 2, 3, 4]
  seen.clear()
  run(2)
  assert len(seen) == 10


def test_memory_ends_and_the_limit_is_lifted():
  before = resource.getrlimit(resource.RLIMIT_AS)
  with pytest.raises(MemoryError):
    faulty_search.use_up_memory()
  assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_the_fault_comes_by_the_environment(monkeypatch):
  monkeypatch.setitem(os.environ, faulty_search.VARIABLE, json.dumps(
      {'name': 'nan', 'candidate': 0, 'step': 1}
  ))
  monkeypatch.setattr(faulty_search.evaluator, 'train_and_evaluate', train())
  faulty_search.install()
  found = faulty_search.evaluator.train_and_evaluate(
      Job({}, None, Images()), '000000'
  )
  assert isinstance(found, PoisonedImages)
