"""The benchmark of executors runs trials through them."""

import pytest

from benchmarks import executors
from layernas.executors.inline import Inline


def test_so_many_trials_are_run():
  executor = Inline(executors._Nothing, executors._Nothing())
  submitted = []
  submit = executor.submit
  executor.submit = lambda one: (submitted.append(one.id), submit(one))
  executors._run(executor, 5)
  assert submitted == [0, 1, 2, 3, 4]


@pytest.mark.parametrize('name', ['inline', 'processes'])
def test_one_thread_a_candidate(name):
  config = executors._config(name, 2, 7)
  assert (config.executor.threads, config.budget.trials) == (1, 7)
  assert config.executor.name == name
