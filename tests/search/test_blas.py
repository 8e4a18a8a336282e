"""Linear algebra of the reward model: one thread, set back by the last one."""

import contextlib
import sys
import threading
import types

import numpy as np
import pytest

from layernas.search import blas
from layernas.search.reward_model import RewardModel


class Controller:
  """Stands for threadpoolctl's; says how many threads products may take."""

  threads = 4

  def select(self, user_api):
    assert user_api == 'blas'
    return self

  @contextlib.contextmanager
  def limit(self, limits):
    before, Controller.threads = Controller.threads, limits
    yield
    Controller.threads = before


@pytest.fixture
def controller(monkeypatch):
  fake = types.SimpleNamespace(ThreadpoolController=Controller)
  monkeypatch.setitem(sys.modules, 'threadpoolctl', fake)
  monkeypatch.setattr(Controller, 'threads', 4)
  blas._limit.cache_clear()
  yield Controller
  blas._limit.cache_clear()


def _model():
  rng = np.random.default_rng(0)
  return RewardModel([3, 3]), rng.integers(3, size=(9, 2)), rng.normal(size=9)


def test_the_reward_model_computes_on_one_thread(controller, monkeypatch):
  seen = []
  cholesky = np.linalg.cholesky
  monkeypatch.setattr(
      np.linalg, 'cholesky',
      lambda one: seen.append(controller.threads) or cholesky(one),
  )
  model, architectures, rewards = _model()
  model.fit(architectures, np.zeros(len(rewards)), rewards)
  assert set(seen) == {1}
  assert controller.threads == 4


def test_the_last_of_several_threads_sets_it_back(controller):
  inside, leave = threading.Event(), threading.Event()

  def other():
    with blas.one_thread():
      inside.set()
      leave.wait(9)

  thread = threading.Thread(target=other)
  thread.start()
  assert inside.wait(9)
  with pytest.raises(ZeroDivisionError), blas.one_thread():
    1 / 0  # noqa: B018
  assert controller.threads == 1
  leave.set()
  thread.join()
  assert controller.threads == 4


def test_without_threadpoolctl_it_computes_the_same(controller, monkeypatch):
  model, architectures, rewards = _model()
  limited = model.fit(architectures, np.zeros(len(rewards)), rewards)
  monkeypatch.setitem(sys.modules, 'threadpoolctl', None)
  blas._limit.cache_clear()
  model, architectures, rewards = _model()
  unlimited = model.fit(architectures, np.zeros(len(rewards)), rewards)
  assert np.array_equal(unlimited, limited)
