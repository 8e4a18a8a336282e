"""The program that makes the embedded archive."""

import gzip
import io
import os
import random
import subprocess
import sys
import tarfile

import pytest

from layernas.data.embedded_cifar10 import ARCHIVE
from layernas.data.embedded_cifar10 import CLASSES
from layernas.errors import UserError
from tests import tiny
from tools import make_embedded_data
from tools.make_embedded_data import choose
from tools.make_embedded_data import pack


@pytest.fixture(name='few')
def _few(monkeypatch):
  """Ten training images and two test images of every class are enough."""
  monkeypatch.setattr(
      make_embedded_data, 'COUNTS', {'train': 10, 'test': 2}
  )


def write_archive(path, seed, counts, prefix=''):
  """An archive in some order, its files made at some time by someone."""
  rng = random.Random(seed)
  names = [
      f'{split}/{label}/{number:04d}.jpg'
      for split, count in counts.items()
      for label in CLASSES
      for number in range(count)
  ]
  rng.shuffle(names)
  with tarfile.open(path, 'w') as archive:
    for name in names:
      member = tarfile.TarInfo(prefix + name)
      member.size, member.mtime = len(name), rng.randrange(10**9)
      member.uname = rng.choice(['ada', 'bob'])
      archive.addfile(member, io.BytesIO(name.encode()))


def test_the_first_images_of_every_class_are_taken(tmp_path, few):
  counts = {'train': 13, 'test': 3}
  write_archive(tmp_path / 'one.tar', 0, counts)
  write_archive(tmp_path / 'two.tar', 1, counts, prefix='./')
  packed = pack(choose(str(tmp_path / 'one.tar')))
  assert packed == pack(choose(str(tmp_path / 'two.tar')))
  with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
    found = {
        member.name: archive.extractfile(member).read() for member in archive
    }
  assert found == {
      name: name.encode()
      for split, count in (('train', 10), ('test', 2))
      for label in CLASSES
      for name in (
          f'{split}/{label}/{number:04d}.jpg' for number in range(count)
      )
  }


@pytest.mark.parametrize(('name', 'words'), [
    ('missing.tar.gz', 'No such file'), ('text.tar.gz', 'allowed is a .tar.gz'),
    ('short.tar', 'has 110 of 120 images'),
])
def test_an_unusable_archive_is_named(tmp_path, few, name, words):
  (tmp_path / 'text.tar.gz').write_text('no archive')
  write_archive(tmp_path / 'short.tar', 0, {'train': 10, 'test': 1})
  with pytest.raises(UserError, match=r'^flag --archive: ') as error:
    choose(str(tmp_path / name))
  assert str(tmp_path / name) in str(error.value)
  assert words in str(error.value)


@pytest.mark.long
def test_the_subset_is_made_again_from_itself(tmp_path):
  done = subprocess.run(
      [sys.executable, str(tiny.ROOT / 'tools' / 'make_embedded_data.py'),
       f'--archive={ARCHIVE}', f'--output={tmp_path}/again.tar.gz'],
      capture_output=True, text=True, cwd=tiny.ROOT,
      env=os.environ | {'PYTHONPATH': str(tiny.ROOT)},
  )
  assert done.returncode == 0, done.stderr
  # Compared unpacked: versions of zlib pack differently.
  again = gzip.decompress((tmp_path / 'again.tar.gz').read_bytes())
  assert again == gzip.decompress(ARCHIVE.read_bytes())
