"""What `input_throughput` measures of TensorFlow: decoding, and a TFDS set."""

import io
import pathlib
import tarfile
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from layernas.data import tensor_images
from layernas.data.preparation import Preparation

_SHARDS = 8


def decoders(
    preparation: Preparation
) -> dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]]:
  """Ways to decode a file, from its bytes and a key.

  Args:
    preparation: of training images.

  Returns:
    'decode': to what a network is given, as bytes. 'whole': all of the file,
    not resized. 'windows': a random area, not resized.
  """
  def image(file: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    found = tensor_images.augment(file, preparation, key)
    return tensor_images.to_transfer(found, 'uint8')

  def whole(file: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    del key
    return tf.io.decode_jpeg(file, 3, dct_method='INTEGER_ACCURATE')

  def window(file: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    return tensor_images.decode_window(
        file, tensor_images.random_window(key[:2], preparation)
    )

  return {'decode': image, 'whole': whole, 'windows': window}


def decoded(
    files: Sequence[bytes], batch: int,
    decode: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> Iterator[Any]:
  """Decodes files in a fixed order on all cores, without end.

  Args:
    files: their bytes.
    batch: images that an item stands for.
    decode: one of `decoders`.

  Returns:
    One value of each image, so that images are not collected.
  """
  keys = np.random.default_rng(0).integers(2**63, size=(len(files), 3))
  images = tf.data.Dataset.from_tensor_slices((files, keys)).repeat()
  corners = images.map(
      lambda file, key: decode(file, key)[0, 0, 0], tf.data.AUTOTUNE
  )
  batches = corners.batch(batch, num_parallel_calls=tf.data.AUTOTUNE)
  return batches.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()


def write_imagenet(files: Sequence[bytes], directory: pathlib.Path) -> None:
  """Stores files as imagenet2012, all in one class.

  Args:
    files: bytes of JPEG files, at least eight.
    directory: of the prepared set.
  """
  builder = tfds.builder(
      'imagenet2012', data_dir=directory, file_format='tfrecord'
  )
  archives = directory / 'downloads' / 'manual'
  archives.mkdir(parents=True)
  synset = builder.info.features['label'].names[0]
  inner = io.BytesIO()
  with tarfile.open(fileobj=inner, mode='w') as archive:
    for number, file in enumerate(files):
      _add(archive, f'{synset}_{number}.JPEG', file)
  with tarfile.open(archives / 'ILSVRC2012_img_train.tar', 'w') as archive:
    _add(archive, f'{synset}.tar', inner.getvalue())
  with tarfile.open(archives / 'ILSVRC2012_img_val.tar', 'w') as archive:
    for number in range(_SHARDS):
      _add(archive, f'ILSVRC2012_val_{number + 1:08d}.JPEG', files[number])
  builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(num_shards=_SHARDS)
  )


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
  member = tarfile.TarInfo(name)
  member.size = len(data)
  archive.addfile(member, io.BytesIO(data))
