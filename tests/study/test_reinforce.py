"""Tests of layernas.study.methods.reinforce."""

import math

import numpy as np
import pytest

from layernas.search import Budget
from layernas.search import Search
from layernas.study.methods.reinforce import Reinforce
from layernas.study.methods.reinforce import _Policy
from tests.search import problems


def test_first_step_by_hand():
  """Two layers of 2 and 3 options; Adam's first step is lr * sign."""
  policy = _Policy((2, 3), 0.01)
  before = policy.probabilities()
  np.testing.assert_allclose(before, [[0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]])
  policy.step((1, 0), before, advantage=2.0)
  np.testing.assert_allclose(
      policy._logits, [[-0.01, 0.01, -np.inf], [0.01, -0.01, -0.01]], rtol=1e-6
  )


def test_gradient_is_that_of_the_log_probability():
  """Against central differences, at logits that are not all equal."""
  policy = _Policy((3, 2), 0.01)
  policy._logits[:] = [[0.3, -0.2, 0.1], [0.5, 0.0, -np.inf]]
  probabilities = policy.probabilities()
  policy.step((2, 0), probabilities, advantage=-1.5)
  analytic = policy._first / 0.1

  def log_probability(logits):
    return sum(
        row[option] - math.log(sum(math.exp(x) for x in row))
        for row, option in zip(logits, (2, 0), strict=True)
    )

  logits = [[0.3, -0.2, 0.1], [0.5, 0.0]]
  for layer, row in enumerate(logits):
    for option in range(len(row)):
      values = []
      for step in (1e-6, -1e-6):
        moved = [list(each) for each in logits]
        moved[layer][option] += step
        values.append(log_probability(moved))
      numeric = -1.5 * (values[0] - values[1]) / 2e-6
      assert analytic[layer, option] == pytest.approx(numeric, abs=1e-6)


def test_second_step_by_hand():
  """Adam with its bias corrections, for one logit."""
  policy = _Policy((2,), 0.1)
  gradients = []
  for advantage in (1.0, 3.0):
    probabilities = policy.probabilities()
    gradients.append(advantage * (1 - probabilities[0, 0]))
    policy.step((0,), probabilities, advantage)
  first = second = logit = 0.0
  for step, gradient in enumerate(gradients, 1):
    first = 0.9 * first + 0.1 * gradient
    second = 0.999 * second + 0.001 * gradient**2
    logit += 0.1 * (first / (1 - 0.9**step)) / (
        math.sqrt(second / (1 - 0.999**step)) + 1e-8
    )
  assert policy._logits[0, 0] == pytest.approx(logit)


def test_probability_moves_to_the_better_options():
  problem = problems.make_problem([[0, 1, 2, 3]] * 4)
  strategy = Reinforce(learning_rate=0.05)
  search = Search(problem, strategy, Budget(trials=600), reuse=False)
  problems.run(search, lambda c: problems.Evaluation(
      float(sum(c.architecture))
  ))
  rewards = [trial.evaluation.reward for trial in search.trials]
  assert np.mean(rewards[:20]) == pytest.approx(6, abs=1.5)
  assert np.mean(rewards[-50:]) > 10.5


@pytest.mark.parametrize(('settings', 'part'), [
    ({'learning_rate': 0}, 'reinforce.learning_rate: 0'),
    ({'learning_rate': math.nan}, 'reinforce.learning_rate: nan'),
    ({'baseline_decay': 1.0}, 'reinforce.baseline_decay: 1.0'),
    ({'baseline_decay': -0.1}, 'reinforce.baseline_decay: -0.1'),
])
def test_settings(settings, part):
  with problems.refuses(part):
    Reinforce(**settings)
