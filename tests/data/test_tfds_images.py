"""Prepared TFDS sets through tf.data."""

import io
import itertools
import json
import re
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image

from layernas.data.registry import load_dataset
from layernas.errors import UserError


@pytest.fixture(name='open_set')
def _open_set(config, tfds_directory):
  def open_set(name, directory=tfds_directory, **changes):
    return load_dataset(
        config(source='tfds', name=name, directory=str(directory), **changes)
    )

  return open_set


def error_of(open_set, *args, **changes):
  with pytest.raises(UserError) as caught:
    open_set(*args, **changes)
  message = str(caught.value)
  assert '\n' not in message
  return message


def test_grey_images_get_three_equal_channels(open_set):
  (batch,) = open_set('tiny_images/plain').evaluation_batches('test', 20)
  images = batch['image']
  assert np.ptp(images, axis=3).max() == 0
  assert np.ptp(images, axis=(1, 2)).min() > 0


def test_the_tail_of_train_is_held_out(open_set, tfds_directory):
  import tensorflow_datasets as tfds

  builder = tfds.builder('tiny_images/plain', data_dir=tfds_directory)
  stored = builder.as_dataset(
      split='train', read_config=tfds.ReadConfig(interleave_cycle_length=1)
  )
  labels = [record['label'] for record in stored.as_numpy_iterator()]
  dataset = open_set('tiny_images/plain')
  (batch,) = dataset.evaluation_batches('validation', 12)
  np.testing.assert_array_equal(batch['label'], labels[-12:])
  (batch,) = dataset.evaluation_batches('train', 38)
  np.testing.assert_array_equal(
      np.bincount(batch['label']), np.bincount(labels[:-12])
  )


def test_a_test_split_without_labels_gives_way_to_validation(open_set):
  dataset = open_set('tiny_images/hidden_labels')
  assert dataset.num_examples('test') == 11
  (batch,) = dataset.evaluation_batches('test', 11)
  assert set(batch['label']) == {0, 1, 2}


def test_an_unknown_set_is_named(open_set):
  message = error_of(open_set, 'no_such_images')
  assert message.startswith(
      "data.name: 'no_such_images': Dataset no_such_images not found."
  )
  assert 'Allowed is a TFDS set name[/config][:version]' in message


@pytest.mark.parametrize('name', ['', 'two words', 'mnist:9.9.9',
                                  'tiny_images/none'])
def test_a_malformed_name_is_named(open_set, name):
  message = error_of(open_set, name)
  assert message.startswith(f'data.name: {name!r}: ')
  assert 'Allowed is a TFDS set' in message


def test_a_set_that_is_not_prepared_names_the_command(open_set, tmp_path):
  message = error_of(open_set, 'cifar10', tmp_path)
  assert message.startswith(
      f"data.name: 'cifar10': not found in data.directory '{tmp_path}'"
  )
  command = re.search(r'python -c "(.*)"$', message)[1]
  assert command == (
      'import tensorflow_datasets as tfds;'
      f" tfds.builder('cifar10', data_dir='{tmp_path}',"
      " file_format='tfrecord').download_and_prepare()"
  )


def test_that_command_prepares_a_set(open_set, tmp_path):
  """With the builder that the other tests read, which downloads nothing."""
  message = error_of(open_set, 'tiny_images/plain', tmp_path)
  exec(re.search(r'python -c "(.*)"$', message)[1], {})  # noqa: S102
  dataset = open_set('tiny_images/plain', tmp_path)
  assert dataset.num_examples('test') == 20


def test_a_set_without_test_images_is_refused(open_set):
  message = error_of(open_set, 'tiny_images/train_only')
  assert message.startswith(
      "data.name: 'tiny_images/train_only' has splits ['train']: allowed are"
  )


def test_a_set_that_is_not_for_classification_is_refused(open_set):
  message = error_of(open_set, 'tiny_images/no_label')
  assert message.startswith(
      "data.name: 'tiny_images/no_label' gives ('image', 'author'): allowed are"
  )


def test_a_set_in_another_file_format_is_refused(
    open_set, tfds_directory, tmp_path
):
  shutil.copytree(tfds_directory / 'tiny_images', tmp_path / 'tiny_images')
  (info,) = (tmp_path / 'tiny_images' / 'plain').glob('*/dataset_info.json')
  fields = json.loads(info.read_text())
  assert fields['fileFormat'] == 'tfrecord'
  info.write_text(json.dumps(fields | {'fileFormat': 'array_record'}))
  message = error_of(open_set, 'tiny_images/plain', tmp_path)
  assert message == (
      f"data.name: 'tiny_images/plain': stored in '{tmp_path}' as array_record:"
      ' allowed is tfrecord'
  )


def test_a_set_whose_builder_is_not_installed_is_read(
    open_set, tfds_directory, tmp_path
):
  """What its directory says about it is enough."""
  variant = tmp_path / 'unknown_images' / 'plain'
  shutil.copytree(tfds_directory / 'tiny_images' / 'plain', variant)
  for path in variant.glob('*/tiny_images-*'):
    path.rename(path.with_name(path.name.replace('tiny', 'unknown')))
  (info,) = variant.glob('*/dataset_info.json')
  info.write_text(info.read_text().replace('tiny_images', 'unknown_images'))
  dataset = open_set('unknown_images/plain', tmp_path)
  assert dataset.class_names == ('dark', 'mid', 'light')
  (batch,) = dataset.evaluation_batches('test', 20)
  assert batch['mask'].all()


def test_imagenet_is_read_from_its_own_archives(open_set, tmp_path):
  """The real builder prepares two classes of a made-up ImageNet."""
  import tensorflow_datasets as tfds

  builder = tfds.builder(
      'imagenet2012', data_dir=tmp_path, file_format='tfrecord'
  )
  names = builder.info.features['label'].names
  archives = tmp_path / 'archives'
  archives.mkdir()
  with tarfile.open(archives / 'ILSVRC2012_img_train.tar', 'w') as train:
    for name in (names[3], names[998]):
      inner = io.BytesIO()
      with tarfile.open(fileobj=inner, mode='w') as synset:
        for number in range(8):
          _add(synset, f'{name}_{number}.JPEG', _jpeg(number))
      _add(train, f'{name}.tar', inner.getvalue())
  with tarfile.open(archives / 'ILSVRC2012_img_val.tar', 'w') as validation:
    for number in range(1, 6):
      _add(validation, f'ILSVRC2012_val_{number:08d}.JPEG', _jpeg(number))
  builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(manual_dir=archives)
  )
  dataset = open_set(
      'imagenet2012', tmp_path, image_size=32, augmentation='resized_crop'
  )
  assert dataset.num_classes == 1000
  sizes = {
      split: dataset.num_examples(split)
      for split in ('train', 'validation', 'test')
  }
  assert sizes == {'train': 12, 'validation': 4, 'test': 5}
  batches = itertools.islice(dataset.train_batches('all_train', 8, 0), 2)
  labels = np.concatenate([batch['label'] for batch in batches])
  np.testing.assert_array_equal(np.sort(labels), [3] * 8 + [998] * 8)


def _jpeg(number):
  file = io.BytesIO()
  image = Image.new('RGB', (50 + number, 40), (10 * number, 100, 200))
  image.save(file, 'jpeg')
  return file.getvalue()


def _add(archive, name, data):
  member = tarfile.TarInfo(name)
  member.size = len(data)
  archive.addfile(member, io.BytesIO(data))
