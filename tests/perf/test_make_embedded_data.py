"""The program that makes the embedded archive."""

import gzip
import io
import pathlib
import random
import subprocess
import sys
import tarfile

from layernas.data.embedded_cifar10 import ARCHIVE
from layernas.data.embedded_cifar10 import CLASSES

_PROGRAM = (
    pathlib.Path(__file__).parents[2] / 'experiments' / 'make_embedded_data.py'
)


def make(archive, output):
  return subprocess.run(
      [sys.executable, str(_PROGRAM), f'--archive={archive}',
       f'--output={output}'],
      capture_output=True, text=True,
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


def test_the_subset_is_made_again_from_itself(tmp_path):
  result = make(ARCHIVE, tmp_path / 'again.tar.gz')
  assert result.returncode == 0, result.stderr
  # Compared unpacked: versions of zlib pack differently.
  again = gzip.decompress((tmp_path / 'again.tar.gz').read_bytes())
  assert again == gzip.decompress(ARCHIVE.read_bytes())


def test_the_first_images_of_every_class_are_taken(tmp_path):
  counts = {'train': 1003, 'test': 201}
  write_archive(tmp_path / 'one.tar', 0, counts)
  write_archive(tmp_path / 'two.tar', 1, counts, prefix='./')
  for name in ('one', 'two'):
    result = make(tmp_path / f'{name}.tar', tmp_path / f'{name}.tar.gz')
    assert result.returncode == 0, result.stderr
  packed = (tmp_path / 'one.tar.gz').read_bytes()
  assert (tmp_path / 'two.tar.gz').read_bytes() == packed
  with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
    found = {
        member.name: archive.extractfile(member).read() for member in archive
    }
  assert found == {
      name: name.encode()
      for split, count in (('train', 1000), ('test', 200))
      for label in CLASSES
      for name in (
          f'{split}/{label}/{number:04d}.jpg' for number in range(count)
      )
  }


def test_an_unusable_archive_is_named_in_one_line(tmp_path):
  (tmp_path / 'text.tar.gz').write_text('no archive')
  write_archive(tmp_path / 'short.tar', 0, {'train': 1000, 'test': 199})
  for name in ('missing.tar.gz', 'text.tar.gz', 'short.tar'):
    result = make(tmp_path / name, tmp_path / 'output')
    assert result.returncode == 2
    assert result.stderr.startswith('error: flag --archive: ')
    assert str(tmp_path / name) in result.stderr
    assert 'allowed is' in result.stderr
    assert result.stderr.count('\n') == 1
    assert not (tmp_path / 'output').exists()
