"""Directories of image files, and each wrong arrangement of them."""

import io
import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from layernas.data import image_folder
from layernas.data import streamed_dataset
from layernas.data.image_folder import FolderImages
from layernas.data.image_folder import list_images
from layernas.data.pillow_images import upright
from layernas.data.registry import load_dataset
from layernas.errors import UserError
from tests.data.images import png16
from tests.data.images import smooth
from tests.data.images import with_orientation


def names(paths):
  return ['/'.join(path.split('/')[-3:]) for path in paths]


def error_of(directory):
  with pytest.raises(UserError) as caught:
    list_images(str(directory))
  message = str(caught.value)
  assert '\n' not in message
  assert 'allowed' in message
  return message


def test_files_are_sorted_by_class_and_name(folder):
  files = list_images(str(folder(train=(3, 2), test=(1, 1))))
  assert files.class_names == ('class0', 'class1')
  assert names(files.paths['all_train']) == [
      'train/class0/000.png', 'train/class0/001.jpg', 'train/class0/002.JPEG',
      'train/class1/000.png', 'train/class1/001.jpg',
  ]
  assert files.labels['all_train'] == (0, 0, 0, 1, 1)
  assert names(files.paths['test']) == [
      'test/class0/000.png', 'test/class1/000.png'
  ]
  assert files.labels['test'] == (0, 1)


@pytest.mark.parametrize('name', ['test', 'val', 'validation'])
def test_the_test_images_may_have_other_names(folder, name):
  files = list_images(str(folder(test_name=name)))
  assert files.paths['test'][0].split('/')[-3] == name


def test_test_comes_before_val(folder):
  root = folder()
  folder(train=(), test=(1, 1, 1), test_name='val')
  assert len(list_images(str(root)).paths['test']) == 9


def test_hidden_files_are_passed_over(folder):
  root = folder()
  (root / 'train' / '.cache').mkdir()
  (root / 'train' / 'class0' / '.DS_Store').write_text('')
  assert len(list_images(str(root)).paths['all_train']) == 28


def test_the_home_directory_is_found(folder, monkeypatch):
  root = folder()
  monkeypatch.setenv('HOME', str(root.parent))
  assert list_images('~/images').directory == root


def test_a_missing_directory_is_named(tmp_path):
  missing = tmp_path / 'nothing'
  message = error_of(missing)
  assert message.startswith(f"data.directory: '{missing}': no such directory")
  assert 'train/CLASS/ and test/CLASS/ (or val/ or validation/)' in message


@pytest.mark.parametrize(('removed', 'left'), [('train', 'test'),
                                               ('test', 'train')])
def test_a_missing_split_is_named(folder, removed, left):
  root = folder()
  shutil.rmtree(root / removed)
  assert f"data.directory: '{root}': holds ['{left}']" in error_of(root)


def test_an_empty_class_is_named(folder):
  root = folder(test=(3, 0, 4))
  assert error_of(root).startswith(
      f'{root}/test/class1: images found: 0; allowed is 1'
  )


def test_a_class_with_nothing_to_hold_out_is_named(folder):
  root = folder(train=(9, 12, 1))
  assert error_of(root).startswith(
      f'{root}/train/class2: images found: 1; allowed is 2'
  )


def test_a_single_class_is_refused(folder):
  root = folder(train=(4,), test=(4,))
  assert error_of(root).startswith(f'{root}/train: has 1 classes')


@pytest.mark.parametrize(('train', 'test'), [((3, 3, 3), (2, 2)),
                                             ((3, 3), (2, 2, 2))])
def test_classes_that_differ_between_splits_are_named(folder, train, test):
  root = folder(train=train, test=test)
  message = error_of(root)
  for split, counts in (('train', train), ('test', test)):
    classes = [f'class{label}' for label in range(len(counts))]
    assert str(root / split) in message
    assert str(classes) in message


@pytest.mark.parametrize('name', ['notes.txt', 'image.gif', 'image'])
def test_a_file_that_is_no_image_is_named(folder, name):
  root = folder()
  path = root / 'train' / 'class1' / name
  path.write_text('no image')
  assert error_of(root) == (
      f'{path}: not an image file; allowed are files named *.jpg, *.jpeg,'
      ' *.png'
  )


@pytest.mark.parametrize('place', [b'train', b'train/class1'])
def test_a_name_that_is_no_text_is_named(folder, place):
  root = folder()
  os.mkdir(os.path.join(os.fsencode(root), place, b'caf\xe9.png'))
  assert error_of(root) == (
      f'{root}/{place.decode()}/caf\ufffd.png: a name with bytes that are no'
      ' UTF-8; allowed are names that are text'
  )


