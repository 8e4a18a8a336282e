"""Report of a study: summary.json, and the pages made of it alone."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from etils import epath

from layernas.benchmarks.benchmark import Benchmark
from layernas.experiment.workdir import Workdir
from layernas.study.document import picture_files
from layernas.study.markdown import markdown
from layernas.study.page import page
from layernas.study.study_plots import save_bands
from layernas.study.study_plots import save_curves
from layernas.study.study_plots import save_regret
from layernas.study.summary import summarise
from layernas.study.summary import to_json


def write_report(
    config: Any, benchmarks: Mapping[str, Benchmark],
    records: Sequence[Mapping[str, Any]], directory: Workdir,
) -> dict[str, Any]:
  """Writes summary.json and all that `render` makes of it.

  Args:
    config: of the study.
    benchmarks: by name.
    records: of all runs, see `run.play`.
    directory: to write into.

  Returns:
    Content of summary.json.
  """
  summary = summarise(config, benchmarks, records)
  directory.write_text('summary.json', to_json(summary))
  render(summary, directory.path)
  return summary


def render(summary: Mapping[str, Any], directory: epath.PathLike) -> None:
  """Writes the pictures, report.md and report.html of a study.

  Args:
    summary: content of its summary.json; nothing else is read.
    directory: exists; to write into.
  """
  workdir = Workdir(directory)
  for section in summary['sections']:
    draw = (save_curves, save_regret, save_bands)
    for save, file in zip(draw, picture_files(section), strict=True):
      save(summary, section, workdir.path / file)
  workdir.write_text('report.md', markdown(summary))
  workdir.write_text('report.html', page(summary, workdir.path))
