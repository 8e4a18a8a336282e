"""Tests of layernas.integrations.optuna_sampler, against Optuna itself."""

import sys
import threading
import time

import optuna
import pytest
from optuna.trial import TrialState

from layernas.integrations.optuna_sampler import LayerNASSampler
from layernas.integrations.optuna_sampler import suggest
from layernas.search import Layer
from layernas.search import Limit
from layernas.search import Problem
from layernas.search import Search
from layernas.search import SearchSpace
from layernas.search import TargetInterval
from layernas.search import additive_cost
from tests.integrations import searches
from tests.search import problems

SPACE = searches.PROBLEM.space


@pytest.fixture(autouse=True)
def _quiet():
  optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial):
  """Rewards of the search; one network fails, one is pruned."""
  architecture = suggest(trial, SPACE)
  time.sleep(0.002 * (trial.number * 7 % 4))
  if architecture == searches.FAILS:
    raise RuntimeError('out of memory')
  if architecture == searches.PRUNED:
    raise optuna.TrialPruned
  return searches.reward(architecture)


def new_study(search=None, storage=None, direction='maximize'):
  """A study with a sampler of its own, new or in a storage."""
  sampler = LayerNASSampler(search or searches.search())
  return optuna.create_study(
      storage=storage, study_name='study', sampler=sampler,
      direction=direction, load_if_exists=True,
  )


def optimize(study, **settings):
  study.optimize(objective, catch=(RuntimeError,), **settings)
  return study


def outcomes(study):
  """What became of the trials that had a network, by number."""
  return {
      trial.number: (
          trial.params, trial.state, trial.values, trial.user_attrs,
          trial.constraints,
      )
      for trial in study.trials if trial.params
  }


@pytest.mark.parametrize('schedule', ['sweep', 'interleaved', 'model_guided'])
def test_four_jobs_give_the_trials_of_one(schedule):
  search = searches.search(schedule)
  one = optimize(new_study(search))
  four = optimize(new_study(searches.search(schedule)), n_jobs=4)
  alone = searches.alone(schedule)
  assert searches.told(search) == searches.told(alone)
  assert searches.told(four.sampler.search) == searches.told(alone)
  assert outcomes(one) == outcomes(four)
  assert one.best_trial.number == four.best_trial.number
  # Threads that waited when it ended have a trial without a network each.
  assert len(outcomes(one)) == len(one.trials) == len(alone.trials)
  rest = four.trials[len(one.trials):]
  assert len(rest) <= 3
  assert {trial.state for trial in rest} <= {TrialState.PRUNED}


def test_networks_go_by_number_whichever_thread_comes_first():
  study = new_study()
  # Of a thread that has begun its trial and not come to the sampler yet.
  first = study._storage.create_new_trial(study._study_id)
  came = []

  def ask():
    came.append(study.ask())

  thread = threading.Thread(target=ask, daemon=True)
  thread.start()
  thread.join(0.2)
  assert came == []
  chosen = [suggest(optuna.Trial(study, first), SPACE)]
  thread.join(30)
  chosen.append(suggest(came[0], SPACE))
  assert came[0].number == 1
  assert chosen == [
      trial.candidate.architecture for trial in searches.alone().trials[:2]
  ]


def test_failed_and_pruned_trials_are_told_as_such():
  study = optimize(new_study())
  states = {
      tuple(trial.params.values()): trial.state for trial in study.trials
  }
  assert states[searches.FAILS] is TrialState.FAIL
  assert states[searches.PRUNED] is TrialState.PRUNED
  told = {
      trial.candidate.architecture: str(trial.evaluation.status)
      for trial in study.sampler.search.trials
  }
  assert told[searches.FAILS] == 'failed'
  assert told[searches.PRUNED] == 'stopped'


def test_the_best_trial_lies_in_the_target():
  study = optimize(new_study())
  best = study.best_trial
  answer = study.sampler.search.best
  assert best.value == answer.evaluation.reward
  assert best.user_attrs['cost'] == answer.candidate.cost <= 14
  assert tuple(best.params.values()) == answer.candidate.architecture
  # Not because nothing else was trained.
  beyond = [
      trial for trial in study.trials if trial.user_attrs['cost'] > 14
  ]
  assert beyond
  for trial in study.trials:
    assert trial.constraints == {'0': trial.user_attrs['cost'] - 14}


