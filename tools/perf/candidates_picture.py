"""What tools/perf/candidates.py measured, as a picture."""

import pathlib

import numpy as np
from matplotlib import pyplot as plt

from tools.perf.candidates_report import LABELS
from tools.perf.candidates_report import Systems
from tools.perf.one_by_one import PARTS


def save_picture(systems: Systems, path: pathlib.Path) -> None:
  """Draws each candidate as a bar of what its time went into.

  Args:
    systems: as `read_systems` gives them.
    path: of the PNG file.
  """
  figure, panels = plt.subplots(
      1, len(systems), figsize=(3.2 * len(systems), 3.4), layout='constrained',
      squeeze=False,
  )
  for axes, (name, found) in zip(panels[0], systems.items(), strict=True):
    places = np.arange(len(found['candidates']))
    bottom = np.zeros(len(places))
    for part in PARTS:
      seconds = np.array([
          one['seconds'].get(part, 0.0) for one in found['candidates']
      ])
      axes.bar(places, seconds, bottom=bottom, label=part)
      bottom += seconds
    axes.set_title(LABELS.get(name, 'whole search'))
    axes.set_xlabel('candidate')
  panels[0][0].set_ylabel('seconds')
  panels[0][-1].legend(fontsize='small')
  figure.savefig(path, dpi=130)
  plt.close(figure)
