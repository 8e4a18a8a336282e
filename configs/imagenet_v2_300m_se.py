"""ImageNet: MobileNetV2 with squeeze-and-excite, 270 to 300 million MAdds.

As imagenet_v2_300m, with MobileNetV3's squeeze-and-excite and hard-swish in
every block. To be compared with LayerNAS-300M, 77.1 % top-1 at 322 million
MAdds. Expect nothing of ours: not run by us.

  ./launch.sh search --config=configs/imagenet_v2_300m_se.py \
    --config.data.directory=gs://BUCKET/tensorflow_datasets
  ./launch.sh train --config=configs/imagenet_v2_300m_se.py \
    --architecture=workdir/imagenet_v2_300m_se/result.json
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
      space='mobilenet_v2_se', madds=300e6, dropout=0.15, argument=argument
  )
