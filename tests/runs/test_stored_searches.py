"""The present code proposes what the stored searches trained.

Rewards depend on the machine; what a search does with them does not.
"""

from collections import deque

import pytest
from etils import epath
from ml_collections import ConfigDict

from layernas.data.registry import load_dataset
from layernas.networks.registry import make_space
from layernas.runs import config_flag
from layernas.runs.setup import make_problem
from layernas.runs.setup import make_search
from layernas.runs.setup import with_width_scaled
from layernas.search import Problem
from layernas.search.space import architecture_id
from layernas.storage.history import recorded_trials
from layernas.storage.workdir import read_json
from tests import tiny

_RESULTS = epath.Path(tiny.ROOT) / 'docs' / 'results'


def _problem(config: ConfigDict) -> Problem:
  dataset = load_dataset(config.data)
  space = with_width_scaled(make_space(config.space), config, dataset)
  return make_problem(config, space, dataset.image_size, dataset.num_classes)


@pytest.mark.parametrize('name', [
    'cifar10_small',
    # Half a minute, for counting the costs of the space.
    pytest.param('own_networks/mixer', marks=pytest.mark.long),
])
def test_a_stored_search_comes_again(name: str) -> None:
  """Candidates and answer, however many are trained at the same time."""
  folder = _RESULTS / name
  file = folder / 'config.json'
  config = config_flag.recorded(read_json(file), file)
  trials = recorded_trials(folder)
  problem = _problem(config)
  for under_way in (1, 3):
    search = make_search(config, problem)
    asked: deque[int] = deque()
    for trial in trials:
      while len(asked) < under_way and (found := search.ask()):
        [candidate] = found
        assert candidate == trials[candidate.id].candidate
        asked.append(candidate.id)
      assert asked.popleft() == trial.candidate.id
      search.tell(trial.candidate.id, trial.evaluation)
    assert not search.ask()
    winner = read_json(folder / 'result.json')['winner']
    assert architecture_id(search.best.candidate.architecture) == (
        winner['architecture']
    )
