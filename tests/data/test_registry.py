"""From a config to a data set, and each wrong field."""

import os
import subprocess
import sys
import types

import pytest

from layernas.data import registry
from layernas.data.array_dataset import ArrayDataset
from layernas.data.registry import check_data
from layernas.errors import UserError


def test_every_source_that_is_allowed_can_be_loaded(load):
  assert isinstance(load('embedded'), ArrayDataset)
  assert load('embedded').class_names[3] == 'cat'
  assert load('folder').class_names == ('class0', 'class1', 'class2')
  assert load('tfds').class_names == ('dark', 'mid', 'light')
  assert load('tfds').name == 'tiny_images/plain/1.0.0'


@pytest.mark.parametrize(
    ('field', 'value', 'allowed'),
    [
        ('source', 'web', "['embedded', 'tfds', 'folder'], or module:function"),
        ('name', 'cifar100', "one of ['cifar10_subset']"),
        ('augmentation', 'cut', "one of ['none', 'flip', 'crop_flip',"),
        ('augment_on', 'tpu', "one of ['host', 'device']"),
        ('image_size', 7, 'an integer of at least 8 pixels'),
        ('image_size', -32, 'an integer of at least 8 pixels'),
        ('crop_padding', -1, 'an integer from 0 to 7 pixels'),
        ('crop_padding', 8, 'an integer from 0 to 7 pixels'),
        ('validation_share', 0.0, '0 < x < 1'),
        ('transfer', 'float16', "one of ['float32', 'bfloat16', 'uint8']"),
        ('decoder', 'opencv', "one of ['auto', 'pillow', 'tensorflow']"),
        ('bits', 7, 'an integer from 8 to 16, or 0'),
        ('min_object_covered', 1.5, '0 <= x <= 1'),
        ('crop_fallback', 'centre', "one of ['whole', 'central']"),
        ('evaluation_margin', -1, 'an integer of zero or more pixels'),
        ('mean', (0.5,), 'three numbers, 0..1'),
        ('deviation', (0.2, 0.2, 0.0), 'three numbers above zero'),
        ('num_classes', -1, 'an integer, 0 for those of the data set'),
        ('num_classes', 1000,
         '10, the number of classes of cifar10_subset, or 0'),
        ('validation_share', 1.0, '0 < x < 1'),
        ('validation_share', -0.5, '0 < x < 1'),
        ('validation_share', float('nan'), '0 < x < 1'),
    ],
)
def test_a_wrong_field_is_named_with_what_is_allowed(
    config, field, value, allowed
):
  with pytest.raises(UserError) as caught:
    registry.load_dataset(config(**{field: value}))
  message = str(caught.value)
  verb = 'are' if field == 'source' else 'is'
  assert message.startswith(
      f'data.{field}: {value!r}: allowed {verb} {allowed}'
  )
  assert '\n' not in message


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('image_size', 8), ('crop_padding', 0), ('crop_padding', 7),
        ('validation_share', 0.001), ('validation_share', 0.999),
    ],
)
def test_the_outermost_values_are_allowed(config, field, value):
  check_data(config(**{field: value}))


def test_fields_of_another_type_are_refused(config):
  """Configs that are no ConfigDict do not check types themselves."""
  for field, value in (('image_size', 32.0), ('crop_padding', True)):
    section = types.SimpleNamespace(**config().to_dict() | {field: value})
    with pytest.raises(UserError, match=f'data.{field}: {value}: allowed'):
      check_data(section)


@pytest.mark.parametrize(('fields', 'why'), [
    ({'augmentation': 'resized_crop'}, "data.augmentation 'resized_crop'"),
    ({'source': 'folder'}, "data.source 'folder'"),
])
def test_devices_augment_what_is_in_memory_and_only_moved(
    config, folder, fields, why
):
  fields = {'directory': str(folder()), 'augment_on': 'device'} | fields
  with pytest.raises(UserError) as caught:
    registry.load_dataset(config(**fields))
  assert str(caught.value) == (
      f"data.augment_on: 'device': allowed with {why} is 'host'"
  )


def test_the_wanted_number_of_classes_is_met(config, folder):
  root = str(folder())
  fields = {'source': 'folder', 'directory': root}
  assert registry.load_dataset(config(num_classes=3, **fields)).num_classes == 3
  with pytest.raises(UserError) as caught:
    registry.load_dataset(config(num_classes=1000, **fields))
  assert str(caught.value) == (
      f'data.num_classes: 1000: allowed is 3, the number of classes of {root},'
      ' or 0'
  )


