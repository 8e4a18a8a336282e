"""What every data set promises, whatever its source."""

import collections
import itertools

import numpy as np
import pytest

from layernas.data.augmentation import AUGMENTATIONS
from layernas.data.dataset import MINUS_ONE_TO_ONE
from layernas.data.dataset import SPLITS
from layernas.data.dataset import TRANSFERS
from layernas.data.dataset import WHOLE
from layernas.data.dataset import HostShare
from layernas.errors import UserError

SOURCES = ('arrays', 'folder', 'pillow', 'tfds', 'array_record')

# Images of all_train, train, validation and test; a quarter is held out, of
# every class where the source stratifies: 9, 12 and 7 images give 2, 3 and 2.
SIZES = {
    'arrays': (28, 21, 7, 9),
    'folder': (28, 21, 7, 9),
    'pillow': (28, 21, 7, 9),
    'tfds': (50, 38, 12, 20),
    'array_record': (50, 38, 12, 20),
}

# A batch size that does not divide the split 'train'.
BATCH = {
    'arrays': 4, 'folder': 4, 'pillow': 4, 'tfds': 5, 'array_record': 5,
}

every_source = pytest.mark.parametrize('source', SOURCES)
every_pair = pytest.mark.parametrize(('source', 'augmentation'), [
    # What differs by source and what by augmentation are other pieces of code.
    pytest.param(source, augmentation, marks=() if (
        source in ('arrays', 'pillow') or augmentation == 'crop_flip'
        or (source, augmentation) == ('folder', 'resized_crop')
    ) else pytest.mark.long)
    for source in SOURCES for augmentation in AUGMENTATIONS
])


# The ways of augmenting at random: on arrays, on tensors and on single images.
RANDOM = [
    ('arrays', 'crop_flip'), ('arrays', 'resized_crop'),
    ('folder', 'resized_crop'), ('tfds', 'crop_flip'),
    ('pillow', 'crop_flip'), ('pillow', 'resized_crop'),
]


def take(batches, count):
  return list(itertools.islice(batches, count))


def contents(batches):
  """How often each image occurs with each label, padding left out."""
  return collections.Counter(
      (image.tobytes(), int(label))
      for batch in batches
      for image, label, real in zip(
          batch['image'], batch['label'], batch['mask'], strict=True
      )
      if real
  )


def assert_same(left, right):
  assert len(left) == len(right)
  for one, other in zip(left, right, strict=True):
    assert one.keys() == other.keys()
    for key in one:
      np.testing.assert_array_equal(one[key], other[key])


@every_source
def test_describes_itself(load, source):
  dataset = load(source)
  assert dataset.image_size == 8
  assert dataset.num_classes == len(dataset.class_names)
  assert dataset.name
  sizes = [
      dataset.num_examples(split)
      for split in ('all_train', 'train', 'validation', 'test')
  ]
  assert tuple(sizes) == SIZES[source]


@every_pair
def test_training_batches_have_the_documented_form(load, source, augmentation):
  dataset = load(source, augmentation=augmentation)
  size = BATCH[source]
  for batch in take(dataset.train_batches('train', size, seed=0), 2):
    assert batch.keys() == {'image', 'label', 'mask'}
    assert batch['image'].shape == (size, 8, 8, 3)
    assert batch['image'].dtype == np.float32
    assert batch['label'].shape == batch['mask'].shape == (size,)
    assert batch['label'].dtype == np.int32
    assert batch['mask'].dtype == np.float32
    assert np.abs(batch['image']).max() <= 1
    assert set(batch['label']) <= set(range(dataset.num_classes))
    assert (batch['mask'] == 1).all()


