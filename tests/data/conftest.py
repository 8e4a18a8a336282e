"""Small data sets of every source; the TFDS one is a real set on disk."""

import functools

import ml_collections
import numpy as np
import pytest
from PIL import Image

from layernas.data.array_dataset import ArrayDataset
from layernas.data.registry import load_dataset

SHADES = (40, 120, 200)
"""Mean brightness of the images of each class, so that they tell it."""


def make_config(**changes):
  """A data section with the defaults that most tests want."""
  config = ml_collections.ConfigDict({
      'source': 'embedded',
      'name': 'cifar10_subset',
      'directory': '',
      'train_split': 'train',
      'test_split': '',
      'num_classes': 0,
      'image_size': 8,
      'validation_share': 0.25,
      'augmentation': 'none',
      'augment_on': 'host',
      'crop_padding': 2,
      'transfer': 'float32',
      'decoder': 'tensorflow',
      'bits': 0,
      'min_object_covered': 0.0,
      'crop_fallback': 'whole',
      'evaluation_margin': 0,
      'mean': (0.5, 0.5, 0.5),
      'deviation': (0.5, 0.5, 0.5),
      'settings': {},
  })
  config.update(changes)
  return config.lock()


def make_image(label, number, channels=3):
  """Noise around the shade of a class; every number has another size."""
  rng = np.random.default_rng([label, number])
  height, width = 10 + number % 5, 12 - number % 3
  shape = (height, width, channels)
  return (SHADES[label] + rng.integers(-40, 41, shape)).astype(np.uint8)


def write_folder(root, train=(9, 12, 7), test=(3, 2, 4), test_name='test'):
  """Writes DIRECTORY/train and /test with some images of each class."""
  for split, counts, offset in (('train', train, 0), (test_name, test, 100)):
    for label, count in enumerate(counts):
      directory = root / split / f'class{label}'
      directory.mkdir(parents=True)
      for number in range(count):
        suffix = ('png', 'jpg', 'JPEG')[number % 3]
        Image.fromarray(make_image(label, offset + number)).save(
            directory / f'{number:03d}.{suffix}', quality=95
        )
  return root


def load_arrays(section, train=(9, 12, 7), test=(3, 2, 4)):
  """The images of `write_folder` in memory: a data loader of ones own."""

  def split(counts, offset):
    images = [
        make_image(label, offset + number)[:8, :8]
        for label, count in enumerate(counts) for number in range(count)
    ]
    return lambda: np.stack(images), np.repeat(np.arange(3), counts)

  splits = {'all_train': split(train, 0), 'test': split(test, 100)}
  return ArrayDataset('arrays', splits, 3, section, ('a', 'b', 'c'))


@pytest.fixture(name='config')
def _config():
  return make_config


@pytest.fixture(name='shades')
def _shades():
  return SHADES


@pytest.fixture(name='image_of')
def _image_of():
  return make_image


@pytest.fixture(name='folder')
def _folder(tmp_path):
  return lambda **layout: write_folder(tmp_path / 'images', **layout)


@pytest.fixture(scope='session', name='tfds_directory')
def _tfds_directory(tmp_path_factory):
  """Holds the prepared set tiny_images in several variants."""
  import tensorflow_datasets as tfds

  class TinyImages(tfds.core.GeneratorBasedBuilder):
    """Grey images of several sizes, their splits set by the variant."""

    VERSION = tfds.core.Version('1.0.0')
    BUILDER_CONFIGS = tuple(
        tfds.core.BuilderConfig(name=name)
        for name in ('plain', 'hidden_labels', 'train_only', 'no_label',
                     'bad_label', 'array_record')
    )

    def _info(self):
      features = {
          'image': tfds.features.Image(shape=(None, None, 1)),
          'label': tfds.features.ClassLabel(names=['dark', 'mid', 'light']),
          'author': tfds.features.Text(),
      }
      keys = ('image', 'label')
      if self.builder_config.name == 'no_label':
        keys = ('image', 'author')
      return tfds.core.DatasetInfo(
          builder=self,
          features=tfds.features.FeaturesDict(features),
          supervised_keys=keys,
      )

    def _split_generators(self, dl_manager):
      del dl_manager
      splits = {'train': (50, 0), 'test': (20, 100), 'validation': (11, 200)}
      if self.builder_config.name == 'train_only':
        splits = {'train': (50, 0)}
      elif self.builder_config.name == 'array_record':
        splits = {'train': (50, 0), 'test': (20, 100)}
      return {
          name: self._generate_examples(name, *numbers)
          for name, numbers in splits.items()
      }

    def _generate_examples(self, split, count, offset):
      hidden = (self.builder_config.name, split) in (
          ('hidden_labels', 'test'), ('bad_label', 'train')
      )
      for number in range(count):
        label = number % 3
        yield number, {
            'image': make_image(label, offset + number, channels=1),
            'label': -1 if hidden else label,
            'author': 'nobody',
        }

  directory = tmp_path_factory.mktemp('tfds')
  for variant in TinyImages.BUILDER_CONFIGS:
    file_format = 'tfrecord'
    if variant.name == 'array_record':
      file_format = 'array_record'
    TinyImages(
        config=variant, data_dir=directory, file_format=file_format
    ).download_and_prepare(
        download_config=tfds.download.DownloadConfig(num_shards=3)
    )
  return directory


@pytest.fixture(scope='session', name='load')
def _load(tmp_path_factory, tfds_directory):
  """Loads a data set of a source with changed fields, once in a session."""
  folder = write_folder(tmp_path_factory.mktemp('folder') / 'images')
  fields = {
      'embedded': {},
      'arrays': {'source': 'tests.data.conftest:load_arrays'},
      'folder': {'source': 'folder', 'directory': str(folder)},
      'pillow': {
          'source': 'folder', 'directory': str(folder), 'decoder': 'pillow',
      },
      'tfds': {
          'source': 'tfds',
          'name': 'tiny_images/plain',
          'directory': str(tfds_directory),
      },
      'array_record': {
          'source': 'tfds',
          'name': 'tiny_images/array_record',
          'directory': str(tfds_directory),
      },
  }

  @functools.cache
  def load(source, **changes):
    return load_dataset(make_config(**fields[source], **changes))

  return load
