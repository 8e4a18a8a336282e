"""Figures as PNG files, on a disk and on gs://."""

import io
import pathlib

from matplotlib import pyplot as plt
from PIL import Image

from layernas.reports.plots import save_picture
from tests.fake_gcs import Bucket


def test_a_picture_has_its_size_and_is_closed(tmp_path: pathlib.Path) -> None:
  figure = plt.figure(figsize=(3, 2))
  save_picture(figure, tmp_path / 'a.png', dpi=50)
  assert Image.open(tmp_path / 'a.png').size == (150, 100)
  assert not plt.fignum_exists(figure.number)


def test_a_picture_in_a_bucket(bucket: Bucket) -> None:
  save_picture(plt.figure(), f'{bucket.url}/run/a.png')
  picture = Image.open(io.BytesIO(bucket.objects['run/a.png']))
  assert picture.format == 'PNG'
