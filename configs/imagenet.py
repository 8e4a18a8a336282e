"""LayerNAS on ImageNet, below the published limits of multiply-adds.

The argument is a variant of the table below; a recipe, `paper` and `smoke` may
follow it, joined by commas, as in v2_300m_se,tunas,smoke. The recipe is
`layernas`, the paper's, unless `tunas` or `mobilenet_v3` is named; `smoke`
shrinks everything to two networks, 32 pixels and a few steps. Candidates train
for 5 epochs as in the paper, 300 of them unless --config.budget.trials says
otherwise. `paper` searches as the paper does, interleaved with H = 100, until
all layers are through: docs/imagenet_spaces.md says how to cut that to what one
can pay. Expect no figures from us: we have run none of these. The published
ones stand beside the variants.

  ./launch.sh search --config=configs/imagenet.py:v3_small_60m \
    --config.data.directory=gs://BUCKET/tensorflow_datasets
  ./launch.sh train --architecture=workdir/imagenet_v3_small_60m/result.json
"""

from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from ml_collections import ConfigDict

from configs import default


class Variant(NamedTuple):
  """A search space and the limit to search under.

  Attributes:
    space: a name of layernas.networks.mobilenet_spaces.
    madds: upper end of the target interval, which names the published model.
    dropout: of the final training by the recipes layernas and tunas.
  """

  space: str
  madds: float
  dropout: float


VARIANTS: Mapping[str, Variant] = {
    # LayerNAS-60M: 69.0 % top-1 at 61 million MAdds. MobileNetV3-Small: 67.4 %
    # at 56.
    'v3_small_60m': Variant('mobilenet_v3_small', 60e6, 0.25),
    # LayerNAS-220M: 75.6 % at 229. MobileNetV3-Large: 75.2 % at 217.
    'v3_large_220m': Variant('mobilenet_v3_large', 220e6, 0.25),
    # The same options around the network that has neither squeeze-and-excite
    # nor hard-swish; nothing is published for it.
    'v3_large_220m_no_se': Variant('mobilenet_v3_large_no_se', 220e6, 0.25),
    # LayerNAS-300M without squeeze-and-excite: 75.5 %. MobileNetV2: 72.0 %.
    'v2_300m': Variant('mobilenet_v2', 300e6, 0.15),
    # LayerNAS-300M: 77.1 % at 322. MobileNetV2's space with MobileNetV3's
    # squeeze-and-excite and hard-swish in every block.
    'v2_300m_se': Variant('mobilenet_v2_se', 300e6, 0.15),
    # LayerNAS-600M: 78.6 % at 627 with 9.7 million parameters, so most likely
    # with squeeze-and-excite, which --config.space=mobilenet_v2_1.4_se adds.
    # MobileNetV2 1.4: 74.7 %.
    'v2_600m': Variant('mobilenet_v2_1.4', 600e6, 0.15),
}
"""The searches by the word that names them."""

RECIPES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    # The LayerNAS paper (arXiv 2304.11517): 500 epochs, peak rate 2.64 for 4096
    # images, cosine. What it leaves open is as in TuNAS, very likely its
    # trainer; pixels go from -1 to 1. 4096 images are 128 on each core of a 4x4
    # TPU. Weight decay includes the depthwise kernels and leaves the classifier
    # out.
    'layernas': {
        'training': {
            'batch_size': 4096,
            'epochs': 500.0,
            'optimizer': 'rmsprop',
            'momentum': 0.9,
            'rms_decay': 0.9,
            'rms_epsilon': 1.0,
            'learning_rate': 0.165,
            'schedule': 'cosine',
            'warmup_epochs': 12.5,
            'weight_decay': 4e-5,
            'weight_decay_excludes': 'batch_norm,bias,classifier',
            'label_smoothing': 0.1,
            'ema_decay': 0.0,
        },
        # Its dropout depends on the network: see the variants.
        'model': {
            'batch_norm_momentum': 0.99,
            'batch_norm_epsilon': 1e-3,
            'dropout_from_epochs': 150.0,
        },
        'data': {},
    },
    # TuNAS (Bender et al., 2020, arXiv 2008.06120) as its code has it:
    # github.com/google-research/google-research, folder tunas.
    'tunas': {
        # mobile_train_eval.py: flags and main(); 4096 images for 0.165 * 16.
        'training': {
            'batch_size': 4096,
            'epochs': 360.0,
            'optimizer': 'rmsprop',
            'momentum': 0.9,
            'rms_decay': 0.9,
            'rms_epsilon': 1.0,
            'learning_rate': 0.165,
            'schedule': 'cosine',
            # warmup_steps_fraction: 2.5 %.
            'warmup_epochs': 9.0,
            # With bfloat16, which all configs of this file compute in; 4e-5 in
            # float32.
            'weight_decay': 3e-5,
            'weight_decay_excludes': 'batch_norm,bias,classifier',
            'label_smoothing': 0.1,
            'ema_decay': 0.0,
        },
        'model': {
            'batch_norm_momentum': 0.99,
            'batch_norm_epsilon': 1e-3,
            'dropout_from_epochs': 150.0,
            # rematlib/layers.py: every core normalises by its own images.
            'sync_batch_norm': False,
            # rematlib/mobile_model_v3.py, get_model().
            'initialization': 'fan_in',
            'classifier_deviation': 0.01,
        },
        # imagenet_preprocessing.py. Its box is the whole image, so that what an
        # area covers of it is the share that it takes.
        'data': {
            'min_object_covered': 0.1,
            'crop_fallback': 'central',
            'evaluation_margin': 32,
            # fast_imagenet_input.py.
            'mean': (0.485, 0.456, 0.406),
            'deviation': (0.229, 0.224, 0.225),
        },
    },
    # MobileNetV3 (Howard et al., 2019, arXiv 1905.02244) and MnasNet; 1024
    # images are for 8 cores. All parameters but those of batch norm decay.
    'mobilenet_v3': {
        'training': {
            'batch_size': 1024,
            'epochs': 350.0,
            'optimizer': 'rmsprop',
            'momentum': 0.9,
            'rms_decay': 0.9,
            'rms_epsilon': 1e-3,
            'learning_rate': 0.016,
            'schedule': 'stepped',
            'decay_rate': 0.97,
            'decay_epochs': 2.4,
            'warmup_epochs': 5.0,
            'weight_decay': 1e-5,
            'weight_decay_excludes': 'batch_norm',
            'label_smoothing': 0.1,
            'ema_decay': 0.9999,
        },
        'model': {
            'batch_norm_momentum': 0.99,
            'batch_norm_epsilon': 1e-3,
            'dropout': 0.2,
            'dropout_from_epochs': 0.0,
        },
        'data': {},
    },
}
"""Fields of the sections training, model and data, for a run to the end."""

