"""Plays one run of a study and writes its decision trace."""

import dataclasses
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from layernas import activity
from layernas.errors import UserError
from layernas.reports.trace_page import write_trace
from layernas.reports.trace_plot import save_trace_plot
from layernas.search.trace import Trace
from layernas.storage.resuming import STUDY
from layernas.storage.workdir import Workdir
from layernas.study.run import Key
from layernas.study.run import play
from layernas.study.setup import ACCOUNTINGS
from layernas.study.setup import check_study
from layernas.study.setup import make_benchmark
from layernas.study.setup import make_strategy

_FACTS = ('reported', 'trials', 'stop_reason')
"""Of a run's record, what its trace repeats."""


def trace_run(
    config: ConfigDict, workdir: epath.PathLike, benchmark: str = '',
    method: str = '', accounting: str = 'each_network_once', seed: int = 0,
) -> dict[str, Any]:
  """Plays a run; writes trace.json, trace.html and trace.png.

  Args:
    config: see configs/study/default.py.
    workdir: of traces of this config; files of an earlier one are replaced.
    benchmark: its name in the config; may be '' where there is only one.
    method: likewise.
    accounting: one of `setup.ACCOUNTINGS`.
    seed: of the run.

  Returns:
    Content of trace.json.

  Raises:
    UserError: something in config or arguments is wrong, or the method has no
      layer tables; the workdir has not been touched.
  """
  check_study(config)
  key = Key(
      _choose('benchmark', benchmark, list(config.benchmarks)),
      _choose('accounting', accounting, list(ACCOUNTINGS)),
      _choose('method', method, list(config.methods)),
      seed,
  )
  if seed < 0:
    raise UserError(f'flag --seed: {seed}: allowed are integers >= 0')
  trace = traced(config, key)
  directory = Workdir(workdir, STUDY)
  with directory.opened(config), activity.doing('drawing the trace'):
    write_trace(trace, directory)
    save_trace_plot(trace, directory.path / 'trace.png')
  return trace


def traced(config: ConfigDict, key: Key) -> dict[str, Any]:
  """Plays a run of a study.

  Args:
    config: see configs/study/default.py.
    key: of the run.

  Returns:
    JSON of its trace, with the run's key and figures as 'run'.

  Raises:
    UserError: the method has no layer tables.
  """
  section = config.benchmarks[key.benchmark]
  benchmark = make_benchmark(key.benchmark, section)
  strategy = make_strategy(config.methods[key.method])
  try:
    trace = Trace(benchmark.problem, strategy)
  except UserError as error:
    raise UserError(f'method {key.method!r}: {error}') from error
  with activity.doing('playing the search'):
    record = play(key, benchmark, strategy)
  facts = {name: record[name] for name in _FACTS}
  negated = ', negated: smaller is better' if benchmark.sign < 0 else ''
  title = f'{key.method} on {key.benchmark}, seed {key.seed}'
  return {
      'run': {'title': title, **dataclasses.asdict(key),
              'signal': section.signal + negated, 'metric': section.metric,
              **facts},
      **trace.to_dict(),
  }


def _choose(field: str, name: str, allowed: list[str]) -> str:
  """The named one, or the only one."""
  if not name and len(allowed) == 1:
    return allowed[0]
  if name not in allowed:
    raise UserError(f'flag --{field}: {name!r}: allowed are {allowed}')
  return name
