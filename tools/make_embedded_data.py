r"""Makes the embedded CIFAR-10 subset from the full archive of JPEG files.

  .venv/bin/python tools/make_embedded_data.py \
    --archive=cifar10_jpeg.tar.gz

The archive holds train/CLASS/0000.jpg .. 4999.jpg and test/CLASS/0000.jpg ..
0999.jpg. The subset takes the first 1,000 training and the first 200 test
images of every class, unchanged, and is the same to the last byte every time.
"""

import gzip
import io
import re
import tarfile
from collections.abc import Mapping

from layernas.data.embedded_cifar10 import ARCHIVE
from layernas.data.embedded_cifar10 import CLASSES
from layernas.errors import UserError
from layernas.runs import cli

_SOURCE = cli.define_path(
    'archive', 'The full archive (.tar.gz).', required=True
)
_TARGET = cli.define_path('output', 'Where to write.', default=str(ARCHIVE))

COUNTS = {'train': 1000, 'test': 200}
"""Images of each class."""

_MEMBER = re.compile(r'(?:\./)?(train|test)/(\w+)/(\d{4})\.jpg')


def main() -> None:
  """Writes the subset."""
  images = choose(_SOURCE.value)
  with open(_TARGET.value, 'wb') as file:
    file.write(pack(images))
  print(f'{_TARGET.value}: {len(images):,} images')


def choose(archive: str) -> dict[str, bytes]:
  """Reads the first images of every class.

  Args:
    archive: path of the full archive.

  Returns:
    Contents by name, 'train/cat/0000.jpg'.

  Raises:
    UserError: the archive cannot be read or lacks images.
  """
  chosen = {}
  try:
    with tarfile.open(archive) as source:
      for member in source:
        match = _MEMBER.fullmatch(member.name)
        if match and int(match[3]) < COUNTS[match[1]]:
          name = member.name.removeprefix('./')
          chosen[name] = source.extractfile(member).read()
  except (OSError, EOFError, tarfile.TarError) as error:
    raise UserError(
        f'flag --archive: {archive!r}: {error}: allowed is a .tar.gz file'
    ) from error
  wanted = len(CLASSES) * sum(COUNTS.values())
  if len(chosen) != wanted:
    raise UserError(
        f'flag --archive: {archive!r} has {len(chosen)} of {wanted} images:'
        ' allowed is one with train/CLASS/0000.jpg .. and test/CLASS/0000.jpg'
    )
  return chosen


def pack(images: Mapping[str, bytes]) -> bytes:
  """A .tar.gz file that depends on names and contents alone.

  Args:
    images: contents by name.

  Returns:
    The file's content: members sorted, no times, owners or file name.
  """
  plain, zipped = io.BytesIO(), io.BytesIO()
  with tarfile.open(None, 'w', plain, format=tarfile.USTAR_FORMAT) as tar:
    for name in sorted(images):
      member = tarfile.TarInfo(name)
      member.size = len(images[name])
      tar.addfile(member, io.BytesIO(images[name]))
  with gzip.GzipFile('', 'wb', 9, zipped, mtime=0) as file:
    file.write(plain.getvalue())
  return zipped.getvalue()


if __name__ == '__main__':
  cli.run(main)
