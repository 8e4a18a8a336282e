"""A layerwise search on 10,000 embedded CIFAR-10 images.

Finds filters, kernels, squeeze-and-excite and depth of a small MobileNetV2
under 1.8 million MAdds, of 40 million networks, by 64 trainings of two epochs.
Nine of them compare what it found with the default network, and with that one
scaled in width to the limit. Recipe and reward are those that docs/rewards.md
found to tell most of a network. Each core of a CPU, or each accelerator, trains
a candidate of its own. Expect validation losses of about 1.55, and what
docs/embedded_search.md shows after the final training.

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
  config.space = 'cifar10_large'
  config.target.high = 1.8e6
  config.budget.trials = 64
  # A run of four trials would be over before workers have started.
  if 'smoke' not in argument:
    config.executor.name = 'processes'
  config.training.epochs = 2.0
  config.training.warmup_epochs = 0.2
  config.final.epochs = 12.0
  config.final.warmup_epochs = 1.0
  return default.finish(config, argument)
