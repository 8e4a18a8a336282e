"""A layerwise search on 10,000 embedded CIFAR-10 images.

Finds filters, kernels, squeeze-and-excite and depth of a small MobileNetV2
under 1.8 million MAdds by 60 trainings of one epoch, of which up to nine
compare what it found with the default network, and with that one scaled in
width to the limit. The recipe and the reward are those that docs/rewards.md
found to tell most of a network. Expect validation losses of about 1.7, and test
accuracies of about 0.6 after the final training.

  ./launch.sh
  ./launch.sh train --architecture=workdir/cifar10_small/result.json
"""

from ml_collections import ConfigDict

from configs import default


def get_config(argument: str = '') -> ConfigDict:
  """The config of the main job.

  Args:
    argument: '', or 'paper', 'smoke' or both, joined by a comma: the schedule
      of the LayerNAS paper, and a run of under a minute.

  Returns:
    A locked config.
  """
  config = default.get_config()
  config.space = 'cifar10_stages'
  config.reward = 'loss'
  config.target.high = 1.8e6
  config.budget.trials = 60
  config.training.epochs = 1.0
  config.training.warmup_epochs = 0.2
  config.training.learning_rate = 0.8
  config.final.epochs = 12.0
  config.final.warmup_epochs = 1.0
  return default.finish(config, argument)