def test_limits_on_further_costs_are_constraints_too():
  space = SearchSpace((Layer('a', (1, 2, 3)), Layer('b', (1, 2))))
  problem = Problem(
      additive_cost('madds', space, [[1, 2, 3], [1, 2]]),
      TargetInterval(high=5),
      limits=(Limit(additive_cost('params', space, [[1, 2, 9], [1, 2]]), 4),),
  )
  study = new_study(Search(problem, 'sweep', seed=0))
  # Beside what the search proposes: in the target, beyond the further limit.
  study.enqueue_trial({'a': 3, 'b': 2})
  study.optimize(lambda trial: sum(suggest(trial, space)))
  assert study.trials[0].constraints == {'0': 0.0, '1': 7.0}
  assert study.best_trial.params == {'a': 2, 'b': 2}


def test_a_problem_without_limits_has_no_constraints():
  problem = problems.make_problem([[1, 2], [1, 2]])
  study = new_study(Search(problem, 'sweep'))
  study.optimize(lambda trial: sum(suggest(trial, problem.space)))
  assert not any(trial.constraints for trial in study.trials)
  assert study.best_value == 2


def test_to_minimize_is_to_maximize_the_opposite():
  study = new_study(direction='minimize')
  study.optimize(
      lambda trial: -objective(trial), catch=(RuntimeError,), n_jobs=2
  )
  assert searches.told(study.sampler.search) == searches.told(searches.alone())
  assert study.best_value == -study.sampler.search.best.evaluation.reward


def test_layers_are_asked_for_in_any_order_and_options_have_labels():
  space = SearchSpace((
      Layer('block', ({'kernel': 3, 'stride': 2}, {'kernel': 5}, None)),
      Layer('width', (8, 16)),
      Layer('same', (1, True)),
      Layer('single', ('only',)),
  ))
  cost = additive_cost('madds', space, [[1, 2, 0], [1, 2], [0, 0], [1]])
  seen = []

  def labelled(trial):
    assert trial.suggest_categorical('single', ('only',)) == 'only'
    width = trial.suggest_categorical('width', (8, 16))
    same = trial.suggest_categorical('same', ('0: 1', '1: True'))
    block = trial.suggest_categorical(
        'block', ('kernel=3, stride=2', 'kernel=5', None)
    )
    seen.append((block, width, same))
    assert trial.user_attrs['cost'] == cost.cost(suggest(trial, space))
    assert trial.user_attrs['seed'] >= 0
    return width

  study = new_study(Search(Problem(cost), 'sweep'))
  study.optimize(labelled)
  assert len(seen) == len(set(seen)) == len(study.sampler.search.trials)
  assert {one for one, _, _ in seen} == {
      'kernel=3, stride=2', 'kernel=5', None
  }


@pytest.mark.parametrize(('kept', 'trials', 'stored'), [
    (0, 30, 'memory'), (1, 30, 'memory'), (7, 30, 'memory'), (2, 5, 'sqlite'),
])
def test_a_new_sampler_goes_on_with_a_stored_study(
    tmp_path, kept, trials, stored
):
  storage = (
      optuna.storages.InMemoryStorage() if stored == 'memory'
      else f'sqlite:///{tmp_path}/study.db'
  )

  def resumed():
    return new_study(searches.search(trials=trials), storage)

  optimize(resumed(), n_trials=kept)
  # A process that was killed leaves trials that never end.
  suggest(resumed().ask(), SPACE)
  study = optimize(resumed())
  alone = searches.alone(trials=trials)
  assert searches.told(study.sampler.search) == searches.told(alone)
  states = [trial.state for trial in study.trials]
  assert states.index(TrialState.RUNNING) == kept
  # One network was begun twice; none that was finished was trained again.
  assert len(states) == len(alone.trials) + 1
  assert study.best_value == alone.best.evaluation.reward


