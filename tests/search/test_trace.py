"""Tests of layernas.search.trace."""

import itertools
import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search import Evaluation
from layernas.search import Status
from layernas.search import make_schedule
from layernas.search.finalists import Finalists
from layernas.search.trace import Trace
from layernas.search.trace import option_text
from tests.search import problems
from tests.search import traced

RUNS = st.fixed_dictionaries({
    'problem': problems.problems(),
    'make': problems.SCHEDULE_MAKERS,
    'results': st.builds(
        problems.RandomResults, problems.SEEDS, st.sampled_from([0.0, 0.2])
    ),
    'seed': problems.SEEDS,
    'reuse': st.booleans(),
    'trials': st.sampled_from([3, 20, 200]),
})


def started(run, trials=None):
  """Search, trace, and the list that gets all that the strategy is told."""
  strategy = run['make']()
  search, trace = traced.start(
      run['problem'], strategy, run['seed'], trials or run['trials'],
      run['reuse'],
  )
  told, observe = [], strategy.observe

  def observed(proposal, trial):
    told.append((proposal, trial))
    observe(proposal, trial)

  strategy.observe = observed
  return search, trace, told


def finished(run):
  """The same after the run."""
  search, trace, told = started(run)
  problems.run(search, run['results'])
  return search, trace, told


def layer_records(trace):
  """Triples of layer pass, length and record."""
  return [
      (one.layer_pass, length, record)
      for one in trace.passes for length, record in one.layers.items()
  ]


def brief(layer):
  """The meetings of a layer: who, trial, known, verdict, rival, displaced."""
  return {
      bucket: [
          (
              one['architecture'], one['cost'], one['trial'],
              one['seen_before'], one['verdict'], one['rival'],
              one['displaced'],
          )
          for one in met
      ]
      for bucket, met in layer['buckets'].items()
  }


def test_three_layers_by_hand():
  """Costs 1 4 | 1 4 5 | 1 8 up to 9; two buckets; see `traced.REWARDS`."""
  trace = traced.hand_worked()
  [only] = trace['passes']
  first, second, third = only['layers']
  assert only['start'] == '0-0-0'
  assert only['start_cost'] == 3

  assert brief(first) == {
      '0': [('0-0-0', 3, 0, False, 'kept', None, None)],
      '1': [('1-0-0', 6, 1, False, 'kept', None, None)],
  }
  assert first['extended'] == ['0-0-0']
  assert first['edges'] == [4.5]
  assert first['infeasible'] == []

  assert brief(second) == {
      '0': [('0-0-0', 3, 0, True, 'kept', None, None)],
      '1': [
          ('0-1-0', 6, 2, False, 'displaced', '1-1-0', None),
          ('0-2-0', 7, 3, False, 'failed', None, None),
          ('1-0-0', 6, 1, True, 'lost', '0-1-0', None),
          ('1-1-0', 9, 4, False, 'kept', None, '0-1-0'),
      ],
  }
  assert second['extended'] == ['0-0-0', '1-0-0']
  assert second['children'] == 6
  assert second['infeasible'] == [
      {'architecture': '1-2-0', 'cost': 10, 'low': 10, 'high': 17}
  ]
  failed = second['buckets']['1'][1]
  assert (failed['reward'], failed['message']) == (None, 'out of luck')
  displaced, _, tied, _ = second['buckets']['1']
  assert (displaced['reward'], displaced['rival_reward']) == (2.0, 4.0)
  assert (tied['reward'], tied['rival_reward']) == (2.0, 2.0)

  assert brief(third) == {
      '0': [('0-0-0', 3, 0, True, 'kept', None, None)],
      '1': [('1-1-0', 9, 4, True, 'kept', None, None)],
  }
  assert [one['architecture'] for one in third['infeasible']] == [
      '0-0-1', '1-1-1',
  ]

  assert [layer['path'] for layer in only['layers']] == [
      '1-0-0', '1-1-0', '1-1-0',
  ]
  assert [
      (one['trial'], one['layer'], one['architecture'], one['reward'])
      for one in trace['incumbents']
  ] == [
      (0, 'layer0', '0-0-0', 1.0),
      (1, 'layer0', '1-0-0', 2.0),
      (4, 'layer1', '1-1-0', 4.0),
  ]


