"""ImageNet: MobileNetV2's space, 270 to 300 million MAdds.

MobileNetV2 has no squeeze-and-excite, so that this is to be compared with the
75.5 % top-1 of LayerNAS-300M without it; imagenet_v2_300m_se has it.
MobileNetV2 itself has 72.0 %. Candidates train 5 epochs by the TuNAS recipe;
docs/imagenet_spaces.md says how to cut the bound of 100 * 464 trials. Expect
nothing of ours: not run by us.

  ./launch.sh search --config=configs/imagenet_v2_300m.py \
    --config.data.directory=gs://BUCKET/tensorflow_datasets
  ./launch.sh train --config=configs/imagenet_v2_300m.py \
    --architecture=workdir/imagenet_v2_300m/result.json
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
      space='mobilenet_v2', madds=300e6, dropout=0.15, argument=argument
  )
