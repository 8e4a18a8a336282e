"""One search under several limits beside a search for each, on tables."""

import numpy as np
import pytest

from tools.perf import fronts


@pytest.mark.parametrize('table', fronts.LIMITS)
def test_limits_divide_the_networks(table):
  """About a tenth, a quarter and a half of them lie below."""
  cost = fronts.benchmark_of(table).problem.cost
  rng = np.random.default_rng(0)
  drawn = rng.integers(0, cost.space.option_counts, (20_000, len(cost.space)))
  shares = [(cost.costs(drawn) <= high).mean() for high in fronts.LIMITS[table]]
  assert shares == pytest.approx([0.1, 0.25, 0.5], abs=0.05)


def test_plans_differ_in_their_trials_alone(monkeypatch):
  asked = []

  def noted(benchmark, highs, trials, seed):
    del benchmark
    asked.append((tuple(highs), trials, seed))
    return [0.0] * len(highs)

  monkeypatch.setattr(fronts, 'answers', noted)
  benchmark = fronts.benchmark_of('nas_bench_macro')
  highs = fronts.LIMITS['nas_bench_macro']
  for plan in fronts.PLANS:
    assert fronts.run(benchmark, plan, 4)['figures'] == [0.0] * 3
  assert asked == [
      (highs, 90, 4), *(((high,), 90, 4) for high in highs),
      *(((high,), 30, 4) for high in highs),
  ]


def test_a_front_has_a_figure_under_each_limit():
  benchmark = fronts.benchmark_of('nas_bench_macro')
  found = fronts.answers(benchmark, fronts.LIMITS['nas_bench_macro'], 20, 0)
  assert len(found) == 3
  assert all(80 < figure < 95 for figure in found)


def test_the_table_pairs_seeds():
  lines = [
      {'table': table, 'plan': plan, 'seed': seed,
       'figures': [90.0 + seed + more] * 3}
      for table in fronts.LIMITS for seed in (1, 0)
      for plan, more in (('front', 0.5), ('whole', 0.75), ('share', seed))
  ]
  rows = fronts.table_text(lines).splitlines()
  assert len(rows) == 2 + 9
  assert rows[2] == (
      '| accel_nasbench | 220 | 91.00 | 91.25 | 91.00 | -0.25 ± 0.00 |'
      ' +0.00 ± 0.50 |'
  )
