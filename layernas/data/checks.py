"""Checks of the fields of a config's data section."""

from typing import Any

from layernas.data.augmentation import AUGMENTATIONS
from layernas.data.dataset import Dataset
from layernas.data.transfer import TRANSFERS
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
