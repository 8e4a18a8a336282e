"""The image files of a directory as a source of encoded images."""

import pathlib

import numpy as np
import tensorflow as tf

from layernas.data.dataset import held_out_mask
from layernas.data.image_folder import ImageFiles
from layernas.data.streamed_dataset import read_locally


class FolderImages:
  """Image files in splits; see `streamed_dataset.EncodedImages`.

  The last files of every class are held out, so that pictures taken in a row
  do not end up on both sides. No file is opened before its turn.
  """

  def __init__(self, files: ImageFiles, validation_share: float):
    """Reads nothing yet.

    Args:
      files: to read.
      validation_share: of the training images, held out.
    """
    self.name = str(files.directory)
    self.class_names = files.class_names
    self.num_classes = len(files.class_names)
    self._files = files
    labels = np.array(files.labels['all_train'])
    held_out = held_out_mask(labels, validation_share)
    self._rows = {
        'train': ('all_train', np.flatnonzero(~held_out)),
        'validation': ('all_train', np.flatnonzero(held_out)),
        'all_train': ('all_train', np.arange(len(labels))),
        'test': ('test', np.arange(len(files.labels['test']))),
    }

  def num_examples(self, split: str) -> int:
    """Number of images of a split."""
    return len(self._rows[split][1])

  def rows(self, split: str) -> np.ndarray:
    """Numbers of a split's files as `fetch` takes them."""
    return self._rows[split][1]

  def fetch(self, split: str, numbered: tf.data.Dataset) -> tf.data.Dataset:
    """Adds images and labels to rows of a split."""
    group = self._rows[split][0]
    paths, labels = self._files.paths[group], self._files.labels[group]

    def read(rows: np.ndarray) -> tuple[list[bytes], list[int]]:
      return (
          [pathlib.Path(paths[row]).read_bytes() for row in rows],
          [labels[row] for row in rows],
      )

    return read_locally(numbered, read)

  def describe(self, split: str, row: int) -> str:
    """Path of an image."""
    return self._files.paths[self._rows[split][0]][row]
