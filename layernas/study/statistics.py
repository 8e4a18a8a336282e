"""Statistics of samples of runs: spread, Welch's test, Holm's correction."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats


def describe(values: Sequence[float]) -> dict[str, Any]:
  """Mean and spread of a sample.

  Args:
    values: the sample.

  Returns:
    `mean`, `sd` (population: divided by the number of values), `median` and
    `quartiles` (lower and upper, interpolated linearly); all None where the
    sample is empty.
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
  """Mean of a sample; that of equal values is exactly their value."""
  if not len(values):
    return None
  return float(values[0]) if _constant(values) else float(np.mean(values))


def compare(first: Sequence[float], second: Sequence[float]) -> dict[str, Any]:
  """Welch's two-sided t test and the effect size (Cohen's d).

  A constant sample adds nothing to the standard error: the test is then the
  one-sample test of the other sample against that constant.

  Args:
    first: a sample.
    second: another one.

  Returns:
    `difference` of the means, first minus second; `effect`, it in pooled
    standard deviations; `t`, `degrees` of freedom and `p`. Where there is
    nothing to test by, these are None and `reason` says why; else it is ''.
  """
  row = dict.fromkeys(('difference', 'effect', 't', 'degrees', 'p'))
  if len(first) and len(second):
    row['difference'] = mean(first) - mean(second)
  row['reason'] = _why_not(first, second)
  if row['reason']:
    return row
  shares = [_deviation(x, 1) ** 2 / len(x) for x in (first, second)]
  error = math.sqrt(sum(shares))
  row['effect'] = row['difference'] / pooled_deviation(first, second)
  row['t'] = row['difference'] / error
  row['degrees'] = error**4 / (
      shares[0] ** 2 / (len(first) - 1) + shares[1] ** 2 / (len(second) - 1)
  )
  row['p'] = 2 * stats.t.sf(abs(row['t']), row['degrees']).item()
  return row


def pooled_deviation(first: Sequence[float], second: Sequence[float]) -> float:
  """Standard deviation within two samples, pooled by degrees of freedom.

  A constant sample has no spread to pool, however often it was repeated: the
  other one's is taken.

  Args:
    first: two values or more.
    second: likewise.

  Returns:
    The root of the pooled unbiased variance.
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


def _why_not(first: Sequence[float], second: Sequence[float]) -> str:
  if min(len(first), len(second)) < 2:
    return 'a method has fewer than two answers'
  if _constant(first) and _constant(second):
    return 'neither method varies'
  return ''


def _constant(values: Sequence[float]) -> bool:
  return min(values) == max(values)


def _deviation(values: Sequence[float], lost: int) -> float:
  """Standard deviation with some degrees of freedom lost; 0 if constant."""
  return 0.0 if _constant(values) else float(np.std(values, ddof=lost))
