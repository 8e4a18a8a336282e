"""Loads the data set that a config names.

A config names a loader: one of `SOURCES`, or module:function. Such a function
gets the config's data section and, as keyword arguments, its section
`settings`; it returns a `Dataset`:

    def load(section, classes):
      images, labels = ...
      splits = {'all_train': (lambda: images, labels), 'test': ...}
      return ArrayDataset('mine', splits, classes, section)
"""

import importlib
import importlib.util
import math
import os
import platform
from types import ModuleType
from typing import Any

from layernas import activity
from layernas import lookup
from layernas.data import image_folder
from layernas.data import terminal
from layernas.data.array_dataset import ArrayDataset
from layernas.data.augmentation import AUGMENTATIONS
from layernas.data.augmentation import FALLBACKS
from layernas.data.augmentation import ON_DEVICE
from layernas.data.dataset import SPLITS
from layernas.data.dataset import TRANSFERS
from layernas.data.dataset import Dataset
from layernas.errors import UserError
from layernas.errors import not_installed
from layernas.plain import is_integer

MIN_IMAGE_SIZE = 8

# Its smaller build, for CPU alone, exists for x86-64.
_TENSORFLOW = (
    'tensorflow-cpu' if platform.machine() == 'x86_64' else 'tensorflow',
    'tensorflow-datasets', 'importlib_resources',
)


DECODERS = ('auto', 'pillow', 'tensorflow')
"""Decoders of image files; 'auto' is TensorFlow if installed, else Pillow."""


AUGMENT_ON = ('host', 'device')
"""Who augments images in memory; the host augments all others."""


def chosen_decoder(section: Any) -> str:
  """The decoder of an image folder on this machine.

  Args:
    section: the config's data section.

  Returns:
    'pillow' or 'tensorflow'.
  """
  if section.decoder != 'auto':
    return section.decoder
  return 'tensorflow' if importlib.util.find_spec('tensorflow') else 'pillow'


def load_folder(section: Any) -> Dataset:
  """Loads image files; see `image_folder`."""
  decoder = chosen_decoder(section)
  if decoder == 'tensorflow':
    _with_tensorflow("data.decoder: 'tensorflow'", 'tensor_pipeline')
  return image_folder.load(section, decoder)


def load_tfds(section: Any) -> Dataset:
  """Loads a set prepared by TensorFlow Datasets; see `tfds_images`."""
  if section.decoder == 'pillow':
    raise UserError(
        "data.decoder: 'pillow': allowed with data.source 'tfds' is"
        " 'tensorflow' or 'auto'"
    )
  return _with_tensorflow("data.source: 'tfds'", 'tfds_images').load(section)


SOURCES: lookup.Registry = {
    'embedded': 'layernas.data.embedded_cifar10:load',
    'tfds': load_tfds,
    'folder': load_folder,
}
"""Loaders by name: packaged images, a prepared TFDS set, an image folder."""


def load_dataset(section: Any) -> Dataset:
  """Loads the data set that a config names.

  Args:
    section: the config's data section; see configs/default.py. A source ignores
      fields that it does not need.

  Returns:
    The data set.

  Raises:
    UserError: a field is wrong, or data are missing or damaged.
  """
  check_data(section)
  load = lookup.find('data.source', section.source, SOURCES)
  with activity.doing(f'opening the data set ({section.source})'):
    dataset = lookup.call(load, 'data.settings', section.settings, section)
  if not isinstance(dataset, Dataset):
    raise lookup.unfit(
        'data.source', section.source, dataset,
        'a layernas.data.dataset.Dataset',
    )
  if section.num_classes not in (0, dataset.num_classes):
    raise UserError(
        f'data.num_classes: {section.num_classes}: allowed is'
        f' {dataset.num_classes}, the number of classes of {dataset.name}, or 0'
    )
  for split in SPLITS:
    if not dataset.num_examples(split):
      raise UserError(
          f'data set {dataset.name}: split {split!r} is empty; allowed is at'
          f' least one example in each of {list(SPLITS)}'
      )
  _check_device(section, dataset)
  return dataset


