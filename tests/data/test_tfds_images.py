"""Prepared TFDS sets, and what to do about one that is not there."""

import json
import pathlib
import shlex
import shutil

import numpy as np
import pytest

from layernas.data.registry import load_dataset
from layernas.data.tfds_images import how_to_prepare
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
  assert message == (
      f"data.name: 'cifar10': not found in data.directory '{tmp_path}': allowed"
      ' is a prepared set. Its files to download are 0.17 GB. This command'
      " prepares it: python -c 'import tensorflow_datasets as tfds;"
      f' tfds.builder("cifar10", data_dir="{tmp_path}",'
      ' file_format="tfrecord").download_and_prepare()\''
  )


def test_a_set_without_test_images_is_refused(open_set):
  message = error_of(open_set, 'tiny_images/train_only')
  assert message.startswith(
      "data.name: 'tiny_images/train_only' has splits ['train']: allowed are"
  )
  assert "'train[90%:]' and 'train[:90%]'" in message


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
  info.write_text(json.dumps(fields | {'fileFormat': 'parquet'}))
  message = error_of(open_set, 'tiny_images/plain', tmp_path)
  assert message == (
      f"data.name: 'tiny_images/plain': stored in '{tmp_path}' as parquet:"
      " allowed is one of ['tfrecord', 'array_record']"
  )


def test_both_file_formats_give_the_same_batches(load):
  """The same images, stored in an order of their own."""
  tfrecord, array_record = (
      load(source).evaluation_batches('all_train', 50)
      for source in ('tfds', 'array_record')
  )
  one, other = next(tfrecord), next(array_record)
  assert sorted(image.tobytes() for image in one['image']) == sorted(
      image.tobytes() for image in other['image']
  )


def test_slices_are_splits(open_set):
  """For sets that have but one."""
  dataset = open_set(
      'tiny_images/train_only', train_split='train[:80%]',
      test_split='train[80%:]', validation_share=0.1,
  )
  sizes = {
      split: dataset.num_examples(split)
      for split in ('all_train', 'train', 'validation', 'test')
  }
  assert sizes == {'all_train': 40, 'train': 36, 'validation': 4, 'test': 10}
  whole = open_set(
      'tiny_images/train_only', train_split='train', test_split='train'
  )
  (everything,) = whole.evaluation_batches('test', 50)
  (first,) = dataset.evaluation_batches('all_train', 40)
  (last,) = dataset.evaluation_batches('test', 10)
  np.testing.assert_array_equal(
      np.concatenate([first['image'], last['image']]), everything['image']
  )


@pytest.mark.parametrize(('split', 'images'), [
    ('train[:2048]', 50), ('train[10:51]', 40), ('train[:50]', 50),
    ('train[:49]', 49),
])
def test_a_slice_may_end_behind_the_last_image(open_set, split, images):
  dataset = open_set('tiny_images/plain', train_split=split)
  assert dataset.num_examples('all_train') == images


@pytest.mark.parametrize(('field', 'split'), [
    ('train_split', 'validating'), ('test_split', 'train['),
    ('train_split', 'train[:x]'), ('test_split', 'train[:0]'),
    ('train_split', 'train+test'), ('test_split', 'all'),
])
def test_an_unknown_split_is_named(open_set, field, split):
  message = error_of(open_set, 'tiny_images/plain', **{field: split})
  assert message == (
      f"data.{field}: {split!r}: allowed is one of ['test', 'train',"
      " 'validation'] of tiny_images/plain/1.0.0, or a slice of two or more"
      " images as 'test[:90%]'"
  )


def test_an_image_without_a_label_is_named(open_set):
  dataset = open_set('tiny_images/bad_label')
  with pytest.raises(UserError) as caught:
    next(dataset.evaluation_batches('validation', 12))
  assert str(caught.value) == (
      "tiny_images/bad_label/1.0.0: record 38 of split 'train': label -1:"
      ' allowed is 0 to 2'
  )


def test_a_damaged_record_is_named(open_set, tfds_directory, tmp_path):
  """A file that changed after its index was made."""
  shutil.copytree(tfds_directory / 'tiny_images', tmp_path / 'tiny_images')
  path = next(
      (tmp_path / 'tiny_images' / 'plain').glob('*/*-test.tfrecord-00000-of-*')
  )
  dataset = open_set('tiny_images/plain', tmp_path, test_split='test')
  next(dataset.evaluation_batches('test', 20))
  data = bytearray(path.read_bytes())
  data[0] ^= 1  # The length of its first record.
  path.write_bytes(data)
  with pytest.raises(UserError, match=r'record 0 of split .test.: damaged'):
    next(dataset.evaluation_batches('test', 20))


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


def test_sets_that_tfds_mocks_are_read(open_set, load, tfds_directory):
  import tensorflow_datasets as tfds

  with tfds.testing.mock_data(
      num_examples=50, data_dir=str(tfds_directory),
      policy=tfds.testing.MockPolicy.USE_FILES,
  ):
    dataset = open_set('tiny_images/array_record')
    (mocked,) = dataset.evaluation_batches('all_train', 50)
    trained = next(dataset.train_batches('all_train', 50, seed=0))
  (stored,) = load('array_record').evaluation_batches('all_train', 50)
  images = {image.tobytes() for image in mocked['image']}
  assert len(images) == 50
  assert not images & {image.tobytes() for image in stored['image']}
  assert {image.tobytes() for image in trained['image']} == images


@pytest.fixture(name='steps')
def _steps(tmp_path):
  import tensorflow_datasets as tfds

  def steps(name, directory=tmp_path):
    return how_to_prepare(tfds.builder(name, data_dir=directory), name)

  return steps


def command(name, directory):
  return (
      "python -c 'import tensorflow_datasets as tfds;"
      f' tfds.builder("{name}", data_dir="{directory}",'
      ' file_format="tfrecord").download_and_prepare()\''
  )


def test_a_set_that_tfds_downloads(steps, tmp_path):
  assert steps('cifar10') == (
      'Its files to download are 0.17 GB. This command prepares it:'
      f' {command("cifar10", tmp_path)}'
  )


def test_imagenet(steps, tmp_path):
  assert steps('imagenet2012') == (
      'It takes about 155 GB, and as much again while it is made. Register at'
      ' https://image-net.org/download-images, put ILSVRC2012_img_train.tar'
      ' (148 GB) and ILSVRC2012_img_val.tar (6.7 GB) into'
      f' {tmp_path}/downloads/manual, and run:'
      f' {command("imagenet2012", tmp_path)}'
  )


def test_another_set_that_is_fetched_by_hand(steps, tmp_path):
  found = steps('resisc45')
  assert 'https://' in found
  assert found.endswith(
      f' The manual_dir is {tmp_path}/downloads/manual. Then run:'
      f' {command("resisc45", tmp_path)}'
  )


def test_the_command_is_one_for_the_shell(steps, tmp_path):
  directory = pathlib.Path(tmp_path, "my friend's data")
  [python, option, program] = shlex.split(
      steps('cifar10', directory).partition('prepares it: ')[2]
  )
  assert (python, option) == ('python', '-c')
  assert f'data_dir="{directory}"' in program
  compile(program, 'command', 'exec')
