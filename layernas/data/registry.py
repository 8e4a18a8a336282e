"""From a config to its data set.

Checks of the fields of a config's data section.
"""

import importlib
import os
from types import ModuleType
from typing import Any

from layernas.data import embedded_cifar10
from layernas.data import image_folder
from layernas.data.augmentation import AUGMENTATIONS
from layernas.data.dataset import TRANSFERS
from layernas.data.dataset import Dataset
from layernas.errors import UserError

SOURCES = ('embedded', 'tfds', 'folder')
"""Inside the package, a prepared TFDS set, a directory of image files."""

EMBEDDED_NAMES = ('cifar10_subset',)

MIN_IMAGE_SIZE = 8


def check_data(config: Any) -> None:
  """Checks every field on its own; whether the data exist, loading finds out.

  Args:
    config: data section: source, name, directory, num_classes, image_size,
      validation_share, augmentation, crop_padding, transfer.

  Raises:
    UserError: names the field, its value and what is allowed.
  """
  _check_choice('source', config.source, SOURCES)
  _check_choice('augmentation', config.augmentation, AUGMENTATIONS)
  _check_choice('transfer', config.transfer, tuple(TRANSFERS))
  if config.source == 'embedded':
    _check_choice('name', config.name, EMBEDDED_NAMES)
  if config.source == 'folder' and not config.directory:
    _fail('directory', config.directory, 'the directory of the images')
  size, padding = config.image_size, config.crop_padding
  if not _is_integer(size) or size < MIN_IMAGE_SIZE:
    _fail('image_size', size, f'an integer of at least {MIN_IMAGE_SIZE} pixels')
  if not _is_integer(padding) or not 0 <= padding < size:
    _fail('crop_padding', padding, f'an integer from 0 to {size - 1} pixels')
  if not 0 < config.validation_share < 1:
    _fail('validation_share', config.validation_share, '0 < x < 1')
  classes = config.num_classes
  if not _is_integer(classes) or classes < 0:
    _fail('num_classes', classes, 'an integer, 0 for those of the data set')


def check_classes(config: Any, dataset: Dataset) -> None:
  """Raises UserError if a data set has not the classes that a config wants."""
  if config.num_classes not in (0, dataset.num_classes):
    raise UserError(
        f'data.num_classes: {config.num_classes}: allowed is'
        f' {dataset.num_classes}, the number of classes of {dataset.name}, or 0'
    )


def _check_choice(field: str, value: Any, allowed: tuple[str, ...]) -> None:
  if value not in allowed:
    _fail(field, value, f'one of {list(allowed)}')


def _is_integer(value: Any) -> bool:
  return isinstance(value, int) and not isinstance(value, bool)


def _fail(field: str, value: Any, allowed: str) -> None:
  raise UserError(f'data.{field}: {value!r}: allowed is {allowed}')


def load_dataset(config: Any) -> Dataset:
  """Loads the data set that a config names.

  Args:
    config: data section. `source` is 'embedded', 'tfds' or 'folder'; `name` of
      the embedded or TFDS set; `directory` of the prepared TFDS sets ('' for
      the TFDS default) or of the image folder; `train_split`, `test_split` of
      the TFDS set ('' for the first of test, validation); `num_classes` that
      the set must have, 0 for any; `image_size` in pixels; `validation_share`
      of the training images, which is held out; `augmentation`, one of
      `augmentation.AUGMENTATIONS`; `crop_padding` in pixels, for 'crop_flip';
      `transfer`, one of `transfer.TRANSFERS`.

  Returns:
    The data set.

  Raises:
    UserError: a field is wrong, or data are missing or damaged.
  """
  check_data(config)
  dataset = _LOADERS[config.source](config)
  check_classes(config, dataset)
  return dataset


def _load_folder(config: Any) -> Dataset:
  files = image_folder.list_images(config.directory)
  source = _streaming('folder_images', config).FolderImages(
      files, config.validation_share
  )
  return _streaming('streamed_dataset', config).StreamedDataset(source, config)


def _load_tfds(config: Any) -> Dataset:
  source = _streaming('tfds_images', config).open_images(config)
  return _streaming('streamed_dataset', config).StreamedDataset(source, config)


_LOADERS = {
    'embedded': embedded_cifar10.load,
    'folder': _load_folder,
    'tfds': _load_tfds,
}


def _streaming(module: str, config: Any) -> ModuleType:
  """Imports a module of this package that needs TensorFlow."""
  # Its notes on every data set that ends would break up the progress bar.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  # It reads gs:// in blocks of 64 MB; 0 is what is asked for, here one record.
  os.environ.setdefault('GCS_READ_CACHE_BLOCK_SIZE_MB', '0')
  try:
    # It only reads data here; JAX wants all of the accelerator's memory.
    importlib.import_module('tensorflow').config.set_visible_devices([], 'GPU')
    return importlib.import_module(f'layernas.data.{module}')
  except ImportError as error:
    raise UserError(
        f'data.source: {config.source!r} needs TensorFlow ({error}): allowed is'
        " 'embedded', or pip install 'layernas[tf]' first"
    ) from error
