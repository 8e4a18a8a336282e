"""Figures to PNG files."""

import io

from etils import epath
from matplotlib import pyplot as plt
from matplotlib.figure import Figure


def save_picture(figure: Figure, path: epath.PathLike, dpi: int = 130) -> None:
  """Writes a figure and closes it.

  Args:
    figure: of pyplot.
    path: of the PNG, local or on gs://.
    dpi: pixels per inch.
  """
  file = io.BytesIO()
  figure.savefig(file, format='png', dpi=dpi)
  plt.close(figure)
  epath.Path(path).write_bytes(file.getvalue())
