"""Our search, and where the wall time of each of its candidates went."""

import json
import pathlib
import tempfile
import time
from typing import Any

import jax
from jax import monitoring
from ml_collections import ConfigDict

from layernas.runs.run_search import run_search
from layernas.training.programs import compilations
from layernas.training.train import training_steps
from tools.perf.machine import machine
from tools.perf.workloads import training_images

_TRACE = ('jaxpr_trace_duration', 'jaxpr_to_mlir_module_duration')
_COMPILE = ('backend_compile_duration',)


def measure(config: ConfigDict) -> dict[str, Any]:
  """Runs a search in a workdir that is thrown away.

  Args:
    config: of the search.

  Returns:
    JSON types. 'candidates': 'architecture', 'seed', 'images' trained on and
    'seconds' by phase, see `layernas.training.wall_time.PHASES`.
    'whole_seconds' of the run, loading the images included; 'compilations';
    'in_all_threads': seconds of tracing and compiling, waited for or not.
  """
  spent = _compile_times()
  steps = training_steps(config.training, training_images(config.data))
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
      'in_all_threads': {name: round(spent[name], 2) for name in spent},
      'candidates': [
          {'architecture': trial['architecture'], 'seed': trial['seed'],
           'images': steps * config.training.batch_size, 'seconds': times}
          for trial, times in zip(trials, timings, strict=True)
      ],
      'machine': jax_machine(),
  }


def jax_machine() -> dict[str, Any]:
  """Facts of this machine and of JAX on it."""
  return machine(jax=jax.__version__, device=str(jax.devices()[0]))


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
