"""Tests of layernas.study.setup."""


import pytest

from configs.study import default
from layernas.search import Budget
from layernas.search import TargetInterval
from layernas.search.finalists import Finalists
from layernas.search.sweep import Sweep
from layernas.study.methods.evolution import RegularizedEvolution
from layernas.study.setup import check_study
from layernas.study.setup import make_benchmark
from layernas.study.setup import make_strategy
from tests.search import problems


def section(**changes):
  fields = {
      'table__name': 'nas_bench_macro', 'rewards': ('acc1',), 'report': 'acc2',
      'cost': 'madds', 'budget__trials': 10,
  }
  return default.benchmark(**fields | changes)


def study(**changes):
  config = default.get_config()
  config.benchmarks.macro = section()
  config.methods.random = default.method('random')
  config.update(changes)
  return config


def test_fields_of_a_benchmark():
  made = make_benchmark('mine', section(
      target__low=1e7, target__high=5e7, noise=0.5, failing=0.1,
  ))
  assert made.name == 'mine'
  assert made.rewards == ('acc1',)
  assert made.report == 'acc2'
  assert made.target == TargetInterval(1e7, 5e7)
  assert made.budget == Budget(trials=10, reused=1000)
  assert (made.noise, made.failing) == (0.5, 0.1)
  assert made.problem.cost.name == 'madds'


@pytest.mark.parametrize('kind', ['additive', 'interacting'])
def test_synthetic_rewards_take_the_place_of_the_columns(kind):
  made = make_benchmark('mine', section(
      rewards=('none of the table',), synthetic=kind, synthetic_seed=3,
  ))
  assert made.rewards == (kind,)
  assert made.report == kind
  other = make_benchmark('mine', section(synthetic=kind, synthetic_seed=4))
  assert made.optimum != other.optimum


def test_own_csv_reads_only_what_is_named(tmp_path):
  path = tmp_path / 'own.csv'
  path.write_text(
      'network;x\n'.replace(';', ',') + ''
  )
  rows = [f'{a}:{b},{a + b},{a * 10},{a + 1},not a number'
          for a in (8, 16) for b in (1, 2, 3)]
  path.write_text('\n'.join(['network,acc,final,flops,note', *rows]))
  made = make_benchmark('own', section(
      table__name='', table__file=str(path), table__architecture='network',
      table__pattern='[^:]+', table__layers=('width', 'depth'),
      table__default='', rewards=('acc',), report='final', cost='flops',
  ))
  assert made.table.space.option_counts == (2, 3)
  assert [layer.name for layer in made.table.space.layers] == [
      'width', 'depth'
  ]
  assert made.reported((1, 0), 0) == 160
  assert made.problem.cost.cost((1, 2)) == 17


@pytest.mark.parametrize(('changes', 'parts'), [
    ({'table__file': 'x.csv'}, ('table.name', 'table.file', 'one of them')),
    ({'table__name': ''}, ('table.name', 'table.file')),
    ({'table__name': 'nb101'}, ("'nb101'",)),
    ({'synthetic': 'linear'}, ("synthetic: 'linear'",)),
    ({'budget__trials': 0}, ('budget: no limit',)),
    ({'budget__reused': 0}, ('budget.reused: 0',)),
    ({'budget__seconds': 5.0}, ('budget.seconds 5.0', 'field seconds')),
    ({'target__high': 1.0}, ('madds', 'reachable are')),
    ({'cost': 'flops'}, ("column 'flops'", 'madds')),
])
def test_wrong_fields_are_named(changes, parts):
  with problems.refuses('benchmarks.mine: ', *parts):
    make_benchmark('mine', section(**changes))


def test_strategies():
  method = default.method
  sweep = make_strategy(method('layernas', buckets=7, keep=2, order='backward'))
  assert isinstance(sweep, Sweep)
  assert sweep.buckets == 7
  assert sweep.order == 'backward'
  evolution = make_strategy(method('evolution', population=4))
  assert isinstance(evolution, RegularizedEvolution)
  assert evolution.population == 4


@pytest.mark.parametrize(('kind', 'settings', 'parts'), [
    ('bohb', {}, ("kind: 'bohb'", 'layernas', 'evolution')),
    ('layernas', {'buckets': -1}, ('search.buckets: -1',)),
])
def test_wrong_methods_are_named(kind, settings, parts):
  config = study()
  config.methods.mine = default.method(kind, **settings)
  with problems.refuses('methods.mine: ', *parts):
    check_study(config)


@pytest.mark.parametrize(('changes', 'parts'), [
    ({'seeds': 0}, ('seeds: 0',)),
    ({'workers': -1}, ('workers: -1',)),
    ({'curve_points': 1}, ('curve_points: 1',)),
    ({'accountings': ('once',)}, ("('once',)", 'every_query')),
    ({'accountings': ()}, ('accountings', 'every_query')),
    ({'compared': 'layernas'}, ("compared: 'layernas'", 'random')),
])
def test_wrong_study_fields_are_named(changes, parts):
  with problems.refuses(*parts):
    check_study(study(**changes))


def test_a_study_needs_methods_benchmarks_and_seeds():
  with problems.refuses('no benchmarks or no methods'):
    check_study(default.get_config())
  config = study()
  config.benchmarks.macro.seeds = -1
  with problems.refuses('benchmarks.macro.seeds: -1'):
    check_study(config)


def test_repeats_of_finalists_around_any_method():
  for kind in ('layernas', 'evolution'):
    wrapped = make_strategy(default.method(kind, finalists=0.3))
    assert isinstance(wrapped, Finalists)
    assert wrapped.share == 0.3
  within = default.method('layernas')
  within.settings.finalists = 0.25
  assert make_strategy(within).share == 0.25


def test_a_chain_needs_no_table():
  made = make_benchmark('chain', default.benchmark(
      synthetic='chain', cost='units', target__high=10.0, budget__trials=5,
      chain_layers=3, chain_options=2, interaction=0.5, noise=1.0,
  ))
  assert made.networks == (8, 6)
  assert made.rewards == ('chain',)


def test_a_target_between_the_costs_of_all_networks_is_refused(tmp_path):
  path = tmp_path / 'own.csv'
  path.write_text('arch,acc,ms\n0,1,10\n1,2,20\n')
  own = section(
      table__name='', table__file=str(path), rewards=('acc',), report='acc',
      cost='ms', target__low=12, target__high=18,
  )
  with problems.refuses('benchmarks.mine', '[12, 18]', "'ms'"):
    make_benchmark('mine', own)
  chain = section(
      synthetic='chain', chain_layers=3, chain_options=2, cost='units',
      target__low=7.2, target__high=7.8,
  )
  with problems.refuses('benchmarks.mine', '[7.2, 7.8]', "'units'"):
    make_benchmark('mine', chain)