def test_a_directory_inside_a_class_is_named(folder):
  root = folder()
  path = root / 'test' / 'class0' / 'more.jpg'
  path.mkdir()
  assert error_of(root).startswith(f'{path}: not an image file')


def test_a_file_beside_the_classes_is_named(folder):
  root = folder()
  path = root / 'train' / 'labels.csv'
  path.write_text('')
  assert error_of(root).startswith(f'{path}: not a directory')


@pytest.fixture(name='open_folder', params=['tensorflow', 'pillow'])
def _open_folder(config, request):
  return lambda root, **changes: load_dataset(config(
      source='folder', directory=str(root), decoder=request.param, **changes
  ))


def test_the_last_files_of_every_class_are_held_out(
    open_folder, folder, image_of
):
  root = folder(train=(3, 8), test=(1, 1))
  Image.fromarray(np.full((8, 8, 3), 7, np.uint8)).save(
      root / 'train' / 'class0' / '999.png'
  )
  dataset = open_folder(root, validation_share=0.25)
  (batch,) = dataset.evaluation_batches('validation', 3)
  np.testing.assert_array_equal(batch['label'], [0, 1, 1])
  np.testing.assert_allclose(batch['image'][0], 7 / 127.5 - 1, atol=1e-6)


def test_kinds_of_image_files_give_the_same_pixels(open_folder, folder):
  root = folder(test=(0, 1, 1))
  pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
  grey = Image.fromarray(pixels)
  saved = {
      '0.png': grey,
      '1.png': grey.convert('RGB'),
      '2.png': grey.convert('LA'),
      '3.png': grey.convert('P'),
      '4.png': grey.convert('RGBA'),
      '5.jpg': grey,
      '6.JPG': grey.convert('RGB'),
  }
  for name, image in saved.items():
    image.save(root / 'test' / 'class0' / name, quality=100)
  (batch,) = open_folder(root).evaluation_batches('test', 9)
  found = (batch['image'][:7] + 1) * 127.5
  expected = np.repeat(pixels[:, :, None], 3, axis=2)
  for image in found[:5]:
    np.testing.assert_allclose(image, expected, atol=1e-3)
  for image in found[5:]:
    np.testing.assert_allclose(image, expected, atol=4)


