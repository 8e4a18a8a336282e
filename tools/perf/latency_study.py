"""Compares searches under a limit on latency with ones under one on MAdds.

  .venv/bin/python tools/perf/latency_study.py
  .venv/bin/python tools/perf/latency_study.py --report

Each seed searches configs/cifar10_small.py under its limit on multiply-adds.
What that finds has a price in milliseconds by the table, which is the limit of
a second search with the same seed, whose cost is latency. Both answers are then
trained to the end, with three seeds, and tested on the test images.

Finished searches and final trainings are lines of searches.jsonl and
finals.jsonl; the same command goes on with those that are missing.
"""

import os
import pathlib
import statistics
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from absl import flags
from scipy import stats

from layernas.runs import cli
from tools.perf import embedded_search
from tools.perf.json_lines import Lines

MADDS, LATENCY = 'madds', 'latency'
"""Costs, in the order in which a seed searches."""

_METHOD = 'layernas'
_FLAGS = flags.FLAGS


def prices(table: str, architecture: str) -> dict[str, float]:
  """Costs of a network of the config's space.

  Args:
    table: path of a latency table.
    architecture: id of the network.

  Returns:
    'milliseconds' and 'madds'.
  """
  from configs import cifar10_small  # noqa: PLC0415
  from layernas.data.registry import load_dataset  # noqa: PLC0415
  from layernas.networks.latency import latency_cost  # noqa: PLC0415
  from layernas.networks.latency import read_latency_table  # noqa: PLC0415
  from layernas.networks.registry import make_space  # noqa: PLC0415
  from layernas.search.space import parse_architecture_id  # noqa: PLC0415

  config = cifar10_small.get_config()
  space, data = make_space(config.space), load_dataset(config.data)
  shape = data.image_size, data.num_classes
  one = parse_architecture_id(architecture)
  latency = latency_cost(space, read_latency_table(table), *shape)
  return {
      'milliseconds': float(latency.cost(one)),
      'madds': int(space.cost('madds', *shape).cost(one)),
  }


def searches(
    workdir: pathlib.Path, table: str, seed: int, changes: Sequence[str] = ()
) -> list[dict[str, Any]]:
  """Runs or resumes the two searches of a seed.

  Args:
    workdir: below which they have directories.
    table: path of a latency table of the config's space.
    seed: of both.
    changes: further flags of both.

  Returns:
    Of each 'by' (its cost), 'seed', 'architecture', 'network', 'milliseconds'
    and 'madds'.
  """
  lines, limit = [], list(changes)
  for cost in (MADDS, LATENCY):
    (workdir / cost).mkdir(parents=True, exist_ok=True)
    found = embedded_search.search(workdir / cost, _METHOD, seed, limit)
    price = prices(table, found['architecture'])
    lines.append({
        'by': cost, 'seed': seed, 'architecture': found['architecture'],
        **price, 'network': found['network'],
    })
    limit = [
        *changes, '--config.cost.metric=latency',
        f'--config.cost.latency_table={table}',
        f'--config.target.high={price["milliseconds"]}',
    ]
  return lines


def table_text(
    found: Sequence[Mapping[str, Any]], finals: Sequence[Mapping[str, Any]]
) -> str:
  """What both searches come to.

  Args:
    found: lines of searches.jsonl.
    finals: lines of finals.jsonl.

  Returns:
    A Markdown table without a newline at the end; p is of a t test over the
    pairs of a seed.
  """
  tested: dict[str, list[float]] = {}
  for line in finals:
    tested.setdefault(line['architecture'], []).append(100 * line['accuracy'])
  rows = [
      '| cost | searches | milliseconds | MAdds, millions | test accuracy, % |',
      '|---|---:|---:|---:|---:|',
  ]
  means = {}
  for cost in (MADDS, LATENCY):
    some = [
        line for line in found
        if line['by'] == cost and line['architecture'] in tested
    ]
    means[cost] = {
        line['seed']: statistics.fmean(tested[line['architecture']])
        for line in some
    }
    if some:
      milliseconds, madds = (
          statistics.fmean(line[name] for line in some)
          for name in ('milliseconds', 'madds')
      )
      rows.append(
          f'| {cost} | {len(some)} | {milliseconds:.4f} | {madds / 1e6:.3f} |'
          f' {statistics.fmean(means[cost].values()):.2f} |'
      )
  both = sorted(means[MADDS].keys() & means[LATENCY].keys())
  if len(both) > 1:
    leads = [means[LATENCY][seed] - means[MADDS][seed] for seed in both]
    p = float(stats.ttest_1samp(leads, 0).pvalue)
    rows += ['', f'Lead of latency: {statistics.fmean(leads):+.2f} points over'
             f' {len(both)} seeds, p = {p:.2g}.']
  return '\n'.join(rows)


def run(
    output: pathlib.Path, workdir: pathlib.Path, table: str, seeds: int,
    final_seeds: int,
) -> None:
  """Runs the searches and final trainings that are missing, one at a time.

  Args:
    output: directory of searches.jsonl and finals.jsonl.
    workdir: of the searches.
    table: path of a latency table.
    seeds: searches by each cost.
    final_seeds: final trainings of a network.
  """
  output.mkdir(parents=True, exist_ok=True)
  lines = Lines(output / 'searches.jsonl')
  known = {line['seed'] for line in lines.all if line['by'] == LATENCY}
  for seed in range(seeds):
    if seed in known:
      continue
    begun = {line['by'] for line in lines.all if line['seed'] == seed}
    for line in searches(workdir, table, seed):
      if line['by'] not in begun:
        lines.add(line)
  finals = Lines(output / 'finals.jsonl')
  known = {(line['architecture'], line['seed']) for line in finals.all}
  networks = {line['architecture']: line['network'] for line in lines.all}
  for name, network in networks.items():
    for seed in range(final_seeds):
      if (name, seed) not in known:
        finals.add(embedded_search.final(name, network, seed))


def _define_flags() -> None:
  """Defines them for this program alone: a test imports this module."""
  embedded_search.define_study_flags('latency_study', seeds=5)
  cli.define_path(
      'table', 'Latency table of the space.',
      default='docs/results/latency_large/latency.csv',
  )


def main() -> None:
  """Does what is missing and prints the table."""
  output = pathlib.Path(_FLAGS.output)
  if not _FLAGS.report:
    run(
        output, pathlib.Path(_FLAGS.workdir), os.path.abspath(_FLAGS.table),
        _FLAGS.seeds, _FLAGS.final_seeds,
    )
  print(table_text(
      Lines(output / 'searches.jsonl').all, Lines(output / 'finals.jsonl').all
  ))


if __name__ == '__main__':
  _define_flags()
  cli.run(main)
