"""A layerwise search on 10,000 embedded CIFAR-10 images.

Finds filters, kernels, squeeze-and-excite and depth of a small MobileNetV2
under 1.8 million MAdds by trainings of two epochs. Recipe and reward are those
that docs/rewards.md found to tell most of a network. Expect validation losses
of about 1.6, and test accuracies of about 0.6 after the final training.

  ./launch.sh
  ./launch.sh train --architecture=workdir/cifar10_small/result.json
"""

from ml_collections import ConfigDict

from configs import default


def get_config(argument: str = '') -> ConfigDict:
  """The config of the main job.

  Args:
    argument: '' or 'smoke', which shrinks the run to under a minute.

  Returns:
    A locked config.
  """
  config = default.get_config()
  config.space = 'cifar10_stages'
  config.reward = 'loss'
  config.target.high = 1.8e6
  config.search.buckets = 2
  config.training.epochs = 2.0
  config.training.warmup_epochs = 0.2
  config.final.epochs = 12.0
  config.final.warmup_epochs = 1.0
  return default.finish(config, argument)
