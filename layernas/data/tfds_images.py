"""A prepared TensorFlow Datasets set as a source of encoded images."""

import os
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from layernas.data.held_out import held_out_count
from layernas.errors import UserError

TEST_SPLITS = ('test', 'validation')
"""The first that the set has, with labels, is the test split."""

SHUFFLE_BUFFER = 10_000
"""Images whose order is mixed at a time, in a random order of the files: about
1 GB of ImageNet. Smaller sets are mixed as a whole."""


class TfdsImages:
  """Records of a prepared set; see `streamed_dataset.EncodedImages`.

  The tail of the split 'train' is held out. It is not stratified: TFDS stores
  images in random order, so that all classes occur in it.
  """

  def __init__(
      self, builder: tfds.core.DatasetBuilder, keys: tuple[str, str],
      test_split: str, validation_share: float,
  ):
    """Reads nothing yet.

    Args:
      builder: of a prepared set.
      keys: names of its image and its label feature.
      test_split: name of its test split.
      validation_share: of its split 'train', held out.
    """
    label = builder.info.features[keys[1]]
    self.name = builder.info.full_name
    self.num_classes = label.num_classes
    self.class_names = tuple(label.names)
    self._builder, self._keys = builder, keys
    total = builder.info.splits['train'].num_examples
    trained = total - held_out_count(total, validation_share)
    self._slices = {
        'train': f'train[:{trained}]',
        'validation': f'train[{trained}:]',
        'all_train': 'train',
        'test': test_split,
    }

  def num_examples(self, split: str) -> int:
    """Number of images of a split."""
    return self._builder.info.splits[self._slices[split]].num_examples

  def in_order(self, split: str) -> tf.data.Dataset:
    """All images of a split as they are stored."""
    return _read(self._builder, self._keys, self._slices[split])

  def shuffled(self, split: str, seed: int, skip: int) -> tf.data.Dataset:
    """The images of a split, files and buffer shuffled, without the first."""
    images = _read(self._builder, self._keys, self._slices[split], seed)
    buffer = min(self.num_examples(split), SHUFFLE_BUFFER)
    return images.shuffle(buffer, seed, False).skip(skip)


def open_images(config: Any) -> TfdsImages:
  """Opens the set that a config names.

  Args:
    config: data section: name, directory ('' for the TFDS default),
      validation_share.

  Returns:
    The images.

  Raises:
    UserError: names the set, the directory and what is allowed.
  """
  directory = os.path.expanduser(config.directory) or None
  try:
    builder = tfds.builder(config.name, data_dir=directory)
  except (AssertionError, ValueError) as error:  # Of TFDS; its text is long.
    text = str(error).strip().splitlines()[0]
    raise UserError(
        f'data.name: {config.name!r}: {text} Allowed is a TFDS set'
        ' name[/config][:version]; tfds.list_builders() lists them'
    ) from error
  _check_prepared(builder, config)
  keys = _image_and_label(builder, config)
  test_split = _labelled_test_split(builder, keys, config)
  return TfdsImages(builder, keys, test_split, config.validation_share)


def _check_prepared(builder: tfds.core.DatasetBuilder, config: Any) -> None:
  root = str(builder.data_dir_root)
  if not builder.is_prepared():
    raise UserError(
        f'data.name: {config.name!r}: not found in data.directory {root!r}:'
        ' allowed is a prepared set; this command prepares it: python -c'
        ' "import tensorflow_datasets as tfds;'
        f' tfds.builder({config.name!r}, data_dir={root!r},'
        " file_format='tfrecord').download_and_prepare()\""
    )
  if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
    raise UserError(
        f'data.name: {config.name!r}: stored in {root!r} as'
        f' {builder.info.file_format.value}: allowed is tfrecord'
    )


def _image_and_label(
    builder: tfds.core.DatasetBuilder, config: Any
) -> tuple[str, str]:
  """Names of the two features that make a set one for classification."""
  features, keys = builder.info.features, builder.info.supervised_keys
  if (
      not keys or len(keys) != 2
      or not isinstance(features[keys[0]], tfds.features.Image)
      or not isinstance(features[keys[1]], tfds.features.ClassLabel)
  ):
    raise UserError(
        f'data.name: {config.name!r} gives {keys or sorted(features)}: allowed'
        ' are sets of images with one class label each'
    )
  return keys


def _labelled_test_split(
    builder: tfds.core.DatasetBuilder, keys: tuple[str, str], config: Any
) -> str:
  splits = builder.info.splits
  # Some sets publish test images without labels; TFDS gives them label -1.
  labelled = [
      name for name in TEST_SPLITS if name in splits
      and _first_label(_read(builder, keys, name)) >= 0
  ]
  if 'train' not in splits or not labelled:
    raise UserError(
        f'data.name: {config.name!r} has splits {sorted(splits)}: allowed are'
        f' sets with a split train and one of {list(TEST_SPLITS)} with labels'
    )
  return labelled[0]


def _first_label(images: tf.data.Dataset) -> int:
  return next(int(label) for _, label in images.as_numpy_iterator())


def _read(
    builder: tfds.core.DatasetBuilder, keys: tuple[str, str], split: str,
    seed: int | None = None,
) -> tf.data.Dataset:
  """Encoded images and labels; files in random order if there is a seed."""
  image, label = keys
  records = builder.as_dataset(
      split=split,
      shuffle_files=seed is not None,
      read_config=tfds.ReadConfig(shuffle_seed=seed, try_autocache=False),
      decoders=tfds.decode.PartialDecoding(
          {image: True, label: True}, {image: tfds.decode.SkipDecoding()}
      ),
  )
  return records.map(lambda record: (record[image], record[label]))