def test_with_several_places_the_last_one_is_the_rival():
  problem = problems.make_problem([[1, 1, 1, 1]])
  search, trace = traced.start(
      problem, make_schedule('sweep', buckets=1, keep=2)
  )
  rewards = iter([3.0, 5.0, 1.0, 4.0])
  problems.run(
      search, lambda candidate: problems.Evaluation(next(rewards))
  )
  met = trace.passes[0].layers[1].meetings
  assert [(one.verdict, one.rival, one.rival_reward) for one in met] == [
      ('displaced', (3,), 4.0), ('kept', None, None),
      ('lost', (0,), 3.0), ('kept', None, None),
  ]


def check_children(run, search, layer_pass, length, record):
  """Every child was dropped, or met, or is left; what was kept is held."""
  layer, target = layer_pass.order[length - 1], run['problem'].target
  options = run['problem'].space.option_counts[layer]
  assert record.children == options * len(record.extended)
  assert len(record.dropped) == layer_pass.infeasible[length]
  assert not any(target.meets(one.low, one.high) for one in record.dropped)
  seen = [one.architecture for one in (*record.dropped, *record.meetings)]
  assert len(set(seen)) == len(seen) <= record.children
  if search.stop_reason == 'every layer decided':
    assert len(seen) == record.children
  if length == len(layer_pass.tables):
    assert not record.meetings
    return
  assert {
      (one.bucket, one.architecture, one.trial)
      for one in record.meetings if one.verdict == 'kept'
  } == {
      (bucket, entry.architecture, entry.trial)
      for bucket, entries in layer_pass.tables[length].by_bucket()
      for entry in entries
  }


def check_rivals(record):
  """They met in the same bucket and were no worse."""
  met = {one.architecture: one for one in record.meetings}
  for one in record.meetings:
    assert (one.rival is None) == (one.verdict in ('kept', 'failed'))
    if one.rival is None:
      continue
    rival = met[one.rival]
    assert rival.bucket == one.bucket
    assert rival.reward == one.rival_reward >= one.reward
    if one.verdict == 'displaced':
      assert one.number < rival.number
      assert rival.displaced == one.architecture
      assert rival.reward > one.reward
    else:
      assert one.number > rival.number


@given(RUNS)
def test_a_trace_is_what_happened(run):
  search, trace, told = finished(run)
  records = layer_records(trace)
  assert [one.layer_pass for one in trace.passes] == search.strategy.passes
  for layer_pass, length, record in records:
    check_children(run, search, layer_pass, length, record)
    check_rivals(record)
  met = sorted(
      (one.number, length, one.architecture, one.cost, one.trial, one.reward)
      for _, length, record in records for one in record.meetings
  )
  assert met == [
      (number, proposal.length, proposal.architecture, proposal.cost,
       trial.candidate.id, trial.evaluation.reward)
      for number, (proposal, trial) in enumerate(told)
  ]
  known = [one.seen_before for *_, each in records for one in each.meetings]
  assert sum(known) == search.reused == len(told) - len(search.trials)
  rewards = [one.reward for one in trace.incumbents]
  assert rewards == sorted(set(rewards))
  assert bool(trace.incumbents) == (search.best is not None)
  if trace.incumbents:
    assert told[trace.incumbents[-1].number][1] is search.best


