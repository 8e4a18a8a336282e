"""Schedules by name, their settings, and what every layerwise one promises."""

import pytest
from hypothesis import given

from configs import default
from examples.own_schedule import CoordinateDescent
from layernas.search import Search
from layernas.search import make_schedule
from layernas.search.finalists import Finalists
from layernas.search.interleaved import SELECTIONS
from layernas.search.interleaved import Interleaved
from layernas.search.layer_pass import ORDERS
from layernas.search.layer_pass import STARTS
from layernas.search.model_guided import ModelGuided
from layernas.search.schedules import SCHEDULES
from layernas.search.schedules import configured_schedule
from layernas.search.sweep import Recentred
from layernas.search.sweep import Sweep
from layernas.search.table import SPACINGS
from tests.search import problems

CLASSES = {
    'sweep': Sweep, 'interleaved': Interleaved, 'recentred': Recentred,
    'model_guided': ModelGuided,
}
OWN = 'examples.own_schedule:CoordinateDescent'


def section(**changes):
  search = default.get_config().search
  search.update_from_flattened_dict(changes)
  return search


@pytest.mark.parametrize('name', SCHEDULES)
def test_defaults_are_the_same_everywhere(name):
  """Of the class, of `make_schedule` and of the config."""
  made = make_schedule(name)
  assert type(made) is CLASSES[name]
  assert repr(made) == repr(CLASSES[name]())
  assert repr(made) == repr(configured_schedule(section(schedule=name)))


def test_the_default_schedule_is_model_guided():
  assert type(make_schedule()) is ModelGuided
  assert type(configured_schedule(section())) is ModelGuided


def test_the_papers_schedules_have_its_settings():
  made = make_schedule('sweep')
  assert repr(made) == repr(Sweep(100, 1, 'linear', 'default', 'forward'))
  assert (make_schedule('interleaved').buckets, made.keep) == (100, 1)


@pytest.mark.parametrize(('name', 'fields', 'settings'), [
    ('sweep', {'buckets': 7, 'keep': 2, 'order': 'backward'},
     {'buckets': 7, 'keep': 2, 'order': 'backward'}),
    ('recentred', {'spacing': 'log', 'start': 'random'},
     {'spacing': 'log', 'start': 'random'}),
    ('interleaved', {'buckets': 5, 'visit.entries': 3, 'visit.select': 'best'},
     {'buckets': 5, 'entries': 3, 'select': 'best'}),
    ('model_guided', {'keep': 3, 'guided.design': 9, 'guided.optimism': (1.0,)},
     {'keep': 3, 'design': 9, 'optimism': (1.0,)}),
])
def test_settings_reach_a_schedule(name, fields, settings):
  made = make_schedule(name, **settings)
  for field, value in settings.items():
    assert getattr(made, field) == value
  configured = configured_schedule(section(schedule=name, **fields))
  assert repr(configured) == repr(made)


def test_an_own_schedule_has_settings():
  search = section(schedule=OWN, finalists=0.25)
  search.settings.rounds = 3
  made = configured_schedule(search)
  assert type(made) is Finalists
  assert type(made.inner) is CoordinateDescent
  assert made.inner.rounds == make_schedule(OWN, rounds=3).rounds == 3


def test_an_own_schedule_searches():
  """Costs forbid the best network; within them a round finds the best."""
  problem = problems.make_problem([[1, 2, 3]] * 3, high=8)
  search = Search(problem, make_schedule(OWN, rounds=5))
  problems.run(search, lambda candidate: problems.Evaluation(
      float(candidate.cost)
  ))
  assert search.best.candidate.cost == 8
  assert search.stop_reason == 'a round found nothing better'
  assert search.strategy.infeasible == 0
  assert search.bound is None


