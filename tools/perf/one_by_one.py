"""What the loops share that our search is compared with.

They train the networks that our search trained, one after the other, on the
same batches of images, which are made between steps in the same thread.
"""

import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from layernas.data.dataset import Dataset
from layernas.data.registry import load_dataset
from layernas.networks.spec import NetworkSpec
from layernas.runs.setup import make_space
from layernas.search.space import parse_architecture_id
from layernas.training.train import training_steps

PARTS = ('trace', 'compile', 'train', 'evaluate', 'save', 'other')
"""What the wall time of a candidate is split into."""


@dataclasses.dataclass(frozen=True)
class Job:
  """A network to train.

  Attributes:
    config: with sections data, model and training.
    network: its shape.
    dataset: to train and validate on.
    seed: of the order of the images.
    steps: of the whole training.
    timed_steps: that are run, at most `steps`.
  """

  config: ConfigDict
  network: NetworkSpec
  dataset: Dataset
  seed: int
  steps: int
  timed_steps: int


Loop = Callable[[Job], tuple[Mapping[str, float], Sequence[float]]]
"""Trains, evaluates and saves one network: seconds of some of `PARTS`, and of
every step that was run."""


def train_one_by_one(
    config: ConfigDict, candidates: Sequence[Mapping[str, Any]],
    timed_steps: int, loop: Loop,
) -> list[dict[str, Any]]:
  """Trains the networks of our candidates.

  Args:
    config: of the search.
    candidates: those of `our_search.measure`.
    timed_steps: that are run of each training; 0 = all of them.
    loop: trains one network.

  Returns:
    'architecture', 'seed', 'images' and 'seconds' of each, as there.
  """
  space, dataset = make_space(config.space), load_dataset(config.data)
  training = config.training
  steps = training_steps(training, dataset.num_examples('train'))
  found = []
  for one in candidates:
    network = space.network(parse_architecture_id(one['architecture']))
    seconds, times = loop(Job(
        config, network, dataset, one['seed'], steps,
        min(timed_steps or steps, steps),
    ))
    seconds = {**seconds, 'train': scaled_up(times, steps)}
    found.append({
        'architecture': one['architecture'], 'seed': one['seed'],
        'images': steps * training.batch_size,
        'seconds': {
            name: round(seconds[name], 3) for name in PARTS if name in seconds
        },
    })
    print(json.dumps(found[-1]), file=sys.stderr, flush=True)
  return found


def times_of_steps(
    step: Callable[[Any], None], batches: Iterator[Any], number: int
) -> list[float]:
  """Seconds of each of some steps, making its batch included."""
  times = []
  for _ in range(number):
    begun = time.perf_counter()
    step(next(batches))
    times.append(time.perf_counter() - begun)
  return times


def scaled_up(times: Sequence[float], steps: int) -> float:
  """Seconds of all steps: what the first took longer comes once.

  Args:
    times: seconds of the first steps; two at least unless there is only one.
    steps: of the whole training.

  Returns:
    The sum of `times` where these are all steps.
  """
  first, *others = times
  if len(times) == steps:
    return sum(times)
  return first + (steps - 1) * statistics.fmean(others)
