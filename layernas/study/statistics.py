"""Statistics of runs: spread, a test over their answers, Holm's correction.

Runs that end in the same network share its figure, so together they say no more
about a method's networks than one of them. The sample of the test is therefore
the distinct answers, not the runs.
"""

import math
from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats


def describe(values: Sequence[float]) -> dict[str, Any]:
  """Computes mean and spread of a sample.

  Args:
    values: the sample.

  Returns:
    `mean`, `sd` (population: divided by the number of values), `median` and
    `quartiles` (lower and upper, interpolated linearly); all None if the sample
    is empty.
  """
  if not len(values):
    return dict.fromkeys(('mean', 'sd', 'median', 'quartiles'))
  low, median, high = np.percentile(values, (25, 50, 75)).tolist()
  return {
      'mean': mean(values),
      'sd': _deviation(values, 0),
      'median': median,
      'quartiles': [low, high],
  }


def mean(values: Sequence[float]) -> float | None:
  """Mean of a sample; exact for equal values."""
  if not len(values):
    return None
  return float(values[0]) if _constant(values) else float(np.mean(values))


Answers = Sequence[tuple[str, float]]
"""The answer of each run of a method, and the run's figure."""


def compare(
    first: Answers, second: Answers, given: bool = False
) -> dict[str, Any]:
  """Welch's two-sided t test over distinct answers, and Cohen's d over runs.

  The null hypothesis is that the figures of both methods' answers have one
  mean, and that figures of different networks are independent. If s is an
  answer's share of a method's runs, the method's mean is the sum of s times the
  figure, and its squared error is sum(s**2) times the variance between answers.
  This is therefore Welch's test with Kish's effective number of answers, 1 /
  sum(s**2) ("Survey Sampling", 1965), instead of the number of runs. An answer
  of both methods counts once, by the difference of its shares. Degrees of
  freedom are Satterthwaite's. The variance of a single answer is unknown: that
  of the other method is used.

  Args:
    first: answers of a method.
    second: answers of another method.
    given: whether the answer of the second method is given, not found; its
      figure is then exact, and the test asks whether the answers of the first
      method are better than this network.

  Returns:
    `difference` of the means over runs, first minus second; `effect`, the
    difference in pooled standard deviations of runs, None where no runs of one
    method differ; `t`, `degrees` of freedom and `p`. If no test is possible,
    these are None and `reason` says why; otherwise it is ''.
  """
  row = dict.fromkeys(('difference', 'effect', 't', 'degrees', 'p'))
  row['reason'] = ''
  if not first or not second:
    return row | {'reason': 'a method has no answer'}
  samples = [[figure for _, figure in runs] for runs in (first, second)]
  row['difference'] = mean(samples[0]) - mean(samples[1])
  figures = _figures((*first, *second))
  s, t = (_shares(runs, figures) for runs in (first, second))
  y = np.array(list(figures.values()))
  if np.array_equal(s, t):
    return row | {'reason': 'both methods have the same answers'}
  variances = _variance(s, y), (0.0, 1.0) if given else _variance(t, y)
  squared, degrees = _squared_error(s, t, variances)
  if not squared:
    return row | {'reason': 'neither method varies'}
  # An answer of both methods may vary between them and within neither.
  if deviation := pooled_deviation(*samples):
    row['effect'] = row['difference'] / deviation
  row['t'] = ((s - t) @ y).item() / math.sqrt(squared)
  row['degrees'] = degrees
  row['p'] = 2 * stats.t.sf(abs(row['t']), degrees).item()
  return row


def _figures(runs: Answers) -> dict[str, float]:
  """Mean figure of each answer: its runs may report different trainings."""
  grouped: dict[str, list[float]] = {}
  for answer, figure in runs:
    grouped.setdefault(answer, []).append(figure)
  return {answer: mean(values) for answer, values in grouped.items()}


def _shares(runs: Answers, figures: Mapping[str, float]) -> np.ndarray:
  """Share of the runs that ended in each answer, in the order of figures."""
  counts = Counter(answer for answer, _ in runs)
  return np.array([counts[answer] for answer in figures]) / len(runs)


def _squared_error(
    s: np.ndarray, t: np.ndarray,
    variances: Sequence[tuple[float, float] | None],
) -> tuple[float, float]:
  """Squared standard error of the difference of two methods' means.

  The variance of an answer's figure is that of its method; where both give it,
  the mean of their variances by its shares.

  Args:
    s: shares of the answers in one method's runs, [answers].
    t: likewise, of the other one.
    variances: of the methods, each with its degrees of freedom; None where it
      is not known.

  Returns:
    The squared error, 0 where no figure varies, and its degrees of freedom.
  """
  known = list(zip(variances, (s, t), strict=True))
  if None in variances:
    known = [(each, s + t) for each in variances if each is not None]
  weights = (s - t) ** 2 / (s + t)
  parts = [
      (variance * (weights @ share).item(), degrees)
      for (variance, degrees), share in known
  ]
  squared = sum(part for part, _ in parts)
  if not squared:
    return 0.0, 0.0
  return squared, squared**2 / sum(part**2 / df for part, df in parts)


def _variance(
    shares: np.ndarray, y: np.ndarray
) -> tuple[float, float] | None:
  """Unbiased variance of a figure between answers with shares of the runs.

  Args:
    shares: of the answers, [answers]; they sum to 1.
    y: figures of the answers.

  Returns:
    The variance and its degrees of freedom; None for a single answer.
  """
  given = shares > 0
  s, y = shares[given], y[given]
  if len(s) == 1:
    return None
  squares = (s**2).sum()
  # Of equal figures no rounding is left.
  spread = 0.0 if _constant(y) else s @ (y - s @ y) ** 2
  # With independent figures of variance v, `spread` is the quadratic form
  # y' (diag(s) - s s') y: its mean is v times the trace.
  trace = 1 - squares
  degrees = trace**2 / (squares - 2 * (s**3).sum() + squares**2)
  return float(spread / trace), float(degrees)


def pooled_deviation(first: Sequence[float], second: Sequence[float]) -> float:
  """Standard deviation within two samples, pooled by degrees of freedom.

  A constant sample has no spread to pool, however often it was repeated; the
  spread of the other one is used.

  Args:
    first: two values or more.
    second: two values or more.

  Returns:
    The square root of the pooled unbiased variance.
  """
  pooled = [x for x in (first, second) if not _constant(x)]
  squares = sum(_deviation(x, 1) ** 2 * (len(x) - 1) for x in pooled)
  return math.sqrt(squares / max(sum(len(x) - 1 for x in pooled), 1))


def holm(values: Sequence[float]) -> list[float]:
  """Holm's step-down correction for testing several hypotheses.

  Args:
    values: p-values of one family.

  Returns:
    Adjusted p-values in the same order.
  """
  adjusted = [0.0] * len(values)
  largest = 0.0
  for rank, index in enumerate(np.argsort(values, kind='stable').tolist()):
    largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
    adjusted[index] = largest
  return adjusted


def _constant(values: Sequence[float]) -> bool:
  return min(values) == max(values)


def _deviation(values: Sequence[float], lost: int) -> float:
  """Standard deviation with some degrees of freedom lost; 0 if constant."""
  return 0.0 if _constant(values) else float(np.std(values, ddof=lost))
