"""Compares what searches on the embedded images find, trained to the end.

  .venv/bin/python tools/perf/embedded_search.py
  .venv/bin/python tools/perf/embedded_search.py --methods=layernas
  .venv/bin/python tools/perf/embedded_search.py --report

Runs the search of configs/cifar10_small.py with many seeds, and as many
searches by random networks and by regularised evolution, with as many
trainings, repeats of their finalists among them. Each network that answers, and
the default network scaled in width to the limit, is then trained to the end
on all training images, with three seeds and with ten, and tested on the test
images.

Finished searches and final trainings are lines of searches.jsonl and
finals.jsonl; the same command goes on with those that are missing, and prints
the table of docs/embedded_search.md. A candidate has one thread, as in the
workers of a search, and many searches run at a time instead of many workers of
one: the results are the same.
"""

import concurrent.futures
import functools
import json
import multiprocessing
import os
import pathlib
import statistics
import subprocess
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from absl import flags
from scipy import stats

from layernas.errors import UserError
from layernas.runs import cli
from tools.perf.json_lines import Lines
from tools.perf.json_lines import define_result_flags
from tools.perf.machine import machine

CONFIG = 'configs/cifar10_small.py'

_OTHERS = {
    'config.reference.trainings': '0', 'config.search.finalists': '0.2',
}
# Flags of each method; the same budget for all.
METHODS: Mapping[str, Mapping[str, str]] = {
    'layernas': {},
    'random search': {
        'config.search.schedule':
            'layernas.study.methods.random_search:RandomSearch', **_OTHERS,
    },
    'evolution': {
        'config.search.schedule':
            'layernas.study.methods.evolution:RegularizedEvolution', **_OTHERS,
    },
}
"""Flags of each method, beside the config's."""

REFERENCE = 'width-scaled default'

# Final trainings of the reference, with which every answer is compared.
_OF_REFERENCE = 10

_FLAGS = flags.FLAGS


def search(
    workdir: pathlib.Path, method: str, seed: int, changes: Sequence[str] = ()
) -> dict[str, Any]:
  """Runs or resumes one search.

  Args:
    workdir: below which it has a directory.
    method: a key of `METHODS`.
    seed: of the search.
    changes: further flags.

  Returns:
    'method', 'seed', 'architecture', 'network', 'cost', 'trials', and
    'comparison', how the answer stood in the search.

  Raises:
    RuntimeError: the search failed, with what it said.
  """
  directory = workdir / f'{method.replace(" ", "_")}_{seed}'
  options = METHODS[method] | {
      'config': CONFIG, 'config.seed': str(seed), 'workdir': str(directory),
      'config.executor.name': 'inline', 'config.executor.threads': '1',
  }
  done = subprocess.run(
      [sys.executable, 'experiments/search.py',
       *(f'--{name}={value}' for name, value in options.items()), *changes],
      capture_output=True, text=True, check=False,
      env=os.environ | {
          'JAX_COMPILATION_CACHE_DIR': str(workdir / 'compiled'),
      },
  )
  if done.returncode:
    raise RuntimeError(f'{method}, seed {seed}: {done.stderr.strip()}')
  result = json.loads((directory / 'result.json').read_text())
  found = result['winner']
  return {
      'method': method, 'seed': seed, 'architecture': found['architecture'],
      'cost': found['cost'], 'trials': result['trials'],
      'comparison': result.get('comparison', []), 'network': found['network'],
  }


@functools.cache
def _prepared(changes: tuple[tuple[str, Any], ...]) -> tuple[Any, Any]:
  """Config, whose section `final` is the recipe, and data set."""
  # JAX: a wrong flag, and a report, need none of it.
  from configs import cifar10_small  # noqa: PLC0415
  from layernas.data.registry import load_dataset  # noqa: PLC0415
  from layernas.training.devices import keep_freed_memory  # noqa: PLC0415

  keep_freed_memory()
  config = cifar10_small.get_config().unlock()
  config.training = config.final
  config.training.checkpoint_every_steps = 0
  config.update_from_flattened_dict(dict(changes))
  return config.lock(), load_dataset(config.data)


