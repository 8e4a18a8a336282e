"""Audits the benchmarks of a config and writes what was found."""

from typing import Any

from etils import epath
from ml_collections import ConfigDict
from rich.progress import track

from layernas.errors import UserError
from layernas.experiment.progress import new_console
from layernas.experiment.workdir import Workdir
from layernas.search.layer_pass import TableSettings
from layernas.search.sweep import PassSettings
from layernas.study.audit import audit
from layernas.study.audit import audit_to_dict
from layernas.study.audit_report import audit_markdown
from layernas.study.audit_report import save_audit_plot
from layernas.study.setup import make_benchmark


def run_audit(config: ConfigDict, workdir: epath.PathLike) -> dict[str, Any]:
  """Audits every benchmark for every H.

  Args:
    config: see configs/audit.py.
    workdir: audit.json, audit.md and audit.png are written there.

  Returns:
    Content of audit.json.

  Raises:
    UserError: a field is wrong; nothing has been written.
  """
  if config.top < 1 or not config.benchmarks or not config.buckets:
    raise UserError(
        f'top {config.top}, {len(config.benchmarks)} benchmarks,'
        f' {len(config.buckets)} buckets: allowed are at least one of each'
    )
  settings = [
      PassSettings(
          TableSettings(buckets, spacing=config.spacing), config.start,
          config.order,
      )
      for buckets in config.buckets
  ]
  benchmarks = {
      name: make_benchmark(name, section)
      for name, section in config.benchmarks.items()
  }
  # An audit takes seconds and is not resumed: any config may follow another.
  directory = Workdir(workdir, free_fields=('',))
  directory.open(config)
  try:
    result = {
        'config': config.to_dict(),
        'audits': [
            {'benchmark': name, 'buckets': one.tables.buckets}
            | audit_to_dict(audit(benchmark, one, config.top))
            for name, benchmark in track(
                benchmarks.items(), 'auditing', console=new_console()
            )
            for one in settings
        ],
    }
    directory.write_json('audit.json', result)
    directory.write_text('audit.md', audit_markdown(result))
    save_audit_plot(result, directory.path / 'audit.png')
  finally:
    directory.close()
  print(f'audit: {directory.path}/audit.md, audit.json, audit.png')
  return result
