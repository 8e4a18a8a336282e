"""The search that measurements of searches are of: a sweep of 26 trials.

They compare versions of the program, so it stays as it is, whatever
configs/cifar10_small.py becomes.
"""

from ml_collections import ConfigDict

from configs import default

SPACE = 'cifar10_small'


def get_config() -> ConfigDict:
  """A sweep with two buckets over 2,187 networks, by the accuracy of an epoch.

  Returns:
    An unlocked config.
  """
  config = default.get_config()
  config.space = SPACE
  config.reward = 'accuracy'
  config.target.high = 1.8e6
  config.search.schedule = 'sweep'
  config.search.buckets = 2
  config.reference.trainings = 0
  config.training.epochs = 1.0
  config.training.warmup_epochs = 0.2
  config.final.epochs = 12.0
  config.final.warmup_epochs = 1.0
  return config
