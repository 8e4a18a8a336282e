"""From a config to its data set."""

import importlib
import os
from types import ModuleType
from typing import Any

from layernas.data import embedded_cifar10
from layernas.data import image_folder
from layernas.data.checks import check_classes
from layernas.data.checks import check_data
from layernas.data.dataset import Dataset
from layernas.errors import UserError


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
