"""ImageNet, MnasNet's space: slow model-based methods beside ours.

With the noise half and the start network middle of accel_nasbench.py. The
argument names the other method; `smoke` may follow it, as in smac,smoke.

smac: SMAC3's random forest, after 30, 60 and 100 queries; a suggestion takes
  some tenths of a second. Takes an hour of one CPU core. Expect 62 to 66.
gp: Optuna's GPSampler, after 30 queries; a suggestion takes four seconds in
  these 28 decisions. Needs configs/study/requirements.txt. Takes a quarter of
  an hour of one CPU core. Expect 62 to 66.

  ./launch.sh benchmark --config=configs/study/accel_opponents.py:smac
  ./launch.sh benchmark --config=configs/study/accel_opponents.py:gp
"""

from ml_collections import ConfigDict

from configs.default import split_argument
from configs.study import accel_nasbench
from configs.study import default
from configs.study import search_quality

# Queries, and seeds of both methods.
_VARIANTS = {'smac': ((30, 60, 100), 24), 'gp': ((30,), 8)}


def get_config(argument: str = '') -> ConfigDict:
  """The config of one comparison.

  Args:
    argument: smac or gp; `,smoke` behind it takes a few seeds of 20 queries.

  Returns:
    A locked config.

  Raises:
    ValueError: no method, or a word that is not allowed.
  """
  variant, smoke = split_argument(argument, _VARIANTS, ('smoke',))
  budgets, seeds = _VARIANTS[variant]
  config = default.get_config()
  config.title = f'Accel-NASBench, {variant}'
  config.seeds = seeds
  config.accountings = ('every_query',)
  for trials in budgets:
    config.benchmarks[f'middle_half_{trials}'] = accel_nasbench.section_of(
        'middle', accel_nasbench.NOISES['half'], trials
    )
  config.methods.ours = search_quality.methods().ours
  config.methods[variant] = search_quality.opponents()[variant]
  config.methods[variant].seeds = seeds
  if smoke:
    for section in config.benchmarks.values():
      section.budget.trials = 20
  config.compared = 'ours'
  return default.finish(config, smoke)
