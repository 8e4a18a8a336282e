"""A set prepared by TensorFlow Datasets (TFDS), opened by its name.

What a config asks for is checked against the set before anything is read. A set
that is not there is answered with the command that prepares it.
"""

import functools
import re
import shlex
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from layernas import paths
from layernas.data.dataset import held_out_count
from layernas.data.streamed_dataset import StreamedDataset
from layernas.data.tensor_pipeline import Fetch
from layernas.data.tensor_pipeline import TensorPipeline
from layernas.data.tfds_records import first_label
from layernas.data.tfds_records import open_records
from layernas.data.tfds_records import split_rows
from layernas.errors import UserError

TEST_SPLITS = ('test', 'validation')
"""The first that the set has, with labels, is the test split, unless the config
names one."""

_FORMATS = (tfds.core.FileFormat.TFRECORD, tfds.core.FileFormat.ARRAY_RECORD)


class TfdsImages:
  """Records of a prepared set; see `streamed_dataset.EncodedImages`.

  The tail of the training split is held out. It is not stratified: TFDS stores
  images in random order, so that all classes occur in it.
  """

  def __init__(
      self, builder: tfds.core.DatasetBuilder, keys: tuple[str, str],
      train_split: str, test_split: str, validation_share: float,
  ):
    """Reads nothing yet.

    Args:
      builder: of a prepared set.
      keys: names of its image and its label feature.
      train_split: name or slice of its training split.
      test_split: name or slice of its test split.
      validation_share: of the training split, held out.
    """
    label = builder.info.features[keys[1]]
    self.name = builder.info.full_name
    self.num_classes = label.num_classes
    self.class_names = tuple(label.names)
    self._builder, self._keys = builder, keys
    train, rows = split_rows(builder, train_split)
    trained = len(rows) - held_out_count(len(rows), validation_share)
    self._rows = {
        'train': (train, rows[:trained]),
        'validation': (train, rows[trained:]),
        'all_train': (train, rows),
        'test': split_rows(builder, test_split),
    }
    self._records = functools.cache(self._open_records)

  def num_examples(self, split: str) -> int:
    """Number of images of a split."""
    return len(self._rows[split][1])

  def fetch(self, split: str) -> Fetch:
    """What adds images and labels to rows of a split."""
    return self._records(self._rows[split][0])

  def rows(self, split: str) -> np.ndarray:
    """Numbers of a split's images as `fetch` takes them."""
    return self._rows[split][1]

  def describe(self, split: str, row: int) -> str:
    """Where an image is, for messages."""
    return f'{self.name}: record {row} of split {self._rows[split][0]!r}'

  def content(self) -> dict[str, Any]:
    """Nothing but what all tell: the name has the version of the set."""
    return {}

  def suspects(self, split: str) -> np.ndarray:
    """None: records have checksums, and TFDS decoded what it wrote."""
    del split
    return np.zeros(0, np.int64)

  def _open_records(self, name: str) -> Fetch:
    return open_records(self._builder, name, self._keys)


def load(section: Any) -> StreamedDataset:
  """The data set that a config names.

  Args:
    section: the config's data section: name, directory ('' for the TFDS
      default), train_split, test_split ('' for the set's own),
      validation_share, and what `StreamedDataset` and `TensorPipeline` take
      from it.

  Returns:
    The data set; no image has been read.

  Raises:
    UserError: names the set, the directory and what is allowed.
  """
  directory = (
      paths.expanded('data.directory', section.directory) or None
  )
  try:
    builder = tfds.builder(section.name, data_dir=directory)
  except (AssertionError, ValueError) as error:  # Of TFDS; its text is long.
    text = str(error).strip().splitlines()[0]
    raise UserError(
        f'data.name: {section.name!r}: {text} Allowed is a TFDS set'
        ' name[/config][:version]; tfds.list_builders() lists them'
    ) from error
  _check_prepared(builder, section)
  keys = _image_and_label(builder, section)
  train_split = _slice(builder, 'train_split', section.train_split)
  test_split = section.test_split or _labelled_test_split(
      builder, keys, section
  )
  images = TfdsImages(
      builder, keys, train_split, _slice(builder, 'test_split', test_split),
      section.validation_share,
  )
  pipeline = TensorPipeline(images.fetch, section)
  return StreamedDataset(images, pipeline, section)


