"""The image files of a directory as a source of encoded images."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from layernas.data import tensor_images
from layernas.data.held_out import held_out_mask
from layernas.data.image_folder import SUFFIXES
from layernas.data.image_folder import ImageFiles
from layernas.data.random_streams import random_stream
from layernas.errors import UserError


class FolderImages:
  """Image files in splits; see `streamed_dataset.EncodedImages`.

  The last files of every class are held out, so that pictures taken in a row
  do not end up on both sides.
  """

  def __init__(self, files: ImageFiles, validation_share: float):
    """Decodes every image once, so that a damaged one is found now.

    Args:
      files: to read.
      validation_share: of the training images, held out.

    Raises:
      UserError: names a file that cannot be decoded.
    """
    self.name = str(files.directory)
    self.class_names = files.class_names
    self.num_classes = len(files.class_names)
    self._paths, self._labels = {}, {}
    for split in ('all_train', 'test'):
      paths = [str(path) for path in files.paths[split]]
      _check_images(paths)
      self._paths[split] = np.array(paths)
      self._labels[split] = np.array(files.labels[split], np.int32)
    held_out = held_out_mask(self._labels['all_train'], validation_share)
    for split, rows in (('train', ~held_out), ('validation', held_out)):
      self._paths[split] = self._paths['all_train'][rows]
      self._labels[split] = self._labels['all_train'][rows]

  def num_examples(self, split: str) -> int:
    """Number of images of a split."""
    return len(self._labels[split])

  def in_order(self, split: str) -> tf.data.Dataset:
    """All images of a split, by class and name."""
    return self._read(split, np.arange(self.num_examples(split)))

  def shuffled(self, split: str, seed: int, skip: int) -> tf.data.Dataset:
    """A permutation of a split without its first images."""
    order = random_stream(seed).permutation(self.num_examples(split))
    return self._read(split, order[skip:])

  def _read(self, split: str, rows: np.ndarray) -> tf.data.Dataset:
    files = tf.data.Dataset.from_tensor_slices(
        (self._paths[split][rows], self._labels[split][rows])
    )
    return files.map(
        lambda path, label: (tf.io.read_file(path), label), tf.data.AUTOTUNE
    )


def _check_images(paths: Sequence[str]) -> None:
  """Decodes all files, in order."""
  decoded = tf.data.Dataset.from_tensor_slices(paths).map(
      lambda path: tf.size(tensor_images.decode(tf.io.read_file(path))),
      tf.data.AUTOTUNE,
  )
  good = 0
  try:
    for _ in decoded:
      good += 1
  except tf.errors.OpError as error:
    raise UserError(
        f'{paths[good]}: damaged, or no image: allowed is the content of'
        f' {", ".join("*" + suffix for suffix in SUFFIXES)}'
    ) from error
