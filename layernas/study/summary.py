"""All that a study's report shows, as JSON types: no runs, only statistics."""

import importlib.metadata
import json
import os
import platform
import re
from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import layernas
from layernas.search.space import parse_architecture_id
from layernas.study.curves import make_curve
from layernas.study.curves import pack
from layernas.study.protocol import describe_benchmark
from layernas.study.statistics import Answers
from layernas.study.statistics import compare
from layernas.study.statistics import describe
from layernas.study.statistics import holm
from layernas.study.statistics import mean
from layernas.study.tables.benchmark import Benchmark

_PACKAGES = ('numpy', 'scipy', 'optuna', 'smac', 'syne-tune', 'torch')

_DIGITS = 6
"""Significant digits of every statistic."""

_EFFORT = ('trials', 'networks', 'reused', 'rejected', 'failed')

Record = Mapping[str, Any]


def summarise(
    config: Any, benchmarks: Mapping[str, Benchmark], records: Sequence[Record]
) -> dict[str, Any]:
  """Reduces a study's runs to what its report shows.

  Args:
    config: of the study.
    benchmarks: by name.
    records: of all runs, see `run.play`.

  Returns:
    JSON types without NaN; `sections` has one entry for every accounting and
    benchmark, in the order of the config.
  """
  groups: dict[tuple[str, str, str], list[Record]] = {}
  for record in records:
    key = (record['accounting'], record['benchmark'], record['method'])
    groups.setdefault(key, []).append(record)
  methods = sorted(config.methods, key=lambda name: _rank(config, name))
  described = {
      name: describe_benchmark(
          benchmark, config.benchmarks[name], config.curve_points
      )
      for name, benchmark in benchmarks.items()
  }
  return {
      'title': config.title,
      'compared': config.compared,
      'machine': machine(),
      'methods': {
          name: {
              'kind': config.methods[name].kind,
              'settings': _json_types(config.methods[name].settings),
          }
          for name in methods
      },
      'benchmarks': described,
      'sections': [
          _section(
              benchmarks[name], described[name], accounting,
              {
                  method: groups[accounting, name, method]
                  for method in methods
                  if (accounting, name, method) in groups
              },
              config,
          )
          for accounting in config.accountings
          for name in benchmarks
      ],
  }


def to_json(summary: Mapping[str, Any]) -> str:
  """Text of a summary, with every list of numbers on one line.

  Args:
    summary: of `summarise`.

  Returns:
    JSON.

  Raises:
    ValueError: it has a NaN or an infinity.
  """
  text = json.dumps(summary, indent=1, allow_nan=False)
  return re.sub(
      r'\[\n[^][{}"]*\]', lambda match: re.sub(r'\s+', '', match[0]), text
  ) + '\n'


def _json_types(section: Any) -> dict[str, Any]:
  """A config section as it comes back from JSON: lists, no tuples."""
  return json.loads(json.dumps(section.to_dict()))


def _rank(config: Any, method: str) -> tuple[Any, ...]:
  """The compared method first, then LayerNAS's, then the others, by name.

  Numbers in names count as such: h_20 comes before h_100.
  """
  return (
      method != config.compared,
      config.methods[method].kind != 'layernas',
      [(int(d or -1), text) for d, text in re.findall(r'(\d+)|(\D+)', method)],
  )


def _section(
    benchmark: Benchmark, described: Mapping[str, Any], accounting: str,
    groups: Mapping[str, Sequence[Record]], config: Any,
) -> dict[str, Any]:
  answers = {
      method: [
          (run['answer']['architecture'], run['reported'])
          for run in runs if run['answer'] is not None
      ]
      for method, runs in groups.items()
  }
  return {
      'accounting': accounting,
      'benchmark': benchmark.name,
      'methods': {
          method: _rounded(
              _method(benchmark, runs)
              | describe([figure for _, figure in answers[method]])
          ) | {'curve': _curve(described, runs)}
          for method, runs in groups.items()
      },
      'tests': _rounded(_tests(answers, config)),
  }


def _method(benchmark: Benchmark, runs: Sequence[Record]) -> dict[str, Any]:
  """Statistics of a method's runs, besides their figures'."""
  regrets = [
      benchmark.regret(benchmark.reference.item(
          parse_architecture_id(run['answer']['architecture'])
      ))
      for run in runs if run['answer'] is not None
  ]
  known = benchmark.optimum is not None
  distinct = {
      json.dumps([run['answer'], run['trials'], run['curve']]) for run in runs
  }
  seconds = [run['seconds'] for run in runs] if benchmark.seconds else []
  stops = Counter(run['stop_reason'] for run in runs)
  return {
      'runs': len(runs),
      'distinct_runs': len(distinct),
      'unanswered': len(runs) - len(regrets),
      'answers': len({
          run['answer']['architecture']
          for run in runs if run['answer'] is not None
      }),
      'signal': mean([
          run['answer']['reward'] for run in runs if run['answer'] is not None
      ]),
      'regret': mean(regrets) if known else None,
      'found': sum(regret == 0 for regret in regrets) / len(runs)
               if known else None,
      **{name: mean([run[name] for run in runs]) for name in _EFFORT},
      'seconds': mean(seconds),
      'stopped': dict(sorted(stops.items())),
  }


def _curve(described: Mapping[str, Any], runs: Sequence[Record]) -> Any:
  curve = make_curve(described['grid'], described['clock'], runs)
  return pack(curve, described['decimals'])


def _tests(answers: Mapping[str, Answers], config: Any) -> dict[str, Any]:
  """The compared method against every other one; {} where none is."""
  compared = config.compared
  if compared not in answers:
    return {}
  rows = {
      method: compare(
          answers[compared], values, config.methods[method].kind == 'default'
      )
      for method, values in answers.items() if method != compared
  }
  tested = [name for name, row in rows.items() if row['p'] is not None]
  adjusted = holm([rows[name]['p'] for name in tested])
  corrected = dict(zip(tested, adjusted, strict=True))
  return {
      name: row | {'p_holm': corrected.get(name)} for name, row in rows.items()
  }


def _rounded(value: Any) -> Any:
  """JSON types with every float at `_DIGITS` significant digits."""
  if isinstance(value, dict):
    return {name: _rounded(each) for name, each in value.items()}
  if isinstance(value, list):
    return [_rounded(each) for each in value]
  return float(f'{value:.{_DIGITS}g}') if isinstance(value, float) else value


def machine() -> dict[str, Any]:
  """Cores, platform and versions of the present machine.

  Returns:
    JSON types; a package that is not installed is left out.
  """
  return {
      'cores': os.cpu_count(),
      'platform': f'{platform.system()} {platform.machine()}',
      'python': platform.python_version(),
      'layernas': layernas.__version__,
      **_versions(),
  }


def _versions() -> dict[str, str]:
  versions = {}
  for name in _PACKAGES:
    try:
      versions[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue
  return versions