@given(RUNS, st.integers(1, 30), problems.SEEDS)
def test_a_trace_is_a_function_of_the_history(run, trials, disorder):
  """It is strict JSON, the same after a resume, and changes no search."""
  search, trace, _ = finished(run)
  values = trace.to_dict()
  assert json.loads(json.dumps(values, allow_nan=False)) == values
  plain = problems.Search(
      run['problem'], run['make'](), search.budget, run['seed'], run['reuse']
  )
  problems.run(plain, run['results'])
  assert problems.state(plain) == problems.state(search)
  late, resumed, _ = started(run)
  late.replay(search.trials[:trials])
  problems.run(late, run['results'])
  assert resumed.to_dict() == values
  disordered, other, _ = started(run)
  problems.run_in_disorder(disordered, run['results'], random.Random(disorder))
  assert other.to_dict() == values


def test_a_stopped_child_is_not_a_failed_one():
  problem = problems.make_problem([[2, 2]])
  search, trace = traced.start(problem, make_schedule('sweep'))
  results = iter([
      Evaluation(1.0), Evaluation(None, status=Status.STOPPED, message='bad'),
  ])
  problems.run(search, lambda candidate: next(results))
  [(_, _, record)] = layer_records(trace)
  assert [(str(one.verdict), one.message) for one in record.meetings] == [
      ('kept', ''), ('stopped', 'bad'),
  ]


@given(problems.problems(), problems.PASS_SETTINGS, problems.SEEDS)
def test_a_sweep_kept_every_prefix_of_its_winner(problem, settings, seed):
  schedule = make_schedule('sweep', **settings)
  search, trace = traced.start(problem, schedule, seed)
  problems.run(search, problems.RandomResults(seed))
  if not trace.incumbents:
    return
  [only] = trace.to_dict()['passes']
  winner = trace.incumbents[-1]
  found = only['order'].index(winner.layer) + 1
  for layer in only['layers'][:found - 1]:
    kept = [
        one['architecture'] for met in layer['buckets'].values()
        for one in met if one['verdict'] == 'kept'
    ]
    assert layer['path'] in kept
  last = '-'.join(map(str, winner.architecture))
  assert all(layer['path'] == last for layer in only['layers'][found - 1:])


def test_passes_lead_to_the_start_of_the_next():
  problem = problems.make_problem([[1, 2, 3]] * 3)
  search, trace = traced.start(
      problem, make_schedule('recentred', buckets=2)
  )
  problems.run(search, problems.RandomResults(3))
  passes = trace.to_dict()['passes']
  assert len(passes) > 1
  for one, following in itertools.pairwise(passes):
    assert one['layers'][-1]['path'] == following['start']
  assert passes[-1]['layers'][-1]['path'] == '-'.join(
      map(str, search.best.candidate.architecture)
  )


def test_modelled_layer_tables_are_not_traced():
  with problems.refuses('decision trace', 'ModelGuided', 'sweep'):
    Trace(problems.make_problem([[1, 2]]), make_schedule('model_guided'))


def test_repeats_of_finalists_leave_the_trace_as_it_is():
  problem = problems.make_problem([[1, 4], [1, 4, 5], [1, 8]])
  results = problems.RandomResults(3)
  plain, alone = traced.start(problem, make_schedule('sweep'))
  problems.run(plain, results)
  wrapped, other = traced.start(problem, Finalists(make_schedule('sweep')))
  problems.run(wrapped, lambda c: Evaluation(
      results(c).reward + (0.5 if c.id >= len(plain.trials) else 0.0)
  ))
  assert len(wrapped.trials) > len(plain.trials)
  assert other.to_dict() == alone.to_dict()


def test_a_trace_begins_with_the_search():
  search = problems.sweep_of(problems.make_problem([[1, 2]]))
  search.ask()
  with pytest.raises(ValueError, match='before'):
    Trace(search.problem, search.strategy)


def test_options_as_text():
  assert option_text({'filters': 16, 'kernel': 3}) == 'filters 16, kernel 3'
  assert option_text('skip_connect') == 'skip_connect'
  assert option_text(math.inf) == 'inf'
