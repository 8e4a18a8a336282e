"""ImageNet: MobileNetV3-Small's space, 54 to 60 million MAdds.

Candidates train 5 epochs by the TuNAS recipe; H = 100 as in the paper, so that
the bound is 100 * 1,160 trials, more than anyone trains:
docs/imagenet_spaces.md says how to cut it. The published LayerNAS-60M has 69.0
% top-1 at 61 million MAdds, MobileNetV3-Small 67.4 % at 56. Expect nothing of
ours: not run by us.

  ./launch.sh search --config=configs/imagenet_v3_small_60m.py \
    --config.data.directory=gs://BUCKET/tensorflow_datasets
  ./launch.sh train --config=configs/imagenet_v3_small_60m.py \
    --architecture=workdir/imagenet_v3_small_60m/result.json
"""

from ml_collections import ConfigDict

from configs import imagenet_default


def get_config(argument: str = '') -> ConfigDict:
  """The config of the search.

  Args:
    argument: words joined by commas, see configs/imagenet_default.py.

  Returns:
    A locked config.
  """
  return imagenet_default.get_config(
      space='mobilenet_v3_small', madds=60e6, dropout=0.25, argument=argument
  )