def final(
    architecture: str, network: Mapping[str, Any], seed: int,
    changes: tuple[tuple[str, Any], ...] = (),
) -> dict[str, Any]:
  """Trains a network to the end.

  Args:
    architecture: its name.
    network: its spec as JSON types.
    seed: of the training.
    changes: of the config.

  Returns:
    'architecture', 'seed', and accuracy and loss on the test images.
  """
  import tempfile  # noqa: PLC0415

  import jax  # noqa: PLC0415

  from layernas.networks.spec import spec_from_dict  # noqa: PLC0415
  from layernas.training.train import Job  # noqa: PLC0415
  from layernas.training.train import train_and_evaluate  # noqa: PLC0415

  config, dataset = _prepared(changes)
  job = Job(
      config, spec_from_dict(network), dataset, seed, 'all_train', 'test'
  )
  with tempfile.TemporaryDirectory() as directory:
    metrics = train_and_evaluate(job, directory).metrics
  # JAX would keep all networks that it traced.
  jax.clear_caches()
  return {
      'architecture': architecture, 'seed': seed,
      'accuracy': round(metrics['accuracy'], 5),
      'loss': round(metrics['loss'], 5),
  }


def reference() -> dict[str, Any]:
  """The default network scaled in width to the limit, as JSON types."""
  from layernas.networks.registry import make_space  # noqa: PLC0415
  from layernas.runs import setup  # noqa: PLC0415

  config, dataset = _prepared(())
  space = setup.with_width_scaled(make_space(config.space), config, dataset)
  return space.named[setup.WIDTH_SCALED].to_dict()


def run(
    output: pathlib.Path, workdir: pathlib.Path, methods: Sequence[str],
    seeds: tuple[int, int], processes: int,
) -> None:
  """Runs the searches and final trainings that are missing.

  Args:
    output: directory of searches.jsonl and finals.jsonl.
    workdir: of the searches.
    methods: keys of `METHODS`.
    seeds: searches of each method, and final trainings of each network.
    processes: searches, and final trainings, at a time.
  """
  searches = Lines(output / 'searches.jsonl')
  known = {(line['method'], line['seed']) for line in searches.all}
  missing = [
      (method, seed) for seed in range(seeds[0]) for method in methods
      if (method, seed) not in known
  ]
  with concurrent.futures.ThreadPoolExecutor(processes) as pool:
    for future in concurrent.futures.as_completed([
        pool.submit(search, workdir, *one) for one in missing
    ]):
      searches.add(future.result())
      print(_shown(searches.all[-1]), flush=True)
  networks = {REFERENCE: reference()} | {
      line['architecture']: line['network'] for line in searches.all
  }
  finals = Lines(output / 'finals.jsonl')
  known = {(line['architecture'], line['seed']) for line in finals.all}
  missing = [
      (name, seed) for name in networks
      for seed in range(max(seeds[1], _OF_REFERENCE * (name == REFERENCE)))
      if (name, seed) not in known
  ]
  # Of the processes that train, set before they load XLA.
  os.environ['NPROC'] = '1'
  with concurrent.futures.ProcessPoolExecutor(
      processes, multiprocessing.get_context('spawn')
  ) as pool:
    for future in concurrent.futures.as_completed([
        pool.submit(final, name, networks[name], seed)
        for name, seed in missing
    ]):
      finals.add(future.result())
      print(finals.all[-1], flush=True)


def _shown(line: Mapping[str, Any]) -> str:
  return f'{line["method"]}, seed {line["seed"]}: {line["architecture"]}'


