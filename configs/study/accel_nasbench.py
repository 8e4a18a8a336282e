"""ImageNet, MnasNet's space: every method with 30 to 300 noisy trainings.

The surrogate of Accel-NASBench is the truth: a query gives its accuracy with a
normal error, and the answer is judged by it without one. Standard deviations of
the error: seed, 0.2, about that of two trainings of one network; half and full,
0.5 and 1 times 3.2, about the deviation between random networks in the limit.
Start networks: middle, ordinary and just above the limit; mnasnet_a1,
MnasNet-A1, good and within it. Limits: 383 M MAdds, and for middle the medians
of two latencies. Methods that ignore the start network give the same from both.
Takes hours on two CPU cores. Expect 61 to 68, by error and budget; a random
network in the limit has about 59.2 (docs/benchmarks.md).

  ./launch.sh benchmark --config=configs/study/accel_nasbench.py
"""

from ml_collections import ConfigDict

from configs.study import default
from configs.study import search_quality
from layernas.study.tables.accel_nasbench import ACCURACY
from layernas.study.tables.accel_nasbench import LIMIT

STARTS = ('middle', 'mnasnet_a1')

NOISES = {'seed': 0.2, 'half': 1.6, 'full': 3.2}
"""Standard deviations of a query's error, in points of accuracy."""

_BUDGETS = {
    'seed': (100, 300), 'half': (30, 60, 100, 300), 'full': (30, 60, 100, 300),
}

# Of TPE, whose runs take most of the time: more than in other studies, since
# it is the strongest of the others here.
_TPE_SEEDS = 40

# Variants of our own methods, which search_quality.py compares; they would take
# half of the time here.
_ELSEWHERE = ('layernas_recentred', 'model_random', 'ours_no_repeats')

# Medians of 100,000 random networks in ms an image
# (docs/results/accel_nasbench).
_LATENCIES = {'ms_zcu102': 6.965, 'ms_a100': 0.1336}


def get_config(argument: str = '') -> ConfigDict:
  """The config of the comparison.

  Args:
    argument: words joined by commas: `opponents` adds methods of packages that
      requirements.txt does not have, `smoke` shrinks all to four seeds of 30
      trials.

  Returns:
    A locked config.
  """
  config = default.get_config()
  config.title = 'Accel-NASBench'
  config.seeds = 100
  config.accountings = ('every_query',)
  for start in STARTS:
    config.benchmarks.update(_benchmarks(start))
  if 'smoke' in argument.split(','):
    for section in config.benchmarks.values():
      section.budget.trials = min(_BUDGETS['full'])
  rest = search_quality.set_methods(config, argument)
  for name in _ELSEWHERE:
    del config.methods[name]
  for name, method in config.methods.items():
    if name.startswith('tpe'):
      method.seeds = _TPE_SEEDS
  return default.finish(config, rest)


def section_of(
    start: str, noise: float, trials: int, cost: str = 'madds',
    limit: float = LIMIT,
) -> ConfigDict:
  """A benchmark.

  Args:
    start: default network of the space, one of `STARTS`.
    noise: standard deviation of a query's error, in points of accuracy.
    trials: queries of a run.
    cost: column that is limited.
    limit: its largest value.

  Returns:
    The section, unlocked.
  """
  return default.benchmark(
      table__name='accel_nasbench',
      table__settings=ConfigDict({'start': start}),
      rewards=(ACCURACY,), report=ACCURACY, noise=noise, cost=cost,
      target__high=float(limit), budget__trials=trials,
      signal='estimated ImageNet accuracy, %, with an error',
      metric='the same without error',
      protocol=f'seven MnasNet blocks, start network {start}, {cost} at most'
      f' {limit:,}, about its median',
  )


def _benchmarks(start: str) -> dict[str, ConfigDict]:
  sections = {
      f'{start}_{name}_{trials}': section_of(start, noise, trials)
      for name, noise in NOISES.items() for trials in _BUDGETS[name]
  }
  if start == 'middle':
    for cost, limit in _LATENCIES.items():
      for trials in _BUDGETS['seed']:
        sections[f'{start}_{cost}_{trials}'] = section_of(
            start, NOISES['seed'], trials, cost, limit
        )
  return sections
