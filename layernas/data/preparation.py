"""What a user has to do to get a TFDS set that is not there."""

import shlex

import tensorflow_datasets as tfds

IMAGENET = 'imagenet2012'

# Sizes in TFDS's imagenet2012/checksums.tsv: 147,897,477,120 and 6,744,924,160
# bytes. TFDS copies the JPEG files into its records as they are.
_IMAGENET_STEPS = (
    'It takes about 155 GB, and as much again while it is made. Register at'
    ' https://image-net.org/download-images, put ILSVRC2012_img_train.tar (148'
    ' GB) and ILSVRC2012_img_val.tar (6.7 GB) into {manual}, and run: {command}'
)


def how_to_prepare(builder: tfds.core.DatasetBuilder, name: str) -> str:
  """Says in a line which command prepares a set, and how large it is.

  TFDS has a command of its own, "tfds build", but that of 4.9.10 imports
  apache_beam, which TFDS does not require.

  Args:
    builder: of the set, with the directory where it is to be.
    name: name[/config][:version] of the set.

  Returns:
    One or more sentences, the last of which ends with the command.
  """
  root = str(builder.data_dir_root)
  command = 'python -c ' + shlex.quote(
      f'import tensorflow_datasets as tfds; tfds.builder("{name}",'
      f' data_dir="{root}", file_format="tfrecord").download_and_prepare()'
  )
  # Where TFDS looks if it is not told another place.
  manual = f'{root}/downloads/manual'
  if builder.name == IMAGENET:
    return _IMAGENET_STEPS.format(manual=manual, command=command)
  if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
    steps = ' '.join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
    return f'{steps} The manual_dir is {manual}. Then run: {command}'
  return f'{_download_size(builder)}This command prepares it: {command}'


def _download_size(builder: tfds.core.DatasetBuilder) -> str:
  """A sentence on the size of what is downloaded, '' where it is not known."""
  urls = builder.url_infos or {}
  total = sum(int(url.size) for url in urls.values())
  if not total:
    return ''
  return f'Its files to download are {total / 1e9:,.2f} GB. '
