"""Wall time of the first candidates of a search, beside a plain loop.

  PYTHONPATH=. python benchmarks/candidates.py --mode=ours
  PYTHONPATH=. python benchmarks/candidates.py --mode=naive
  PYTHONPATH=. python benchmarks/candidates.py --mode=report

ours: `run_search` of configs/cifar10_small.py with a cache of its own, cut to
the first candidates; then once more in a new workdir with the same cache, which
must compile nothing. Each in a process of its own.

naive: the same networks one after the other, as the loop of Flax's ImageNet
example has it: build the module, init under jit, pmap the train step and the
evaluation step, grouped convolutions for the depthwise ones, Flax's own for
the 1x1 ones, no kernels of ours, no cache, a checkpoint at the end, next. It
trains --naive_steps steps; its training time is scaled up to all of them, and
the report says so.

report: joins all *.json in the output directory that have the same fields, and
writes candidates.png. Ratios are taken candidate by candidate.
"""

import collections
import functools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from absl import app
from absl import flags
from flax import jax_utils
from jax import monitoring
from matplotlib import pyplot as plt
from ml_collections import ConfigDict
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from configs import cifar10_small
from layernas.data.dataset import Dataset
from layernas.data.registry import load_dataset
from layernas.experiment.run_search import run_search
from layernas.experiment.setup import make_space
from layernas.models import blocks
from layernas.models import network as network_module
from layernas.search.space import parse_architecture_id
from layernas.training.compilations import compilations
from layernas.training.devices import shard
from layernas.training.devices import wait_on_cpu
from layernas.training.learning_rate import learning_rate
from layernas.training.optimizer import make_optimizer
from layernas.training.optimizer import make_update
from layernas.training.programs import create_model
from layernas.training.state import TrainState
from layernas.training.steps import make_evaluation_step
from layernas.training.steps import make_train_step
from layernas.training.train import training_steps
from layernas.training.wall_time import WallTime

_OUTPUT = flags.DEFINE_string(
    'output', 'docs/results/candidates', 'Where the results are written.'
)
_MODE = flags.DEFINE_enum(
    'mode', 'report', ['ours', 'naive', 'report', 'pass'],
    'What to run; pass is one pass of ours, for us.',
)
_CANDIDATES = flags.DEFINE_integer('candidates', 8, 'How many.', 1)
_AHEAD = flags.DEFINE_integer(
    'compile_ahead', 2, "As the config's field; 0 waits for every compilation.",
    0,
)
_NAIVE_STEPS = flags.DEFINE_integer(
    'naive_steps', 25, 'Training steps of the plain loop.', 2
)

_TRACE = ('jaxpr_trace_duration', 'jaxpr_to_mlir_module_duration')
_COMPILE = ('backend_compile_duration',)
_PARTS = ('trace', 'compile', 'train', 'evaluate', 'save', 'other')
_STEPS = 'naive_steps'


def main(argv: list[str]) -> None:
  """Runs one mode."""
  del argv
  output = pathlib.Path(_OUTPUT.value)
  output.mkdir(parents=True, exist_ok=True)
  if _MODE.value == 'pass':
    print(json.dumps(_pass()))
  elif _MODE.value == 'ours':
    _ours(output)
  elif _MODE.value == 'naive':
    _write(output, 'naive', _naive(output))
  else:
    _report(output)


def _config() -> ConfigDict:
  config = cifar10_small.get_config().unlock()
  config.budget.trials = _CANDIDATES.value
  config.compile_ahead = _AHEAD.value
  return config.lock()


def _ours(output: pathlib.Path) -> None:
  """A first pass and a second one with its cache."""
  suffix = '' if _AHEAD.value else '_not_ahead'
  with tempfile.TemporaryDirectory() as cache:
    for name in ('ours', 'ours_second_run'):
      done = subprocess.run(
          [sys.executable, __file__, '--mode=pass',
           f'--candidates={_CANDIDATES.value}',
           f'--compile_ahead={_AHEAD.value}'],
          env=os.environ | {'JAX_COMPILATION_CACHE_DIR': cache},
          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
          check=True,
      )
      found = json.loads(done.stdout.splitlines()[-1])
      _write(output, name + suffix, found)
      print(
          f'{name}{suffix}: {found["compilations"]} compilations,'
          f' {_share_waiting(found):.1%} of the wall time spent waiting for'
          ' them', flush=True,
      )