@pytest.mark.parametrize(('name', 'damage'), [
    ('002.JPEG', lambda data: data[:len(data) // 2]),
    ('002.JPEG', lambda data: b''),
    ('000.png', lambda data: data[:len(data) // 2]),
    ('000.png', lambda data: b'no image' + data),
])
def test_a_damaged_image_is_named_when_it_is_met(
    open_folder, folder, name, damage
):
  root = folder(test=(3, 3, 3))
  path = root / 'test' / 'class1' / name
  path.write_bytes(damage(path.read_bytes()))
  batches = open_folder(root).evaluation_batches('test', 3)
  assert next(batches)['label'].tolist() == [0, 0, 0]
  with pytest.raises(UserError) as caught:
    next(batches)
  message = str(caught.value)
  assert message.startswith(f'{path}: damaged, or no image (')
  assert message.endswith('): allowed are whole JPEG and PNG files')
  assert '\n' not in message


def test_a_file_that_has_gone_is_named(open_folder, folder):
  root = folder()
  dataset = open_folder(root)
  path = root / 'test' / 'class2' / '001.jpg'
  path.unlink()
  batches = dataset.evaluation_batches('test', 2)
  assert [int(next(batches)['label'][0]) for _ in range(3)] == [0, 0, 1]
  with pytest.raises(UserError, match=f'^{path}: damaged, or no image'):
    next(batches)


def test_no_file_is_opened_before_its_turn(open_folder, folder):
  """A folder of a million files opens in seconds."""
  root = folder()
  for path in root.glob('*/*/*'):
    path.write_bytes(b'damaged')
  assert open_folder(root).num_examples('all_train') == 28


def evaluated(open_folder, folder, **files):
  """The images of files, 0..255, in the order of their names."""
  root = folder(test=(0, 1, 1))
  for name, data in files.items():
    (root / 'test' / 'class0' / name.replace('_', '.')).write_bytes(data)
  (batch,) = open_folder(root).evaluation_batches('test', len(files) + 2)
  return (batch['image'][:len(files)] + 1) * 127.5


@pytest.mark.parametrize(('kind', 'atol'), [('jpeg', 4), ('png', 1e-3)])
def test_images_stand_as_their_exif_data_say(open_folder, folder, kind, atol):
  pixels = smooth(8, 8)
  turned = {
      1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1],
      5: pixels.swapaxes(0, 1), 6: np.rot90(pixels, -1),
      7: pixels[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(pixels),
  }
  found = evaluated(open_folder, folder, **{
      f'{number}_{kind[:3]}g'.replace('pngg', 'png'): with_orientation(
          pixels, number, kind
      ) for number in turned
  })
  for image, expected in zip(found, turned.values(), strict=True):
    np.testing.assert_allclose(image, expected, atol=atol)


def test_files_that_stand_upright_are_left_as_they_are():
  data = with_orientation(smooth(8, 8), 1)
  assert upright(data) is data
  damaged = with_orientation(smooth(64, 64), 6)[:400]
  assert upright(damaged) is damaged


def test_an_upright_photograph_has_its_sides_exchanged():
  with Image.open(io.BytesIO(
      upright(with_orientation(smooth(10, 20), 6))
  )) as image:
    assert image.size == (10, 20)


@pytest.mark.parametrize(('bits', 'largest'), [
    (8, 255), (12, 4095), (16, 65535),
])
def test_values_of_16_bits_are_scaled(open_folder, folder, bits, largest):
  """Grey, with alpha, in colour, with alpha."""
  values = np.random.default_rng(0).integers(0, largest + 1, (8, 8, 4))
  values[0, 0] = largest
  found = evaluated(open_folder, folder, **{
      f'{channels}_png': png16(values[..., :channels])
      for channels in (1, 2, 3, 4)
  })
  levels = values >> (bits - 8)
  np.testing.assert_allclose(
      found[:2], np.broadcast_to(levels[..., :1], (2, 8, 8, 3)), atol=1e-3
  )
  np.testing.assert_allclose(
      found[2:], np.broadcast_to(levels[..., :3], (2, 8, 8, 3)), atol=1e-3
  )


@pytest.mark.parametrize('channels', [1, 3])
def test_files_of_16_bits_are_turned(open_folder, folder, channels):
  values = np.random.default_rng(0).integers(0, 4096, (8, 8, channels))
  (found,) = evaluated(open_folder, folder, a_png=png16(values, 6))
  levels = np.broadcast_to(values >> 4, (8, 8, 3))
  np.testing.assert_allclose(found, np.rot90(levels, -1), atol=1e-3)


def test_the_config_says_how_many_bits_are_used(open_folder, folder):
  root = folder(test=(0, 1, 1))
  values = np.random.default_rng(0).integers(0, 1024, (8, 8))
  (root / 'test' / 'class0' / 'a.png').write_bytes(png16(values))
  (batch,) = open_folder(root, bits=10).evaluation_batches('test', 3)
  np.testing.assert_allclose(
      (batch['image'][0, ..., 0] + 1) * 127.5, values >> 2, atol=1e-3
  )


def test_cmyk_is_converted_as_pillow_does(open_folder, folder):
  image = Image.fromarray(smooth(8, 8)).convert('CMYK')
  file = io.BytesIO()
  image.save(file, 'jpeg', quality=100)
  [found] = evaluated(open_folder, folder, a_jpg=file.getvalue())
  with Image.open(file) as read:
    np.testing.assert_allclose(found, np.asarray(read.convert('RGB')), atol=2)


def test_transparency_is_dropped(open_folder, folder):
  pixels = np.dstack([smooth(8, 8), np.zeros((8, 8), np.uint8)])
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, 'png')
  [found] = evaluated(open_folder, folder, a_png=file.getvalue())
  np.testing.assert_allclose(found, pixels[..., :3], atol=1e-3)


def saved(image, kind, **options):
  file = io.BytesIO()
  image.save(file, kind, **options)
  return file.getvalue()


def test_transparent_colours_of_a_palette_are_dropped(open_folder, folder):
  pixels = np.random.default_rng(0).integers(0, 16, (8, 8), dtype=np.uint8)
  image = Image.fromarray(pixels, 'P')
  colours = np.random.default_rng(1).integers(0, 256, (16, 3), np.uint8)
  image.putpalette(colours.tobytes())
  found = evaluated(
      open_folder, folder, a_png=saved(image, 'png', transparency=3),
      b_png=saved(image, 'png', transparency=bytes(range(0, 160, 10))),
  )
  for one in found:
    np.testing.assert_allclose(one, colours[pixels], atol=1e-3)


@pytest.mark.parametrize('augmentation', ['none', 'resized_crop', 'crop_flip'])
def test_a_single_pixel_is_an_image(open_folder, folder, augmentation):
  root = folder()
  for path in root.glob('*/class1/*'):
    pixel = Image.fromarray(np.full((1, 1, 3), 102, np.uint8))
    pixel.save(path, quality=100)
  dataset = open_folder(root, augmentation=augmentation, crop_padding=0)
  dataset.check_images()
  (batch,) = dataset.evaluation_batches('test', 9)
  pixels = batch['image'][batch['label'] == 1]
  np.testing.assert_allclose((pixels + 1) * 127.5, 102, atol=2)
  batch = next(dataset.train_batches('train', 20, 0))
  pixels = batch['image'][batch['label'] == 1]
  assert len(pixels)
  np.testing.assert_allclose((pixels + 1) * 127.5, 102, atol=2)


def test_of_an_animation_the_first_image_counts(open_folder, folder):
  frames = [
      Image.fromarray(np.full((8, 8), grey, np.uint8)) for grey in (40, 200)
  ]
  options = {'save_all': True, 'append_images': frames[1:]}
  found = evaluated(
      open_folder, folder, a_png=saved(frames[0], 'gif', **options),
      b_png=saved(frames[0], 'png', **options),
  )
  np.testing.assert_allclose(found, 40, atol=1)


@pytest.mark.parametrize('kind', ['tiff', 'ppm'])
def test_files_of_other_kinds_are_named(open_folder, folder, capfd, kind):
  root = folder()
  image = Image.fromarray(smooth(8, 8))
  if kind == 'tiff':
    image = Image.fromarray(np.full((8, 8), 9000, np.uint16))
  path = root / 'train' / 'class1' / '003.png'
  path.write_bytes(saved(image, kind))
  with pytest.raises(UserError) as caught:
    open_folder(root).check_images()
  assert str(caught.value) == (
      f'{path}: damaged, or no image (it is a {kind.upper()} file): allowed are'
      ' whole JPEG and PNG files'
  )
  assert capfd.readouterr().err == ''


DAMAGES = {
    'cut': lambda data: data[:len(data) // 2],
    'nearly whole': lambda data: data[:-3],
    'head': lambda data: data[:30],
    'empty': lambda data: b'',
    'web page': lambda data: b'<html>not found</html>',
    'zeros': lambda data: bytes(len(data)),
}


@pytest.mark.parametrize(('damage', 'path'), list(zip(DAMAGES, [
    'test/class1/000.png', 'test/class2/001.jpg', 'train/class0/000.png',
    'train/class2/004.jpg', 'train/class2/006.png', 'train/class1/011.JPEG',
], strict=True)))
def test_a_damaged_image_is_found_in_every_split(
    open_folder, folder, capfd, path, damage
):
  root = folder()
  file = root / path
  file.write_bytes(DAMAGES[damage](file.read_bytes()))
  dataset = open_folder(root)
  with pytest.raises(UserError) as caught:
    dataset.check_images()
  message = str(caught.value)
  assert re.fullmatch(
      f'{re.escape(str(file))}: damaged, or no image \\(.{{5,}}\\): allowed are'
      ' whole JPEG and PNG files', message,
  )
  assert '{' not in message
  assert capfd.readouterr().err == ''


def test_a_file_that_cannot_be_read_is_named_with_the_reason(
    open_folder, folder
):
  root = folder()
  dataset = open_folder(root)
  path = root / 'train' / 'class2' / '001.jpg'
  path.unlink()
  with pytest.raises(UserError) as caught:
    dataset.check_images()
  assert str(caught.value) == (
      f"{path}: damaged, or no image (FileNotFoundError: [Errno 2] No such file"
      f" or directory: '{path}'): allowed are whole JPEG and PNG files"
  )


def test_whole_images_pass(open_folder, folder, capfd):
  open_folder(folder()).check_images()
  assert capfd.readouterr() == ('', '')


def test_files_beyond_what_is_decoded_are_looked_at(
    open_folder, folder, monkeypatch
):
  monkeypatch.setattr(image_folder, '_DECODED_BYTES', 1)
  root = folder()
  files = FolderImages(list_images(str(root)), 0.25)
  assert files.suspects('test').tolist() == [0]
  for name in ('class2/001.jpg', 'class2/000.png'):
    file = root / 'test' / name
    file.write_bytes(file.read_bytes()[:-20])
  assert files.suspects('test').tolist() == [0, 5, 6]
  with pytest.raises(UserError, match=r'class2/000\.png: damaged'):
    open_folder(root).check_images()


def test_a_long_check_says_how_far_it_is(
    open_folder, folder, monkeypatch, capsys
):
  monkeypatch.setattr(streamed_dataset, '_REPORT_SECONDS', -1.0)
  open_folder(folder()).check_images()
  assert capsys.readouterr().out.splitlines()[8] == (
      "data: 9 of 9 images of split 'test' are checked"
  )
