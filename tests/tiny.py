"""A search that takes seconds: three layers, two blocks, 16-pixel images."""

import json
import pathlib
import subprocess
import sys
from collections.abc import Sequence

from ml_collections import ConfigDict

from configs import default
from layernas.networks.space import NetworkLayer
from layernas.networks.space import NetworkSpace
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search import Status

ROOT = pathlib.Path(__file__).parent.parent


def space() -> NetworkSpace:
  """Eight networks of 35,152 to 66,000 MAdds on 16-pixel images."""
  blocks = InvertedResidual(8, 0), InvertedResidual(8, 16, stride=2)
  base = NetworkSpec(Stem(8), blocks, Head(0))
  return NetworkSpace(base, (
      NetworkLayer('width', ('block0',), ({'filters': 8}, {'filters': 16}), 1),
      NetworkLayer('kernel', ('block0',), ({'kernel': 3}, {'kernel': 5})),
      NetworkLayer(
          'expanded', ('block1',), ({'expanded': 16}, {'expanded': 24})
      ),
  ))


def deep_space() -> NetworkSpace:
  """Networks that halve their images four times."""
  blocks = tuple(InvertedResidual(8, 16, stride=2) for _ in range(3))
  return NetworkSpace(
      NetworkSpec(Stem(8), blocks, Head(0)),
      (NetworkLayer('kernel', ('block0',), ({'kernel': 3}, {'kernel': 5})),),
  )


def changed(**changes: object) -> ConfigDict:
  """The config with some fields changed, by their dotted names."""
  config = get_config()
  with config.unlocked():
    config.update_from_flattened_dict(changes)
  return config


def get_config(argument: str = '') -> ConfigDict:
  """A config of that search; the argument changes nothing."""
  del argument
  config = default.get_config()
  config.space = 'tests.tiny:space'
  config.reward = 'accuracy'
  config.search.schedule = 'sweep'
  config.search.buckets = 2
  config.search.keep = 1
  config.reference.trainings = 0
  config.data.image_size = 16
  config.reference.seeds = 2
  for training in (config.training, config.final):
    training.batch_size = 100
    training.epochs = 0.25
    training.warmup_epochs = 0.0
    training.log_every_steps = 5
    training.checkpoint_every_steps = 4
  return config.lock()


def result_file(
    directory: pathlib.Path, architecture: tuple[int, ...] = (0, 1, 1)
) -> pathlib.Path:
  """A result.json whose winner is a network of the space."""
  path = directory / 'result.json'
  path.write_text(json.dumps({
      'winner': {'network': space().network(architecture).to_dict()},
      'config': get_config().to_dict(),
  }))
  return path


def new_search() -> Search:
  """That search, not yet begun."""
  # JAX, which it imports, is slow; not every test needs it.
  from layernas.runs import setup

  config = get_config()
  return setup.make_search(
      config, setup.make_problem(config, space(), 16, 10)
  )


def searched(reward: float | None = 0.0) -> Search:
  """The tiny search with rewards that grow with the option numbers."""
  search = new_search()
  while candidates := search.ask():
    for candidate in candidates:
      value = None if reward is None else reward + sum(candidate.architecture)
      status = Status.FAILED if reward is None else Status.OK
      search.tell(candidate.id, Evaluation(value, 2.0, status, 'broken'))
  return search


def run_program(
    name: str, *flags: str, timeout: float = 300
) -> subprocess.CompletedProcess:
  """Runs experiments/NAME.py to its end."""
  return subprocess.run(
      command(name, *flags), cwd=ROOT, capture_output=True, text=True,
      timeout=timeout, check=False,
  )


def command(name: str, *flags: str) -> list[str]:
  """Command line of experiments/NAME.py."""
  return [sys.executable, str(ROOT / 'experiments' / f'{name}.py'), *flags]


_WITHOUT = """
import runpy, sys
for name in sys.argv[1].split(','):
  sys.modules[name] = None
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def run_without(
    modules: Sequence[str], name: str, *flags: str, timeout: float = 300
) -> subprocess.CompletedProcess:
  """Runs experiments/NAME.py where some modules cannot be imported."""
  python, *program = command(name, *flags)
  return subprocess.run(
      [python, '-c', _WITHOUT, ','.join(modules), *program], cwd=ROOT,
      capture_output=True, text=True, timeout=timeout, check=False,
  )


def lines_of(text: str) -> Sequence[str]:
  """Lines that are not empty."""
  return [line for line in text.splitlines() if line.strip()]
