"""A made-up ImageNet of 54 images, prepared by the real builder."""

import io
import tarfile

import numpy as np
from PIL import Image

CLASSES = {3: 21, 998: 20}
"""Training images of each class of the made-up ImageNet."""

TEST_IMAGES = 13
"""Its official validation images."""


def image(number):
  """JPEG bytes of a colourful image, not square, that no other number gives."""
  rng = np.random.default_rng(number)
  coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
  size = (90 + number % 7, 70 + number % 5)
  picture = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
  file = io.BytesIO()
  picture.save(file, 'jpeg', quality=90)
  return file.getvalue()


def write_archives(directory, names):
  """Writes the two files that have to be fetched by hand."""

  def add(archive, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))

  directory.mkdir(parents=True)
  with tarfile.open(directory / 'ILSVRC2012_img_train.tar', 'w') as train:
    for label, count in CLASSES.items():
      inner = io.BytesIO()
      with tarfile.open(fileobj=inner, mode='w') as synset:
        for number in range(count):
          name = f'{names[label]}_{number}.JPEG'
          add(synset, name, image(1000 * label + number))
      add(train, f'{names[label]}.tar', inner.getvalue())
  with tarfile.open(directory / 'ILSVRC2012_img_val.tar', 'w') as validation:
    for number in range(1, TEST_IMAGES + 1):
      name = f'ILSVRC2012_val_{number:08d}.JPEG'
      add(validation, name, image(number))


def prepare(directory):
  """Prepares imagenet2012 as its real builder does, in three shards."""
  import tensorflow_datasets as tfds

  builder = tfds.builder(
      'imagenet2012', data_dir=directory, file_format='tfrecord'
  )
  archives = directory / 'downloads' / 'manual'
  write_archives(archives, builder.info.features['label'].names)
  builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(
          manual_dir=archives, num_shards=3
      )
  )
