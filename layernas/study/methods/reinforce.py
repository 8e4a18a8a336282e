"""REINFORCE (Williams 1992) with independent logits for every layer."""

import numpy as np

from layernas.errors import UserError
from layernas.search.space import Architecture
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.study.methods.baseline import Baseline

# Of Adam, as in its paper (arXiv 1412.6980, algorithm 1).
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


class Reinforce(Baseline):
  """Raises the probability of options in networks better than the average.

  Proposals outside the target are drawn again; the gradient is that of the
  proposal as if it had been drawn without the limit.
  """

  def __init__(self, learning_rate: float = 0.01, baseline_decay: float = 0.9):
    """Makes a strategy that has not begun.

    Args:
      learning_rate: of Adam; 0.01 in NATS-Bench's protocol.
      baseline_decay: of the rewards' moving average; 0.9 likewise.
    """
    super().__init__()
    if not learning_rate > 0:
      raise UserError(
          f'reinforce.learning_rate: {learning_rate}: allowed are numbers above'
          ' zero'
      )
    if not 0 <= baseline_decay < 1:
      raise UserError(
          f'reinforce.baseline_decay: {baseline_decay}: allowed are numbers'
          ' from 0 to below 1'
      )
    self.learning_rate = learning_rate
    self.baseline_decay = baseline_decay

  def generations(self, context: Context) -> Generations:
    """Yields one network after another without end."""
    problem, rng = context.problem, context.rng
    policy = _Policy(problem.space.option_counts, self.learning_rate)
    average = weight = 0.0
    while True:
      probabilities = policy.probabilities()
      rows = [row[:n] for row, n in zip(
          probabilities.tolist(), problem.space.option_counts, strict=True
      )]
      architecture = self.draw(problem, rng, lambda rows=rows: tuple(
          rng.choices(range(len(row)), row)[0] for row in rows
      ))
      trial = yield from self.evaluate(problem, architecture)
      if trial.ok:
        reward = trial.evaluation.reward
        average += (1 - self.baseline_decay) * (reward - average)
        weight += (1 - self.baseline_decay) * (1 - weight)
        policy.step(architecture, probabilities, reward - average / weight)


class _Policy:
  """Logits of all layers and their Adam state; arrays (layers, options)."""

  def __init__(self, counts: tuple[int, ...], learning_rate: float):
    shape = len(counts), max(counts)
    missing = np.arange(shape[1]) >= np.array(counts)[:, None]
    self._logits = np.where(missing, -np.inf, 0.0)
    self._first = np.zeros(shape)
    self._second = np.zeros(shape)
    self._steps = 0
    self._learning_rate = learning_rate

  def probabilities(self) -> np.ndarray:
    """Probability of every option; zero where a layer has fewer."""
    weights = np.exp(self._logits - self._logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)

  def step(
      self, architecture: Architecture, probabilities: np.ndarray,
      advantage: float,
  ) -> None:
    """One step up the gradient of advantage * log probability."""
    gradient = -probabilities
    gradient[np.arange(len(architecture)), architecture] += 1.0
    gradient *= advantage
    self._steps += 1
    self._first += (1 - _BETA1) * (gradient - self._first)
    self._second += (1 - _BETA2) * (gradient**2 - self._second)
    first = self._first / (1 - _BETA1**self._steps)
    second = self._second / (1 - _BETA2**self._steps)
    self._logits += self._learning_rate * first / (np.sqrt(second) + _EPSILON)
