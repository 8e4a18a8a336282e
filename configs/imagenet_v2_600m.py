"""ImageNet: the space of MobileNetV2 1.4, 540 to 600 million MAdds.

The published LayerNAS-600M has 78.6 % top-1 at 627 million MAdds and 9.7
million parameters, so most likely squeeze-and-excite, which
--config.space=mobilenet_v2_1.4_se adds; MobileNetV2 1.4 has 74.7 %. Candidates
train 5 epochs by the TuNAS recipe. Expect nothing of ours: not run by us.

  ./launch.sh search --config=configs/imagenet_v2_600m.py \
    --config.data.directory=gs://BUCKET/tensorflow_datasets
  ./launch.sh train --config=configs/imagenet_v2_600m.py \
    --architecture=workdir/imagenet_v2_600m/result.json
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
      space='mobilenet_v2_1.4', madds=600e6, dropout=0.15, argument=argument
  )