def check_data(section: Any) -> None:
  """Checks each of the fields that all sources share.

  Args:
    section: the config's data section: image_size, crop_padding, num_classes,
      validation_share, augmentation, augment_on, transfer, decoder, bits,
      min_object_covered, crop_fallback, evaluation_margin, mean, deviation.

  Raises:
    UserError: names the field, its value and what is allowed.
  """
  size, padding = section.image_size, section.crop_padding
  classes = section.num_classes
  for field, passes, allowed in (
      ('augmentation', section.augmentation in AUGMENTATIONS,
       f'one of {list(AUGMENTATIONS)}'),
      ('augment_on', section.augment_on in AUGMENT_ON,
       f'one of {list(AUGMENT_ON)}'),
      ('transfer', section.transfer in TRANSFERS, f'one of {list(TRANSFERS)}'),
      ('decoder', section.decoder in DECODERS, f'one of {list(DECODERS)}'),
      ('image_size', is_integer(size) and size >= MIN_IMAGE_SIZE,
       f'an integer of at least {MIN_IMAGE_SIZE} pixels'),
      ('crop_padding', is_integer(padding) and 0 <= padding < size,
       f'an integer from 0 to {size - 1} pixels'),
      ('validation_share', 0 < section.validation_share < 1, '0 < x < 1'),
      ('num_classes', is_integer(classes) and classes >= 0,
       'an integer, 0 for those of the data set'),
      ('bits', section.bits in (0, *range(8, 17)),
       'an integer from 8 to 16, or 0 for the fewest that a file needs'),
      ('min_object_covered', _is_number(section.min_object_covered)
       and 0 <= section.min_object_covered <= 1, '0 <= x <= 1'),
      ('crop_fallback', section.crop_fallback in FALLBACKS,
       f'one of {list(FALLBACKS)}'),
      ('evaluation_margin', is_integer(section.evaluation_margin)
       and section.evaluation_margin >= 0,
       'an integer of zero or more pixels'),
      ('mean', _are_numbers(section.mean), 'three numbers, 0..1'),
      ('deviation', _are_numbers(section.deviation)
       and all(value > 0 for value in section.deviation),
       'three numbers above zero'),
  ):
    if not passes:
      value = getattr(section, field)
      raise UserError(f'data.{field}: {value!r}: allowed is {allowed}')


def _check_device(section: Any, dataset: Dataset) -> None:
  """Raises UserError where devices are to augment what they cannot."""
  if section.augment_on != 'device':
    return
  for field, passes in (
      ('source', isinstance(dataset, ArrayDataset)),
      ('augmentation', section.augmentation in ON_DEVICE),
  ):
    if not passes:
      raise UserError(
          f"data.augment_on: 'device': allowed with data.{field}"
          f" {getattr(section, field)!r} is 'host'"
      )


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and math.isfinite(value)


def _are_numbers(values: Any) -> bool:
  return (
      isinstance(values, tuple | list) and len(values) == 3
      and all(map(_is_number, values))
  )


def _with_tensorflow(what: str, module: str) -> ModuleType:
  """Imports a module of this package that needs TensorFlow.

  Args:
    what: field and value of the config that ask for it.
    module: name in this package.

  Returns:
    The module.
  """
  # It reads gs:// in blocks of 64 MB; 0 is what is asked for, here one record.
  os.environ.setdefault('GCS_READ_CACHE_BLOCK_SIZE_MB', '0')
  try:
    with terminal.without_log_lines():
      tensorflow = importlib.import_module('tensorflow')
      tensorflow.get_logger().setLevel('ERROR')
      # It only reads data here; JAX wants all of the accelerator's memory.
      tensorflow.config.set_visible_devices([], 'GPU')
      # It logs once more when it computes for the first time.
      tensorflow.constant(0)
      return importlib.import_module(f'layernas.data.{module}')
  except ImportError as error:
    raise not_installed(
        what, f'TensorFlow ({error})', *_TENSORFLOW
    ) from error