def _check_prepared(builder: tfds.core.DatasetBuilder, section: Any) -> None:
  root = str(builder.data_dir_root)
  if not builder.is_prepared():
    raise UserError(
        f'data.name: {section.name!r}: not found in data.directory {root!r}:'
        f' allowed is a prepared set. {how_to_prepare(builder, section.name)}'
    )
  if builder.info.file_format not in _FORMATS:
    raise UserError(
        f'data.name: {section.name!r}: stored in {root!r} as'
        f' {builder.info.file_format.value}: allowed is one of'
        f' {[file_format.value for file_format in _FORMATS]}'
    )


def _image_and_label(
    builder: tfds.core.DatasetBuilder, section: Any
) -> tuple[str, str]:
  """Names of the two features that make a set one for classification."""
  features, keys = builder.info.features, builder.info.supervised_keys
  if (
      not keys or len(keys) != 2
      or not isinstance(features[keys[0]], tfds.features.Image)
      or not isinstance(features[keys[1]], tfds.features.ClassLabel)
  ):
    raise UserError(
        f'data.name: {section.name!r} gives {keys or sorted(features)}: allowed'
        ' are sets of images with one class label each'
    )
  return keys


def _labelled_test_split(
    builder: tfds.core.DatasetBuilder, keys: tuple[str, str], section: Any
) -> str:
  splits = builder.info.splits
  # Some sets publish test images without labels; TFDS gives them label -1.
  labelled = [
      name for name in TEST_SPLITS
      if name in splits and first_label(builder, name, keys) >= 0
  ]
  if not labelled:
    raise UserError(
        f'data.name: {section.name!r} has splits {sorted(splits)}: allowed are'
        f' sets with one of {list(TEST_SPLITS)} with labels, unless'
        ' data.test_split and data.train_split name parts of another, as'
        " 'train[90%:]' and 'train[:90%]'"
    )
  return labelled[0]


def _slice(builder: tfds.core.DatasetBuilder, field: str, split: str) -> str:
  """Checks a split or slice that a config names.

  As in Python, and unlike in TFDS, a slice may end behind the last image.
  """
  names = sorted(builder.info.splits)
  match = re.fullmatch(r'([\w.-]+)(\[[^]]*\])?', split)
  try:
    if match and match[1] in names:
      images = builder.info.splits[match[1]].num_examples
      within = re.sub(
          r'(?<=:)\d+(?=\]$)', lambda end: str(min(int(end[0]), images)), split
      )
      if len(_rows_of(builder, within)) > 1:
        return within
  except (AssertionError, ValueError):  # TFDS cannot read the slice.
    pass
  raise UserError(
      f'data.{field}: {split!r}: allowed is one of {names} of'
      f' {builder.info.full_name}, or a slice of two or more images as'
      f" '{names[0]}[:90%]'"
  )


def _rows_of(builder: tfds.core.DatasetBuilder, split: str) -> np.ndarray:
  return split_rows(builder, split)[1]


IMAGENET = 'imagenet2012'

# Sizes in TFDS's imagenet2012/checksums.tsv: 147,897,477,120 and 6,744,924,160
# bytes. TFDS copies the JPEG files into its records as they are.
_IMAGENET_STEPS = (
    'It takes about 155 GB, and as much again while it is made. Register at'
    ' https://image-net.org/download-images, put ILSVRC2012_img_train.tar (148'
    ' GB) and ILSVRC2012_img_val.tar (6.7 GB) into {manual}, and run: {command}'
)


def how_to_prepare(builder: tfds.core.DatasetBuilder, name: str) -> str:
  """Says in a line which command prepares a set, and how large it is.

  TFDS has a command of its own, "tfds build", but that of 4.9.10 imports
  apache_beam, which TFDS does not require.

  Args:
    builder: of the set, with the directory where it is to be.
    name: name[/config][:version] of the set.

  Returns:
    One or more sentences, the last of which ends with the command.
  """
  root = str(builder.data_dir_root)
  command = 'python -c ' + shlex.quote(
      f'import tensorflow_datasets as tfds; tfds.builder("{name}",'
      f' data_dir="{root}", file_format="tfrecord").download_and_prepare()'
  )
  # Where TFDS looks if it is not told another place.
  manual = f'{root}/downloads/manual'
  if builder.name == IMAGENET:
    return _IMAGENET_STEPS.format(manual=manual, command=command)
  if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
    steps = ' '.join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
    return f'{steps} The manual_dir is {manual}. Then run: {command}'
  return f'{_download_size(builder)}This command prepares it: {command}'


def _download_size(builder: tfds.core.DatasetBuilder) -> str:
  """A sentence on the size of what is downloaded, '' where it is not known."""
  urls = builder.url_infos or {}
  total = sum(int(url.size) for url in urls.values())
  if not total:
    return ''
  return f'Its files to download are {total / 1e9:,.2f} GB. '
