"""The cases of the training step's benchmark, without running them."""

from layernas.networks.spec import count
from tools.perf import step_cases


def test_cases_are_what_their_names_say() -> None:
  cases = {name: step_cases.make_case(name) for name in step_cases.CASES}
  large = cases['mobilenet_v3_large_224']
  assert (large.image_size, large.batch, large.classes) == (224, 8, 1000)
  small = cases['mobilenet_v3_large_32']
  assert (small.image_size, small.batch) == (32, 32)
  assert small.network == large.network
  madds = [
      count(cases[name].network, 32, 10).madds
      for name in ('smallest', 'median', 'largest')
  ]
  assert madds == sorted(set(madds))
