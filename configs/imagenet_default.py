"""What the ImageNet searches share; not a run of its own.

The argument of an ImageNet config is a list of words, joined by commas: `smoke`
shrinks it to two networks, 32 pixels and a few steps, `mobilenet_v3` takes that
recipe instead of `tunas`.
"""

from ml_collections import ConfigDict

from configs import default
from configs import recipes

TRAIN_IMAGES = 1_281_167
"""Images of the training split."""

HELD_OUT_IMAGES = 50_046
"""Of them, TuNAS holds so many out: they give the reward."""

CANDIDATE_EPOCHS = 5.0
"""As in the LayerNAS paper."""


SMOKE_IMAGES = 2048
"""Of each split, `smoke` reads so many at most."""


def get_config(
    space: str, madds: float, dropout: float, argument: str
) -> ConfigDict:
  """A search under a limit of MAdds.

  Networks of less than 90 % of the limit are not in the target interval (our
  choice): they would be compared with larger ones. It holds the reference
  networks, MobileNetV2 excepted, whose 300.8 million lie just above 300.

  Args:
    space: a name of layernas.networks.mobilenet_spaces.
    madds: upper end of the target interval, the name of the published model.
    dropout: of the TuNAS recipe's final training.
    argument: '' or words joined by commas.

  Returns:
    The config, locked.

  Raises:
    ValueError: an unknown word.
  """
  words = [word for word in argument.split(',') if word]
  for word in words:
    if word not in ('smoke', *recipes.RECIPES):
      raise ValueError(
          f"config argument {word!r}: allowed are 'smoke' and one of"
          f' {list(recipes.RECIPES)}, joined by commas'
      )
  names = [word for word in words if word in recipes.RECIPES] or ['tunas']
  rest = ','.join(word for word in words if word not in recipes.RECIPES)
  config = default.get_config()
  config.space = space
  config.target.low, config.target.high = 0.9 * madds, madds
  _set_data(config.data)
  recipes.set_recipe(config, names[-1], CANDIDATE_EPOCHS)
  if names[-1] == 'tunas':
    config.model.dropout = dropout
  config.model.dtype = 'bfloat16'
  config.reference.seeds = 1
  config.reference.divisor = 8
  for training in (config.training, config.final):
    training.evaluation_batch_size = 2048
    training.log_every_steps = 100
    training.checkpoint_every_steps = 300
  if rest == 'smoke':
    _shrink(config)
  # Dense layers do not shrink with the image: less than 224 / 32 squared. On a
  # CPU a network of this size compiles for half a minute.
  return default.finish(
      config, rest, smoke_size=32, smoke_target=1 / 26, smoke_trials=2
  )


def _set_data(data: ConfigDict) -> None:
  data.source = 'tfds'
  data.name = 'imagenet2012'
  data.test_split = 'validation'
  data.num_classes = 1000
  data.image_size = 224
  data.validation_share = HELD_OUT_IMAGES / TRAIN_IMAGES
  data.augmentation = 'resized_crop'
  data.crop_padding = 0
  data.transfer = 'bfloat16'


def _shrink(config: ConfigDict) -> None:
  """A hundred images and eight devices are enough, more images are left."""
  config.data.num_classes = 0
  config.data.train_split = f'train[:{SMOKE_IMAGES}]'
  config.data.test_split = f'validation[:{SMOKE_IMAGES}]'
  config.data.validation_share = 0.25
  for training in (config.training, config.final):
    training.batch_size = 16
    training.evaluation_batch_size = 16