@pytest.mark.parametrize(('name', 'settings', 'parts'), [
    ('swep', {}, ['search.schedule', "'swep'", *map(repr, SCHEDULES)]),
    ('os:getcwd', {}, ['search.schedule', "'os:getcwd'", 'str', 'Strategy']),
    ('sweep', {'entries': 2}, ['search.settings', "'entries'", "'buckets'"]),
    (OWN, {'round': 2}, ['search.settings', "'round'", "'rounds'"]),
    (OWN, {'rounds': 0}, ['search.settings.rounds: 0']),
    ('sweep', {'buckets': 0}, ['search.buckets: 0', '>= 1']),
    ('model_guided', {'keep': -2}, ['search.keep: -2', '>= 1']),
    ('sweep', {'spacing': 'cubic'},
     ['search.spacing', "'cubic'", *map(repr, SPACINGS)]),
    ('sweep', {'start': 'middle'},
     ['search.start', "'middle'", *map(repr, STARTS)]),
    ('recentred', {'order': 'up'},
     ['search.order', "'up'", *map(repr, ORDERS)]),
    ('interleaved', {'entries': 0}, ['search.visit.entries: 0', '>= 1']),
    ('interleaved', {'options': -1}, ['search.visit.options: -1', '>= 1']),
    ('interleaved', {'axis_samples': 0}, ['search.visit.axis_samples: 0']),
    ('interleaved', {'select': 'worst'},
     ['search.visit.select', "'worst'", *map(repr, SELECTIONS)]),
    ('model_guided', {'design': 0}, ['search.guided.design: 0']),
    ('model_guided', {'batch': 0}, ['search.guided.batch: 0']),
    ('model_guided', {'trainings': 0}, ['search.guided.trainings: 0']),
    ('model_guided', {'random': -1}, ['search.guided.random: -1']),
    ('model_guided', {'certainty': 1.0}, ['search.guided.certainty: 1.0']),
    ('model_guided', {'certainty': 0.4}, ['search.guided.certainty: 0.4']),
    ('model_guided', {'optimism': ()}, ['search.guided.optimism: ()']),
    ('model_guided', {'optimism': (-1.0,)}, ['search.guided.optimism: (-1.0']),
])
def test_what_does_not_fit_is_named(name, settings, parts):
  with problems.refuses(*parts):
    make_schedule(name, **settings)


def test_settings_of_a_registered_schedule_are_fields_of_their_own():
  search = section()
  search.settings.entries = 3
  with problems.refuses('search.settings', "'entries': 3", "'model_guided'"):
    configured_schedule(search)


# What every layerwise schedule promises.


def differences(one, other):
  """Layers in which two architectures differ."""
  return {
      layer for layer, pair in enumerate(zip(one, other, strict=True))
      if pair[0] != pair[1]
  }


def check_proposals(problem, strategy, proposals):
  """They are children of entries that can reach the target."""
  architectures = [proposal.architecture for proposal in proposals]
  assert 0 < len(architectures) == len(set(architectures))
  layer_pass = strategy.passes[-1]
  for proposal in proposals:
    problem.space.check(proposal.architecture)
    assert proposal.cost == problem.cost.cost(proposal.architecture)
    decided = layer_pass.order[:proposal.length]
    assert proposal.layer == decided[-1] + 1
    reachable = problem.cost.interval(proposal.architecture, decided)
    assert problem.target.meets(*reachable)
    assert any(
        differences(proposal.architecture, entry.architecture) <= {decided[-1]}
        for entry in layer_pass.tables[proposal.length - 1].entries()
    )


def check_tables(strategy):
  """Entries are of their bucket, and as many as are to be kept."""
  for layer_pass in strategy.passes:
    for table in layer_pass.tables:
      assert table.axis.size <= layer_pass.settings.buckets
      for bucket, entries in table.by_bucket():
        assert len(entries) <= layer_pass.settings.keep
        assert {table.axis.bucket(entry.cost) for entry in entries} == {bucket}


@given(problems.problems(), problems.SCHEDULE_MAKERS, problems.SEEDS)
def test_a_schedule_from_its_first_proposal_to_its_end(
    problem, make_schedule, seed
):
  strategy = make_schedule()
  bound = strategy.bound(problem)
  results = problems.RandomResults(seed, failing=0.1)
  steps = []
  for proposals in problems.drive(problem, strategy, results, seed):
    steps.append(proposals)
    if not isinstance(proposals, str):
      check_proposals(problem, strategy, proposals)
  *generations, reason = steps
  assert reason
  assert isinstance(reason, str)
  assert bound is None or sum(map(len, generations)) <= bound
  check_tables(strategy)
  again = problems.drive(problem, make_schedule(), results, seed)
  assert list(again) == steps