def summary(
    searches: Sequence[Mapping[str, Any]], finals: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
  """What each method's answers come to.

  Args:
    searches: lines of searches.jsonl.
    finals: lines of finals.jsonl.

  Returns:
    'reference', the mean test accuracy of the width-scaled default network in
    per cent, over 'seeds' trainings; 'methods', by name: 'searches', 'distinct'
    answers, 'accuracy', 'sd' over searches, 'better', in how many the answer is
    above the reference, 'lead' over it, and 'p', of a one-sample t test of the
    answers against it over distinct networks.

  Raises:
    UserError: the reference has not been trained.
  """
  tested: dict[str, list[float]] = {}
  for line in finals:
    tested.setdefault(line['architecture'], []).append(100 * line['accuracy'])
  means = {name: statistics.fmean(values) for name, values in tested.items()}
  if REFERENCE not in means:
    raise UserError(
        f'finals.jsonl: no training of the {REFERENCE}; allowed is a study that'
        ' has one: run without --report'
    )
  base = means[REFERENCE]
  found: dict[str, Any] = {
      'reference': base, 'seeds': len(tested[REFERENCE]), 'methods': {},
  }
  for method in METHODS:
    answers = [
        line['architecture'] for line in searches
        if line['method'] == method and line['architecture'] in means
    ]
    if not answers:
      continue
    figures = [means[name] for name in answers]
    distinct = [means[name] for name in dict.fromkeys(answers)]
    found['methods'][method] = {
        'searches': len(answers), 'distinct': len(distinct),
        'accuracy': statistics.fmean(figures),
        'sd': statistics.stdev(figures) if len(figures) > 1 else 0.0,
        'better': sum(figure > base for figure in figures),
        'lead': statistics.fmean(figures) - base,
        'p': float(stats.ttest_1samp(
            distinct, base, alternative='greater'
        ).pvalue) if len(distinct) > 1 else None,
    }
  return found


def table_text(found: Mapping[str, Any]) -> str:
  """The table of docs/embedded_search.md.

  Args:
    found: of `summary`.

  Returns:
    Markdown without a newline at the end.
  """
  lines = [
      '| method | searches | distinct answers | test accuracy, % | sd |'
      ' above the reference | lead, points | p |',
      '|---|---:|---:|---:|---:|---:|---:|---:|',
  ]
  for name, row in found['methods'].items():
    p = '-' if row['p'] is None else f'{row["p"]:.2g}'
    lines.append(
        f'| {name} | {row["searches"]} | {row["distinct"]} |'
        f' {row["accuracy"]:.2f} | {row["sd"]:.2f} |'
        f' {row["better"]} of {row["searches"]} | {row["lead"]:+.2f} | {p} |'
    )
  lines.append(
      f'| {REFERENCE} | - | - | {found["reference"]:.2f} | - | - | - | - |'
  )
  return '\n'.join(lines)


def define_study_flags(name: str, seeds: int) -> None:
  """Defines the flags of a study of searches and final trainings.

  Not when it is imported: a test and another study do that.

  Args:
    name: of the directories of its results and of its searches.
    seeds: that it has unless the flag says otherwise.
  """
  define_result_flags(name)
  cli.define_path('workdir', 'Of the searches.', default=f'workdir/{name}')
  flags.DEFINE_integer('seeds', seeds, 'Searches of each kind.', 2)
  flags.DEFINE_integer('final_seeds', 3, 'Final trainings of a network.', 1)


def _define_flags() -> None:
  define_study_flags('embedded_search', seeds=10)
  flags.DEFINE_multi_enum(
      'methods', list(METHODS), list(METHODS), 'Whose searches are run.'
  )
  flags.DEFINE_integer('processes', os.cpu_count() or 1, 'At a time.', 1)


def main() -> None:
  """Does what is missing and prints the table."""
  output = pathlib.Path(_FLAGS.output)
  output.mkdir(parents=True, exist_ok=True)
  if not _FLAGS.report:
    run(
        output, pathlib.Path(_FLAGS.workdir), _FLAGS.methods,
        (_FLAGS.seeds, _FLAGS.final_seeds), _FLAGS.processes,
    )
    (output / 'machine.json').write_text(json.dumps(machine(), indent=1) + '\n')
  found = summary(
      Lines(output / 'searches.jsonl').all, Lines(output / 'finals.jsonl').all
  )
  (output / 'summary.json').write_text(json.dumps(found, indent=1) + '\n')
  print(table_text(found))


if __name__ == '__main__':
  _define_flags()
  cli.run(main)