def _pass() -> dict[str, Any]:
  config, spent = _config(), _compile_times()
  dataset = load_dataset(config.data)
  steps = training_steps(config.training, dataset.num_examples('train'))
  before = compilations()
  with tempfile.TemporaryDirectory() as workdir:
    begun = time.monotonic()
    run_search(config, workdir)
    whole = time.monotonic() - begun
    trials, timings = (
        [json.loads(line) for line in
         (pathlib.Path(workdir) / name).read_text().splitlines()]
        for name in ('trials.jsonl', 'timings.jsonl')
    )
  for times in timings:
    del times['id']
  return {
      'whole_seconds': round(whole, 2),
      'compilations': compilations() - before,
      # Of all threads; what of it was waited for is in 'compile' below.
      'in_all_threads': {name: round(spent[name], 2) for name in spent},
      'candidates': [
          {'architecture': trial['architecture'],
           'images': steps * config.training.batch_size, 'seconds': times}
          for trial, times in zip(trials, timings, strict=True)
      ],
  }


def _naive(output: pathlib.Path) -> dict[str, Any]:
  """The plain loop over the networks that our first pass trained."""
  path = output / 'ours.json'
  if not path.exists():
    raise app.UsageError('--mode=ours comes first: it says which networks')
  names = [one['architecture'] for one in _read(path)['candidates']]
  jax.config.update('jax_enable_compilation_cache', False)
  for module in (blocks, network_module):
    module.NO_INIT = nn.initializers.lecun_normal()
    module.PointwiseConv = _pointwise
  config = _config().unlock()
  config.model.depthwise = 'native'
  space, dataset = make_space(config.space), load_dataset(config.data)
  before = compilations()
  candidates = []
  for name in names:
    network = space.network(parse_architecture_id(name))
    model = create_model(config, network, dataset.num_classes)
    candidates.append(
        {'architecture': name} | _naive_candidate(config, model, dataset)
    )
    print(json.dumps(candidates[-1]), flush=True)
  return {
      _STEPS: _NAIVE_STEPS.value,
      'compilations': compilations() - before,
      'candidates': candidates,
  }


def _pointwise(filters: int, dtype: Any, init: Any, name: str) -> nn.Module:
  """A 1x1 convolution as Flax users write it."""
  return nn.Conv(
      filters, (1, 1), use_bias=False, dtype=dtype, kernel_init=init, name=name
  )


def _naive_candidate(
    config: ConfigDict, model: nn.Module, dataset: Dataset
) -> dict[str, Any]:
  training, size, traced = config.training, dataset.image_size, []
  clock = WallTime()
  epoch = dataset.num_examples('train') // training.batch_size
  steps = training_steps(training, dataset.num_examples('train'))
  schedule = learning_rate(training, epoch)
  optimizer = make_optimizer(training, schedule)
  batches = _to_devices(
      dataset.train_batches('train', training.batch_size, 0)
  )
  batch = next(batches)
  with clock.spent_on('compile'):
    variables = _compiled(
        jax.jit(functools.partial(model.init, train=False)), traced,
        jax.random.key(0), jnp.zeros((1, size, size, 3)),
    )(jax.random.key(0), jnp.zeros((1, size, size, 3)))
    state = jax_utils.replicate(_fresh(variables, optimizer))
    seed = jax_utils.replicate(jnp.int32(0))
    train_step = _compiled(
        make_train_step(
            model, make_update(training, schedule, compiled=False), training,
            steps,
        ), traced, state, batch, seed,
    )
  with clock.spent_on('train'):
    for _ in range(_NAIVE_STEPS.value):
      state = train_step(state, batch, seed)
      wait_on_cpu(state.sums)
      batch = next(batches)
  evaluated = list(_to_devices(dataset.evaluation_batches(
      'validation', training.evaluation_batch_size
  )))
  with clock.spent_on('compile'):
    evaluation_step = _compiled(
        make_evaluation_step(model), traced, state.variables, evaluated[0]
    )
  with clock.spent_on('evaluate'):
    for batch in evaluated:
      float(jax_utils.unreplicate(evaluation_step(state.variables, batch))[
          'loss'
      ])
  with (
      clock.spent_on('save'), tempfile.TemporaryDirectory() as directory,
      ocp.StandardCheckpointer() as saver,
  ):
    saver.save(f'{directory}/0', jax.device_get(jax_utils.unreplicate(state)))
    saver.wait_until_finished()
  seconds = clock.seconds() | {'trace': sum(traced)}
  seconds['compile'] -= seconds['trace']
  seconds['train'] *= steps / _NAIVE_STEPS.value
  return {
      'images': steps * training.batch_size,
      'seconds': {name: round(seconds[name], 3) for name in _PARTS},
  }


def _compiled(function: Any, traced: list[float], *arguments: Any) -> Any:
  """Traces, notes how long that took, and compiles, as a first call does."""
  begun = time.perf_counter()
  lowered = function.lower(*arguments)
  traced.append(time.perf_counter() - begun)
  return lowered.compile()


