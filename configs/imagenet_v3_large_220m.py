"""ImageNet: MobileNetV3-Large's space, 198 to 220 million MAdds.

Candidates train 5 epochs by the TuNAS recipe; docs/imagenet_spaces.md says how
to cut the bound of 100 * 405 trials. The published LayerNAS-220M has 75.6 %
top-1 at 229 million MAdds, MobileNetV3-Large 75.2 % at 217. Expect nothing of
ours: not run by us.

  ./launch.sh search --config=configs/imagenet_v3_large_220m.py \
    --config.data.directory=gs://BUCKET/tensorflow_datasets
  ./launch.sh train --config=configs/imagenet_v3_large_220m.py \
    --architecture=workdir/imagenet_v3_large_220m/result.json
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
      space='mobilenet_v3_large', madds=220e6, dropout=0.25, argument=argument
  )
