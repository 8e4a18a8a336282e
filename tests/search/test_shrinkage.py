"""Tests of layernas.search.finalists."""

import math

import pytest

from layernas.search.finalists import shrunken_means


def test_few_repeats_are_shrunken_more():
  """By hand: errors have variance 2, worths 5 - 2 = 3 around a mean of 4."""
  population = [-9.0, -9.0, 4 - math.sqrt(5), 4 + math.sqrt(5)]
  means = shrunken_means([[7.0, 9.0], [9.0]], population)
  assert means == pytest.approx([4 + 3 / 4 * 4, 4 + 3 / 5 * 5])


def test_without_errors_means_stay_as_they_are():
  means = shrunken_means([[3.0, 3.0], [5.0, 5.0]], [1.0, 3.0, 5.0, 2.0])
  assert means == pytest.approx([3.0, 5.0])


def test_where_all_is_error_all_are_nearly_equal():
  means = shrunken_means([[0.0, 10.0], [4.0, 8.0]], [5.0, 5.0, 5.0, 5.0])
  assert means == pytest.approx([5.0, 5.0], abs=0.2)