def _to_devices(batches: Iterator[Any]) -> Iterator[Any]:
  return jax_utils.prefetch_to_device(map(shard, batches), 2)


def _fresh(variables: Any, optimizer: Any) -> TrainState:
  names = ('loss', 'accuracy', 'top5', 'count', 'non_finite')
  return TrainState(
      step=jnp.zeros((), jnp.int32), variables=dict(variables),
      optimizer=optimizer.init(variables['params']), ema={},
      sums={name: jnp.zeros(()) for name in names},
  )


def _compile_times() -> dict[str, float]:
  """Seconds of tracing and compiling from now on, of all threads.

  Programs that are traced inside others count twice: an upper limit.
  """
  spent = {'trace': 0.0, 'compile': 0.0}

  def heard(event: str, seconds: float, **details: Any) -> None:
    del details
    name = event.rpartition('/')[2]
    if name in _TRACE:
      spent['trace'] += seconds
    elif name in _COMPILE:
      spent['compile'] += seconds

  monitoring.register_event_duration_secs_listener(heard)
  return spent


def _read(path: pathlib.Path) -> dict[str, Any]:
  return json.loads(path.read_text())


def _write(output: pathlib.Path, name: str, found: dict[str, Any]) -> None:
  text = json.dumps(found | {
      'machine': machine(
          jax=jax.__version__, device=str(jax.devices()[0])
      ),
      'load_at_end': round(os.getloadavg()[0], 2),
  }, indent=1)
  (output / f'{name}.json').write_text(text + '\n')


def _whole(candidate: dict[str, Any]) -> float:
  return sum(candidate['seconds'].values())


def _share_waiting(found: dict[str, Any]) -> float:
  """Of the wall time of all candidates."""
  waiting = sum(
      one['seconds'].get('trace', 0.0) + one['seconds']['compile']
      for one in found['candidates']
  )
  return waiting / sum(map(_whole, found['candidates']))


def _report(output: pathlib.Path) -> None:
  """A table and a picture of everything measured."""
  systems = {
      path.stem: found for path in sorted(output.glob('*.json'))
      if 'candidates' in (found := _read(path))
  }
  if 'ours' not in systems:
    raise app.UsageError('--mode=ours comes first')
  table = Table(title='seconds a candidate, medians')
  for heading in ('', *_PARTS, 'sum', 'images/s', 'waiting', 'compiled',
                  'ours is faster by'):
    table.add_column(heading, justify='right' if heading else 'left')
  for name, found in systems.items():
    table.add_row(name, *_cells(found, systems['ours']))
  Console(width=140).print(table)
  for name, found in systems.items():
    if _STEPS in found:
      print(f'{name}: training scaled up from {found[_STEPS]} steps')
  _plot(systems, output / 'candidates.png')


def _cells(found: dict[str, Any], ours: dict[str, Any]) -> list[str]:
  candidates = found['candidates']
  medians = collections.OrderedDict(
      (part, statistics.median(
          one['seconds'].get(part, 0.0) for one in candidates
      )) for part in _PARTS
  )
  wholes = list(map(_whole, candidates))
  rates = [
      one['images'] / whole
      for one, whole in zip(candidates, wholes, strict=True)
  ]
  # The same network each time, whatever was trained first.
  own = {one['architecture']: _whole(one) for one in ours['candidates']}
  ratios = [
      whole / own[one['architecture']]
      for one, whole in zip(candidates, wholes, strict=True)
      if one['architecture'] in own
  ]
  return [
      *(f'{value:.2f}' for value in medians.values()),
      f'{statistics.median(wholes):.2f}', f'{statistics.median(rates):.0f}',
      f'{_share_waiting(found):.1%}', str(found.get('compilations', '')),
      f'{statistics.median(ratios):.2f} ({min(ratios):.2f} to'
      f' {max(ratios):.2f})',
  ]


def _plot(systems: dict[str, Any], path: pathlib.Path) -> None:
  """Each candidate a bar of what its time went into."""
  figure, panels = plt.subplots(
      1, len(systems), figsize=(3.2 * len(systems), 3.4), layout='constrained',
      squeeze=False,
  )
  for axes, (name, found) in zip(panels[0], systems.items(), strict=True):
    places = np.arange(len(found['candidates']))
    bottom = np.zeros(len(places))
    for part in _PARTS:
      seconds = np.array([
          one['seconds'].get(part, 0.0) for one in found['candidates']
      ])
      axes.bar(places, seconds, bottom=bottom, label=part)
      bottom += seconds
    axes.set_title(name)
    axes.set_xlabel('candidate')
  panels[0][0].set_ylabel('seconds')
  panels[0][-1].legend(fontsize='small')
  figure.savefig(path, dpi=130)


if __name__ == '__main__':
  app.run(main)