CANDIDATE_EPOCHS = 5.0
"""As in the LayerNAS paper."""

TRIALS = 300
"""Trainings of a search; our choice, and few for a space of 5e20 networks."""

TRAIN_IMAGES = 1_281_167
"""Images of the training split."""

HELD_OUT_IMAGES = 50_046
"""Of them, TuNAS holds so many out: they give the reward."""

SMOKE_IMAGES = 2048
"""Of each split, `smoke` reads so many at most."""


def get_config(argument: str = '') -> ConfigDict:
  """The config of one search.

  Networks of less than 90 % of the limit are not in the target interval (our
  choice): they would be compared with larger ones. It holds the reference
  networks, MobileNetV2 excepted, whose 300.8 million lie just above 300.

  Args:
    argument: a variant, then a recipe, `paper` and `smoke`, joined by commas.

  Returns:
    A locked config.

  Raises:
    ValueError: no variant, or a word that is not allowed.
  """
  name, recipe, paper, smoke = default.split_argument(
      argument, VARIANTS, RECIPES, ('paper',), ('smoke',)
  )
  variant = VARIANTS[name]
  config = default.get_config()
  config.space = variant.space
  config.budget.trials = TRIALS
  config.target.low, config.target.high = 0.9 * variant.madds, variant.madds
  _set_data(config.data)
  config.model.dropout = variant.dropout
  _set_recipe(config, recipe or 'layernas')
  config.model.dtype = 'bfloat16'
  config.reference.seeds = 1
  config.reference.divisor = 8
  for training in (config.training, config.final):
    training.evaluation_batch_size = 2048
    training.log_every_steps = 100
    training.checkpoint_every_steps = 300
  if smoke:
    _shrink(config)
  # Dense layers do not shrink with the image: less than 224 / 32 squared. On a
  # CPU a network of this size compiles for half a minute.
  return default.finish(
      config, ','.join(filter(None, (paper, smoke))), smoke_size=32,
      smoke_target=1 / 26, smoke_trials=2,
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


def _set_recipe(config: ConfigDict, name: str) -> None:
  """Sets model and data, and both trainings.

  A candidate's short run keeps the shape of the schedule: warm-up and the
  epochs between steps are the same shares of it.
  """
  recipe = RECIPES[name]
  config.model.update(recipe['model'])
  config.data.update(recipe['data'])
  config.final.update(recipe['training'])
  config.training.update(recipe['training'])
  config.training.epochs = CANDIDATE_EPOCHS
  share = CANDIDATE_EPOCHS / config.final.epochs
  for field in ('warmup_epochs', 'decay_epochs'):
    config.training[field] *= share


def _shrink(config: ConfigDict) -> None:
  """Less data, and batches that eight devices share."""
  config.data.num_classes = 0
  config.data.train_split = f'train[:{SMOKE_IMAGES}]'
  config.data.test_split = f'validation[:{SMOKE_IMAGES}]'
  config.data.validation_share = 0.25
  for training in (config.training, config.final):
    training.batch_size = 16
    training.evaluation_batch_size = 16
