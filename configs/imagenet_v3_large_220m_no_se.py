"""ImageNet: MobileNetV3-Large without squeeze-and-excite, with ReLU.

As imagenet_v3_large_220m, in the same lists of options around the network that
has neither squeeze-and-excite nor hard-swish. There is no published figure for
it; the one without squeeze-and-excite that is known, 75.5 % at 300 million
MAdds, belongs to imagenet_v2_300m. Expect nothing of ours: not run by us.

  ./launch.sh search --config=configs/imagenet_v3_large_220m_no_se.py \
    --config.data.directory=gs://BUCKET/tensorflow_datasets
  ./launch.sh train --config=configs/imagenet_v3_large_220m_no_se.py \
    --architecture=workdir/imagenet_v3_large_220m_no_se/result.json
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
      space='mobilenet_v3_large_no_se', madds=220e6, dropout=0.25,
      argument=argument,
  )
