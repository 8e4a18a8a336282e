"""Runs the search program with one fault in one candidate's training.

  FAULT='{...}' .venv/bin/python tools/perf/faulty_search.py FLAGS

The flags are those of experiments/search.py. The environment holds the fault,
JSON of a `Fault`, so that workers inherit it. The package itself has no code
for it: this module wraps `train_and_evaluate` in the process that trains, the
search's own or a worker's.
"""

import dataclasses
import functools
import json
import os
import pathlib
import resource
import runpy
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from layernas.data.dataset import Batch
from layernas.executors.executor import Evaluator
from layernas.executors.executor import Report
from layernas.runs import evaluator
from layernas.runs import execution
from layernas.training.train import Job

VARIABLE = 'FAULT'
"""Environment variable with the fault."""

_SEARCH = pathlib.Path(__file__).parents[2] / 'experiments' / 'search.py'
_MORE = 64 << 20
"""Bytes that a process may still allocate once its memory is limited."""
_BLOCK = 1 << 20
_FOREVER = 3600.0


@dataclasses.dataclass(frozen=True)
class Fault:
  """What goes wrong, and where.

  Attributes:
    name: of `FAULTS`.
    candidate: id of the trial.
    step: of its training.
    marker: file that records that the fault has happened, since it happens
      once. NaN needs none: it comes again in every attempt.
  """

  name: str
  candidate: int
  step: int
  marker: str = ''

  def claim(self) -> bool:
    """Whether the fault is still to happen; marks it as done."""
    try:
      os.close(os.open(self.marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
      return False
    return True


class PoisonedImages:
  """A data set, one of whose training batches is NaN."""

  def __init__(self, dataset: Any, number: int):
    """Wraps a data set.

    Args:
      dataset: with good images.
      number: of the batch.
    """
    self._dataset = dataset
    self._number = number

  def __getattr__(self, name: str) -> Any:
    return getattr(self._dataset, name)

  def train_batches(
      self, split: str, batch_size: int, seed: int, start_step: int = 0,
      *share: Any,
  ) -> Iterator[Batch]:
    """See `Dataset`."""
    batches = self._dataset.train_batches(
        split, batch_size, seed, start_step, *share
    )
    for number, batch in enumerate(batches, start_step):
      nan = {'image': np.full_like(batch['image'], np.nan)}
      yield {**batch, **nan} if number == self._number else batch


def use_up_memory() -> None:
  """Allocates memory until this process gets no more.

  Raises:
    MemoryError: always. The limit is lifted again, as if other programs had
      ended.
  """
  pages = int(pathlib.Path('/proc/self/statm').read_text().split()[0])
  soft, hard = resource.getrlimit(resource.RLIMIT_AS)
  most = pages * resource.getpagesize() + _MORE
  resource.setrlimit(resource.RLIMIT_AS, (most, hard))
  blocks = []
  try:
    while True:
      blocks.append(np.ones(_BLOCK))
  finally:
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _raise() -> None:
  raise RuntimeError('a fault of the drill')


FAULTS: Mapping[str, Callable[[], None] | None] = {
    'nan': None,
    'exception': _raise,
    'hang': lambda: time.sleep(_FOREVER),
    'memory': use_up_memory,
}
"""Names, and what is called at the step; NaN is in the data."""


def faulty(fault: Fault, train: Callable[..., Any]) -> Callable[..., Any]:
  """Makes a candidate's training go wrong.

  Args:
    fault: what goes wrong.
    train: `train_and_evaluate`.

  Returns:
    The replacement of `train_and_evaluate`.
  """

  def wrapped(
      job: Job, workdir: Any, *, hooks: Sequence[Any] = (), **named: Any
  ) -> Any:
    if int(pathlib.Path(workdir).name) == fault.candidate:
      happens = FAULTS[fault.name]
      if happens is None:
        poisoned = PoisonedImages(job.dataset, fault.step)
        job = dataclasses.replace(job, dataset=poisoned)
      else:
        hooks = [*hooks, functools.partial(_happen, fault, happens)]
    return train(job, workdir, hooks=hooks, **named)

  return wrapped


def _happen(
    fault: Fault, happens: Callable[[], None], step: int,
    metrics: Mapping[str, float],
) -> None:
  """Hook that causes the fault at the first logged step from its own on."""
  del metrics
  if step >= fault.step and fault.claim():
    happens()


def install() -> None:
  """Wraps the training function of this process."""
  fault = Fault(**json.loads(os.environ[VARIABLE]))
  evaluator.train_and_evaluate = faulty(fault, evaluator.train_and_evaluate)


def worker_evaluator(
    settings: Mapping[str, Any], report: Report
) -> Evaluator:
  """Makes a worker's evaluator; see `evaluator.worker_evaluator`."""
  install()
  return evaluator.worker_evaluator(settings, report)


if __name__ == '__main__':
  install()
  execution.WORKER_EVALUATOR = 'tools.perf.faulty_search:worker_evaluator'
  runpy.run_path(str(_SEARCH), run_name='__main__')