@pytest.mark.parametrize('source', ['arrays', 'folder', 'tfds'])
@pytest.mark.parametrize('split', SPLITS)
def test_evaluation_shows_every_image_once_and_pads(load, source, split):
  dataset = load(source)
  examples, size = dataset.num_examples(split), BATCH[source] + 2
  batches = list(dataset.evaluation_batches(split, size))
  assert len(batches) == -(-examples // size)
  masks = np.concatenate([batch['mask'] for batch in batches])
  np.testing.assert_array_equal(masks, np.arange(len(masks)) < examples)
  missing = len(masks) - examples
  assert missing > 0
  last = batches[-1]
  assert all(len(value) == size for value in last.values())
  assert not last['image'][size - missing:].any()
  assert not last['label'][size - missing:].any()
  whole = next(dataset.evaluation_batches(split, examples))
  assert contents(batches) == contents([whole])


@every_source
def test_crops_and_flips_do_not_touch_evaluation(load, source):
  plain, augmented = load(source), load(source, augmentation='crop_flip')
  size = BATCH[source]
  assert_same(
      list(plain.evaluation_batches('test', size)),
      list(augmented.evaluation_batches('test', size)),
  )


@every_source
def test_train_and_validation_part_the_training_images(load, source):
  dataset = load(source)
  train, validation, both, test = (
      contents(dataset.evaluation_batches(split, BATCH[source]))
      for split in ('train', 'validation', 'all_train', 'test')
  )
  assert not train & validation
  assert train + validation == both
  assert not both & test


@pytest.mark.parametrize(('source', 'split'), [
    ('arrays', 'train'), ('folder', 'all_train'), ('pillow', 'train'),
    pytest.param('tfds', 'train', marks=pytest.mark.long),
])
def test_every_epoch_is_a_permutation_of_the_split(load, source, split):
  dataset, size = load(source), BATCH[source]
  everything = contents(dataset.evaluation_batches(split, size))
  steps = dataset.num_examples(split) // size
  batches = take(dataset.train_batches(split, size, seed=3), 2 * steps)
  epochs = batches[:steps], batches[steps:]
  for epoch in epochs:
    seen = contents(epoch)
    assert seen.total() == steps * size
    assert seen <= everything
  assert any(
      (one['image'] != other['image']).any()
      for one, other in zip(*epochs, strict=True)
  )


@every_pair
def test_resuming_gives_the_same_batches(load, source, augmentation):
  dataset = load(source, augmentation=augmentation)
  size = BATCH[source]
  steps = dataset.num_examples('train') // size
  straight = take(dataset.train_batches('train', size, 7), steps + 3)
  for start in (1, steps - 1, steps + 1):
    resumed = dataset.train_batches('train', size, 7, start_step=start)
    assert_same(take(resumed, 2), straight[start:start + 2])


@every_source
def test_iterators_do_not_disturb_each_other(load, source):
  dataset, size = load(source, augmentation='crop_flip'), BATCH[source]
  alone = take(dataset.train_batches('train', size, 1), 2)
  first = dataset.train_batches('train', size, 1)
  second = dataset.train_batches('train', size, 2)
  mixed = [next(first), next(second), next(first)]
  assert_same([mixed[0], mixed[2]], alone)


@every_source
def test_seeds_change_order_and_augmentation(load, source):
  dataset = load(source, augmentation='crop_flip')
  size = dataset.num_examples('validation')
  one, other = (
      next(dataset.train_batches('validation', size, seed)) for seed in (0, 1)
  )
  assert (one['label'] != other['label']).any()
  common = contents([one]) & contents([other])
  assert common.total() < size / 2


@pytest.mark.parametrize(('source', 'augmentation'), RANDOM)
def test_every_epoch_augments_anew(load, source, augmentation):
  dataset = load(source, augmentation=augmentation)
  size = dataset.num_examples('validation')
  batches = take(dataset.train_batches('validation', size, seed=5), 2)
  common = contents(batches[:1]) & contents(batches[1:])
  assert common.total() < size / 2


@every_pair
def test_images_keep_their_labels(load, source, augmentation, shades):
  dataset = load(source, augmentation=augmentation, crop_padding=0)
  size = BATCH[source]
  batches = take(dataset.train_batches('train', size, seed=0), 6)
  for batch in [*batches, *dataset.evaluation_batches('test', size)]:
    brightness = (batch['image'].mean((1, 2, 3)) + 1) * 127.5
    nearest = np.abs(brightness[:, None] - np.array(shades)).argmin(1)
    real = batch['mask'] == 1
    np.testing.assert_array_equal(nearest[real], batch['label'][real])


@every_source
@pytest.mark.parametrize('size', [0, -1, 1_000_000])
def test_impossible_batch_size_fails_at_once(load, source, size):
  dataset = load(source)
  with pytest.raises(UserError, match=rf'batch size {size}: allowed is 1 to'):
    dataset.train_batches('train', size, seed=0)


def hosts_of(count):
  return [HostShare(index, count) for index in range(count)]


def joined(shares):
  """Batches of all hosts, put together."""
  return [
      {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
      for parts in zip(*shares, strict=True)
  ]


@pytest.mark.parametrize(('source', 'augmentation'), RANDOM)
def test_the_shares_of_all_hosts_are_the_batch_of_one(
    load, source, augmentation
):
  """Across the border of two epochs, and for a host that joins late."""
  dataset = load(source, augmentation=augmentation)
  size = BATCH[source] // 2 * 2
  steps = dataset.num_examples('train') // size
  start = steps - 1
  whole = take(dataset.train_batches('train', size, 3), steps + 2)[start:]
  shares = [
      take(dataset.train_batches('train', size, 3, start, host), 3)
      for host in hosts_of(2)
  ]
  assert all(len(batch['label']) == size // 2 for batch in shares[0])
  assert_same(joined(shares), whole)


@pytest.mark.parametrize(('source', 'size'), [
    ('arrays', 4), ('folder', 20), ('pillow', 20),
    pytest.param('tfds', 4, marks=pytest.mark.long),
])
def test_hosts_evaluate_every_image_once(load, source, size):
  """With 4 of 9 or 20 images, and with hosts that have no last image."""
  dataset = load(source)
  shares = [
      list(dataset.evaluation_batches('test', size, host))
      for host in hosts_of(4)
  ]
  assert len({len(share) for share in shares}) == 1
  for share in shares:
    assert all(len(part['image']) == size // 4 for part in share)
  whole = list(dataset.evaluation_batches('test', size))
  assert_same(joined(shares), whole)
  images = sum(contents(share).total() for share in shares)
  assert images == dataset.num_examples('test')


@every_source
def test_hosts_that_cannot_share_a_batch_are_told(load, source):
  dataset = load(source)
  with pytest.raises(UserError, match='batch size 5: allowed are multiples of'):
    dataset.train_batches('train', 5, 0, share=HostShare(0, 2))
  with pytest.raises(UserError, match='multiples of 2, the number of hosts'):
    list(dataset.evaluation_batches('test', 5, HostShare(1, 2)))


@pytest.mark.parametrize(('index', 'count'), [(2, 2), (-1, 2), (0, 0)])
def test_there_are_only_so_many_hosts(index, count):
  with pytest.raises(ValueError, match='allowed is 0 to'):
    HostShare(index, count)


def test_one_host_has_everything():
  assert WHOLE.rows(7) == slice(0, 7)


@pytest.mark.parametrize(('source', 'transfer', 'augmentation'), [
    ('arrays', 'uint8', 'resized_crop'), ('arrays', 'bfloat16', 'crop_flip'),
    ('pillow', 'uint8', 'crop_flip'), ('pillow', 'bfloat16', 'resized_crop'),
    *(pytest.param(*case, marks=pytest.mark.long) for case in (
        ('folder', 'uint8', 'crop_flip'), ('tfds', 'bfloat16', 'resized_crop'),
    )),
])
def test_types_of_transfer_differ_by_their_precision(
    load, source, transfer, augmentation
):
  size = BATCH[source]
  exact, found = (
      load(source, augmentation=augmentation, transfer=name)
      for name in ('float32', transfer)
  )
  pairs = zip(
      [*take(exact.train_batches('train', size, 0), 1),
       *exact.evaluation_batches('test', size)],
      [*take(found.train_batches('train', size, 0), 1),
       *found.evaluation_batches('test', size)],
      strict=True,
  )
  for one, other in pairs:
    assert other['image'].dtype == TRANSFERS[transfer]
    images = other['image'].astype(np.float32)
    if transfer == 'uint8':
      images = MINUS_ONE_TO_ONE(images)
    real = one['mask'] == 1
    np.testing.assert_allclose(
        images[real], one['image'][real],
        atol={'bfloat16': 1 / 256, 'uint8': 0.51 / 127.5}[transfer],
    )
    np.testing.assert_array_equal(other['label'], one['label'])


@every_source
def test_an_unknown_split_is_named(load, source):
  dataset = load(source)
  message = r"split 'val' of .*: allowed is one of \['train', 'validation',"
  for ask in (
      dataset.num_examples,
      lambda split: dataset.train_batches(split, 1, 0),
      lambda split: list(dataset.evaluation_batches(split, 1)),
  ):
    with pytest.raises(UserError, match=message):
      ask('val')


IMAGENET = {'mean': (0.485, 0.456, 0.406), 'deviation': (0.229, 0.224, 0.225)}


@pytest.mark.parametrize('source', [
    pytest.param('embedded', marks=pytest.mark.long), 'folder',
])
def test_the_config_says_how_pixels_are_scaled(load, source):
  plain = next(load(source).evaluation_batches('test', 4))['image']
  dataset = load(source, **IMAGENET)
  [found] = [next(dataset.evaluation_batches('test', 4))['image']]
  expected = ((plain + 1) / 2 - IMAGENET['mean']) / IMAGENET['deviation']
  np.testing.assert_allclose(found, expected, atol=1e-5)
  trained = [
      next(load(source, **fields).train_batches('train', 4, 0))['image']
      for fields in ({}, IMAGENET)
  ]
  np.testing.assert_allclose(
      trained[1],
      ((trained[0] + 1) / 2 - IMAGENET['mean']) / IMAGENET['deviation'],
      atol=1e-5,
  )


def test_the_default_scaling_rounds_as_the_mobilenet_code():
  pixels = np.arange(256, dtype=np.float32)
  found = MINUS_ONE_TO_ONE(pixels)
  np.testing.assert_array_equal(found, pixels / 127.5 - 1.0)
  assert found.dtype == np.float32
