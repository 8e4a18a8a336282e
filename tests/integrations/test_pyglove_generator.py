"""Tests of layernas.integrations.pyglove_generator, against PyGlove itself."""

import math
import sys
import threading
import time

import pyglove as pg
import pytest

from layernas.integrations.pyglove_generator import LayerNASGenerator
from layernas.integrations.pyglove_generator import hyper_space
from layernas.search import Layer
from layernas.search import Problem
from layernas.search import Search
from layernas.search import SearchSpace
from layernas.search import Status
from layernas.search import additive_cost
from tests.integrations import searches
from tests.search import problems

SPACE = searches.PROBLEM.space


def options(network):
  """Option numbers of a sampled network, which are its options."""
  return tuple(network[layer.name] for layer in SPACE.layers)


def sample(generator, **settings):
  """Trains whatever is proposed; one network fails, one is skipped."""
  for network, feedback in pg.sample(hyper_space(SPACE), generator, **settings):
    architecture = options(network)
    time.sleep(0.002 * (feedback.id * 7 % 4))
    if architecture in (searches.FAILS, searches.PRUNED):
      # As threads have to give it.
      feedback(-math.inf)
    else:
      feedback(searches.reward(architecture))


def rewards(search):
  """Networks of a search in their order, and their rewards."""
  return [
      (trial.candidate, trial.evaluation.reward) for trial in search.trials
  ]


@pytest.mark.parametrize('schedule', ['sweep', 'interleaved', 'model_guided'])
def test_it_samples_what_the_search_asks_for(schedule):
  generator = LayerNASGenerator(searches.search(schedule))
  sample(generator)
  alone = searches.alone(schedule)
  assert rewards(generator.search) == rewards(alone)
  assert generator.search.stop_reason == alone.stop_reason
  assert generator.num_proposals == generator.num_feedbacks == len(alone.trials)


def test_threads_sample_what_one_does():
  generator = LayerNASGenerator(searches.search())
  threads = [
      threading.Thread(
          target=sample, args=(generator,), kwargs={'name': 'threads'},
          daemon=True,
      ) for _ in range(4)
  ]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join(60)
  assert rewards(generator.search) == rewards(searches.alone())


def test_feedback_comes_in_any_order():
  generator = LayerNASGenerator(searches.search())
  generator.setup(pg.dna_spec(hyper_space(SPACE)))
  first = [generator.propose() for _ in range(3)]
  assert generator.search.trials == []
  for dna in reversed(first):
    generator.feedback(dna, searches.reward(dna.to_numbers()))
  found = [
      (trial.candidate.architecture, trial.candidate.cost, trial.candidate.seed)
      for trial in generator.search.trials
  ]
  assert found == [
      (tuple(dna.to_numbers()), dna.metadata.cost, dna.metadata.seed)
      for dna in first
  ]
  with problems.refuses('no proposal that waits for a result'):
    generator.feedback(first[0], 1.0)


def test_a_skipped_network_has_failed():
  generator = LayerNASGenerator(searches.search())
  for network, feedback in pg.sample(hyper_space(SPACE), generator):
    if options(network) in (searches.FAILS, searches.PRUNED):
      feedback.skip()
    else:
      feedback(searches.reward(options(network)))
  assert rewards(generator.search) == rewards(searches.alone())
  skipped = [
      trial for trial in generator.search.trials if not trial.ok
  ]
  assert len(skipped) == 2
  assert {trial.evaluation.status for trial in skipped} == {Status.FAILED}
  # A history has no reward for them, nor for those under way.
  after = LayerNASGenerator(searches.search())
  after.setup(generator.dna_spec)
  after.recover([
      (pg.DNA(list(trial.candidate.architecture)), trial.evaluation.reward)
      for trial in generator.search.trials
  ])
  with pytest.raises(StopIteration, match='every layer decided'):
    after.propose()
  assert rewards(after.search) == rewards(generator.search)


def test_history_is_recovered():
  before = LayerNASGenerator(searches.search())
  before.setup(pg.dna_spec(hyper_space(SPACE)))
  history = []
  for _ in range(5):
    dna = before.propose()
    reward = searches.reward(dna.to_numbers())
    before.feedback(dna, reward)
    history.append((dna, reward))
  after = LayerNASGenerator(searches.search())
  after.setup(before.dna_spec)
  after.recover(history)
  assert rewards(after.search) == rewards(before.search)
  assert after.propose() == before.propose()
  other = LayerNASGenerator(searches.search(seed=5))
  other.setup(before.dna_spec)
  with problems.refuses('history: proposal 0', 'same settings and seed'):
    other.recover([(pg.DNA([3, 2, 2]), 1.0), *history])


def test_decisions_are_the_layers_by_name_in_any_order():
  space = SearchSpace((
      Layer('a.b', (8, 16)), Layer('block', ({'kernel': 3}, None, 'x')),
  ))
  problem = Problem(additive_cost('madds', space, [[1, 2], [0, 5, 9]]))
  own = pg.Dict(
      second=pg.oneof([{'kernel': 3}, None, 'x'], name='block'),
      first=pg.oneof([8, 16], name='a.b'),
  )
  for hyper, names in (
      (own, ('first', 'second')), (hyper_space(space), ('a.b', 'block'))
  ):
    generator = LayerNASGenerator(Search(problem, 'sweep'))
    for network, feedback in pg.sample(hyper, generator):
      [candidate] = generator.search.waiting
      expected = space.describe(candidate.architecture)
      assert [network[name] for name in names] == list(expected.values())
      feedback(1.0)


@pytest.mark.parametrize('hyper', [
    pg.oneof(range(4)),
    pg.Dict(layer0=pg.oneof(range(4)), layer1=pg.oneof(range(3))),
    pg.Dict(layer0=pg.oneof(range(4)), layer1=pg.oneof(range(3)),
            layer2=pg.oneof(range(2))),
    pg.Dict(layer0=pg.oneof(range(4)), layer1=pg.oneof(range(3)),
            layer2=pg.floatv(0, 1)),
    pg.Dict(layer0=pg.oneof([0, 1, 2, pg.oneof([3, 4], name='layer3')]),
            layer1=pg.oneof(range(3)), layer2=pg.oneof(range(3))),
])
def test_another_space_is_refused(hyper):
  generator = LayerNASGenerator(searches.search())
  with problems.refuses('sampled space', "'layer2': 3", 'hyper_space'):
    next(pg.sample(hyper, generator))


def test_a_missing_package_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'pyglove', None)
  monkeypatch.delitem(sys.modules, 'layernas.integrations.pyglove_generator')
  with problems.refuses('PyGlove is not installed', 'install pyglove'):
    __import__('layernas.integrations.pyglove_generator')