def test_networks_between_finished_ones_are_taken_up():
  storage = optuna.storages.InMemoryStorage()
  killed = new_study(storage=storage)
  trials = [killed.ask() for _ in range(3)]
  chosen = [suggest(trial, SPACE) for trial in trials]
  killed.tell(trials[1], searches.reward(chosen[1]))
  study = optimize(new_study(storage=storage), n_jobs=4)
  assert searches.told(study.sampler.search) == searches.told(searches.alone())
  again = {tuple(study.trials[number].params.values()) for number in (3, 4)}
  assert again == {chosen[0], chosen[2]}


def test_a_study_of_another_search_is_refused():
  storage = optuna.storages.InMemoryStorage()
  before = outcomes(optimize(new_study(storage=storage), n_trials=5))
  other = new_study(searches.search(seed=4), storage)
  with problems.refuses('trial 0 of the study', 'same settings and seed'):
    optimize(other)
  assert outcomes(other) == before


def test_an_objective_that_raises_leaves_a_study_that_goes_on():
  study = new_study()
  with pytest.raises(RuntimeError, match='out of memory'):
    study.optimize(objective, n_jobs=4)
  optimize(study)
  assert searches.told(study.sampler.search) == searches.told(searches.alone())


def test_a_study_whose_search_is_over_says_so():
  study = optimize(new_study())
  count = len(study.trials)
  optimize(study, n_trials=5)
  last = study.trials[count:]
  assert [trial.state for trial in last] == [TrialState.PRUNED]
  with pytest.raises(optuna.TrialPruned, match='every layer decided'):
    suggest(study.ask(), SPACE)


def test_trials_may_be_asked_and_told_by_hand():
  study = new_study()
  trials = []
  with problems.refuses('depends on the results', 'tell their results first'):
    while True:
      trials.append(study.ask())
  for trial in reversed(trials):
    study.tell(trial, searches.reward(suggest(trial, SPACE)))
  following = study.ask()
  assert suggest(following, SPACE) not in [
      tuple(trial.params.values()) for trial in trials
  ]
  search = study.sampler.search
  assert [one.id for one in search.waiting][:1] == [len(trials)]
  assert len(search.trials) == len(trials)


def test_enqueued_trials_keep_their_values_and_the_target():
  study = new_study()
  names = [layer.name for layer in SPACE.layers]
  # The best network of all, which costs more than is allowed.
  study.enqueue_trial(dict(zip(names, (3, 2, 2), strict=True)))
  optimize(study, n_jobs=4)
  assert tuple(study.trials[0].params.values()) == (3, 2, 2)
  assert study.trials[0].constraints == {'0': 7.0}
  assert study.best_value < study.trials[0].value
  assert searches.told(study.sampler.search) == searches.told(searches.alone())
  study.enqueue_trial({names[0]: 1})
  with problems.refuses("enqueued without 'layer1'"):
    suggest(study.ask(), SPACE)


def test_every_layer_is_to_be_asked_for_and_nothing_else():
  study = new_study()
  with problems.refuses("parameter 'lr'", "'layer0'"):
    study.ask().suggest_float('lr', 0, 1)
  study = new_study()
  with problems.refuses('did not ask for the layers', "['layer1', 'layer2']"):
    study.optimize(
        lambda trial: trial.suggest_categorical('layer0', range(4)), n_trials=1
    )
  [trial] = study.sampler.search.trials
  assert trial.failed


def test_one_sampler_one_study_one_objective_one_process():
  study = new_study()
  study.ask()
  other = optuna.create_study(study_name='other', sampler=study.sampler)
  with problems.refuses("study 'other'", 'a new sampler for each study'):
    other.ask()
  two = optuna.create_study(
      directions=['maximize', 'minimize'],
      sampler=LayerNASSampler(searches.search()),
  )
  with problems.refuses('2 objectives'):
    two.ask()
  storage = optuna.storages.InMemoryStorage()
  first, second = new_study(storage=storage), new_study(storage=storage)
  first.ask()
  second.ask()
  with problems.refuses('another process runs its trials [1]', 'n_jobs'):
    first.ask()


def test_a_missing_package_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'optuna', None)
  for name in ('optuna_parameters', 'optuna_sampler'):
    monkeypatch.delitem(sys.modules, f'layernas.integrations.{name}')
  with problems.refuses('Optuna is not installed', 'install optuna'):
    __import__('layernas.integrations.optuna_sampler')
