"""Worths of networks from few noisy rewards each."""

import statistics


def shrunken_means(
    rewards: list[list[float]], population: list[float]
) -> list[float]:
  """Posterior means of networks under normal worths and normal errors.

  Args:
    rewards: of each network, one or more; of one at least two.
    population: first rewards of all networks; their better half gives the
      prior, for the lower tail of rewards is long.

  Returns:
    A mean for each network.
  """
  error = _pooled_variance(rewards)
  half = sorted(population)[len(population) // 2:]
  middle = statistics.fmean(half)
  worth = max(statistics.pvariance(half) - error, 0.1 * error, 1e-12)
  return [
      middle + worth / (worth + error / len(each))
      * (statistics.fmean(each) - middle)
      for each in rewards
  ]


def _pooled_variance(rewards: list[list[float]]) -> float:
  repeated = [each for each in rewards if len(each) > 1]
  return sum(
      statistics.variance(each) * (len(each) - 1) for each in repeated
  ) / sum(len(each) - 1 for each in repeated)
