"""A layerwise search on 10,000 embedded CIFAR-10 images.

Finds kernels and filters of a small MobileNetV2 under 1.8 million MAdds in
about 26 short trainings; under 10 minutes on two CPU cores. Expect a validation
accuracy of about 0.38 after one epoch, and about 0.63 on the test images after
the final training (docs/results/cifar10_small).

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
  config.target.high = 1.8e6
  config.search.buckets = 2
  config.training.epochs = 1.0
  config.training.warmup_epochs = 0.2
  config.final.epochs = 12.0
  config.final.warmup_epochs = 1.0
  return default.finish(config, argument)