def test_a_loader_of_ones_own_has_settings(config):
  source = 'tests.data.conftest:load_arrays'
  dataset = registry.load_dataset(
      config(source=source, settings={'train': (4, 4, 8)})
  )
  assert dataset.name == 'arrays'
  assert dataset.num_examples('all_train') == 16
  with pytest.raises(UserError) as caught:
    registry.load_dataset(config(source=source, settings={'tarin': (4, 4, 8)}))
  assert str(caught.value).endswith(
      'allowed are the keyword arguments of tests.data.conftest:load_arrays,'
      " ['train', 'test']"
  )


@pytest.mark.parametrize(('settings', 'split'), [
    ({'test': (0, 0, 0)}, 'test'), ({'train': (1, 1, 1)}, 'validation'),
])
def test_a_data_set_without_images_of_a_split_is_named(config, settings, split):
  source = 'tests.data.conftest:load_arrays'
  with pytest.raises(UserError, match=f"split '{split}' is empty"):
    registry.load_dataset(config(source=source, settings=settings))


def test_a_loader_that_gives_no_data_set_is_named(config):
  source = 'tests.training.own:no_dataset'
  with pytest.raises(UserError) as caught:
    registry.load_dataset(config(source=source))
  assert str(caught.value) == (
      f'data.source: {source!r} gave a list: allowed is a'
      ' layernas.data.dataset.Dataset'
  )


def test_records_of_a_bucket_are_read_without_a_buffer(
    config, folder, monkeypatch
):
  """TensorFlow reads 64 MB of gs:// for every record if it is not told."""
  monkeypatch.delenv('GCS_READ_CACHE_BLOCK_SIZE_MB', raising=False)
  registry.load_dataset(config(source='folder', directory=str(folder())))
  assert os.environ['GCS_READ_CACHE_BLOCK_SIZE_MB'] == '0'


_PROGRAM = """
{first}
from tests.data.conftest import make_config
from layernas.data.registry import load_dataset
data = load_dataset(make_config(source='folder', directory={directory!r}))
data.check_images()
print(len(list(data.evaluation_batches('test', 4))))
"""


@pytest.mark.long
@pytest.mark.parametrize('first', ['', 'import jax'])
def test_tensorflow_writes_nothing_to_the_terminal(folder, first):
  """JAX sets the level of its log where nobody else has."""
  environment = dict(os.environ, PYTHONPATH=os.getcwd())
  environment.pop('TF_CPP_MIN_LOG_LEVEL', None)
  program = _PROGRAM.format(first=first, directory=str(folder()))
  done = subprocess.run(
      [sys.executable, '-c', program], capture_output=True, text=True,
      check=False, env=environment,
  )
  assert (done.stdout, done.stderr) == ('3\n', '')


def test_a_folder_needs_a_directory(config):
  with pytest.raises(UserError, match=r"^data.directory: '': allowed is"):
    registry.load_dataset(config(source='folder'))


def test_tensorflow_keeps_off_the_gpus(config, folder, monkeypatch):
  import tensorflow as tf

  calls = []
  monkeypatch.setattr(
      tf.config, 'set_visible_devices', lambda *call: calls.append(call)
  )
  registry.load_dataset(config(source='folder', directory=str(folder())))
  assert ([], 'GPU') in calls


@pytest.mark.parametrize(('source', 'decoder', 'field'), [
    ('tfds', 'auto', "data.source: 'tfds'"),
    ('folder', 'tensorflow', "data.decoder: 'tensorflow'"),
])
def test_without_tensorflow_the_way_to_get_it_is_named(
    config, folder, monkeypatch, source, decoder, field
):
  monkeypatch.setitem(sys.modules, 'tensorflow', None)
  allowed = f'^{field}: TensorFlow .* is not installed; .* install tensorflow'
  with pytest.raises(UserError, match=allowed) as caught:
    registry.load_dataset(
        config(source=source, directory=str(folder()), decoder=decoder)
    )
  assert '\n' not in str(caught.value)


def test_pillow_does_not_read_records(config):
  with pytest.raises(UserError, match=r"^data.decoder: 'pillow': allowed with"):
    registry.load_dataset(config(source='tfds', decoder='pillow'))


def test_pillow_decodes_where_tensorflow_is_not_installed(
    config, folder, monkeypatch
):
  fields = {'source': 'folder', 'directory': str(folder())}
  contents = {
      one: registry.load_dataset(config(decoder=one, **fields)).content()
      for one in registry.DECODERS
  }
  assert contents['auto'] == contents['tensorflow']
  assert contents['pillow'] == contents['auto'] | {'decoder': 'pillow'}
  monkeypatch.setitem(sys.modules, 'tensorflow', None)
  found = registry.load_dataset(config(decoder='auto', **fields))
  assert found.content() == contents['pillow']
