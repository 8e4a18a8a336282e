"""ImageNet, MnasNet's space: SMAC3's random forest beside ours.

With the noise half and the start network middle of accel_nasbench.py, in which
a suggestion of SMAC3 takes a third of a second. (One of Optuna's GPSampler
takes five seconds there: it is left out.) Takes half an hour of one CPU core.
Expect 62 to 66.

  ./launch.sh benchmark --config=configs/study/accel_smac.py
"""

from ml_collections import ConfigDict

from configs.study import accel_nasbench
from configs.study import default
from configs.study import search_quality

_BUDGETS = (30, 60, 100)


def get_config(argument: str = '') -> ConfigDict:
  """The config of the comparison.

  Args:
    argument: '', or 'smoke', which takes a few seeds of 20 trials.

  Returns:
    A locked config.
  """
  config = default.get_config()
  config.title = 'Accel-NASBench, SMAC3'
  config.seeds = 24
  config.accountings = ('every_query',)
  for trials in _BUDGETS:
    config.benchmarks[f'middle_half_{trials}'] = accel_nasbench.section_of(
        'middle', accel_nasbench.NOISES['half'], trials
    )
  config.methods.ours = search_quality.methods().ours
  config.methods.smac = search_quality.opponents().smac
  config.methods.smac.seeds = config.seeds
  if argument == 'smoke':
    for section in config.benchmarks.values():
      section.budget.trials = 20
  config.compared = 'ours'
  return default.finish(config, argument)
