"""The docs show the stored measurements, as the programs print them."""

import functools
import json
import re
import statistics

import pytest

from layernas.runs import use_model
from tests import tiny
from tools.perf import candidates
from tools.perf import early_stop
from tools.perf import embedded_search
from tools.perf import executors
from tools.perf import exports
from tools.perf import fault_drill
from tools.perf import fronts
from tools.perf import image_decoders
from tools.perf import inheritance_study
from tools.perf import input_throughput
from tools.perf import json_lines
from tools.perf import latency_study
from tools.perf import other_task
from tools.perf import reward_study
from tools.perf import step_profile
from tools.perf import train_step
from tools.perf import workers

_RESULTS = tiny.ROOT / 'docs' / 'results'


@functools.cache
def page(name: str) -> str:
  return (tiny.ROOT / name).read_text()


def stored(name: str):
  return json.loads((_RESULTS / name).read_text())


@pytest.mark.parametrize('workload', candidates.WORKLOADS)
def test_candidates(workload):
  folder = _RESULTS / 'candidates' / workload
  text = candidates.report_text(candidates.read_systems(folder))
  assert text + '\n' in page('docs/performance.md')
  assert (folder / 'candidates.png').exists()


@pytest.mark.parametrize(('name', 'table'), [
    ('train_step/train_step', train_step.train_step_table),
    ('train_step_xeon/train_step', train_step.train_step_table),
    ('train_step/step_profile', step_profile.profile_table),
])
def test_steps(name, table):
  shown = table(stored(f'{name}.json'))
  assert shown + '\n' in page('docs/performance.md')


@pytest.mark.parametrize('table', [
    image_decoders.speed_table, image_decoders.difference_table,
])
def test_image_decoders(table):
  shown = table(stored('image_decoders/image_decoders.json'))
  assert shown + '\n' in page('docs/data.md')


def test_input_throughput():
  folder = _RESULTS / 'input_throughput'
  shown = input_throughput.table(
      stored('input_throughput/input_throughput.json')
  )
  assert shown + '\n' in page('docs/data.md')
  assert shown + '\n' == (folder / 'input_throughput.md').read_text()


def test_early_stop():
  searches = stored('early_stop/early_stop.json')['searches']
  assert early_stop.table(searches) in page('docs/configs.md')


def test_exports_of_the_winner():
  found = stored('export/check.json')
  for cells in use_model.table_rows(found):
    assert f'| {" | ".join(cells)} |\n' in page('docs/export.md')
  assert f'{100 * found["accuracy"]:.2f} %' in page('docs/export.md')
  [parameters] = re.findall(r'([\d,]+) parameters', page('docs/export.md'))
  whole = found['formats']['onnx']['bytes']
  assert whole <= 4.1 * int(parameters.replace(',', ''))
  for name in ('onnx_int8', 'tflite_int8'):
    small = found['formats'][name]
    assert small['bytes'] <= 0.52 * whole
    assert abs(small['accuracy'] - found['accuracy']) <= 0.01


def test_exports_of_every_network():
  lines = json_lines.Lines(_RESULTS / 'exports' / 'exports.jsonl').all
  assert exports.report_text(lines) + '\n' in page('docs/export.md')
  # A run that was interrupted may not have come to the network of a column.
  assert exports.report_text(lines[:1]).endswith(' | - |')
  assert len(lines) == len(list(exports.networks(4)))


def test_embedded_search():
  folder = _RESULTS / 'embedded_search'
  found = embedded_search.summary(*(
      embedded_search.Lines(folder / f'{name}.jsonl').all
      for name in ('searches', 'finals')
  ))
  assert found == stored('embedded_search/summary.json')
  assert embedded_search.table_text(found) in page('docs/embedded_search.md')


def test_latency_study():
  found, finals = (
      json_lines.Lines(_RESULTS / 'latency_study' / f'{name}.jsonl').all
      for name in ('searches', 'finals')
  )
  assert latency_study.table_text(found, finals) in page('docs/latency.md')


def test_fronts():
  lines = json_lines.Lines(_RESULTS / 'fronts' / 'searches.jsonl').all
  seeds = {(line['table'], line['plan'], line['seed']) for line in lines}
  assert len(seeds) == len(lines) == 3 * 3 * 30
  assert f'\n\n{fronts.table_text(lines)}\n\n' in page('docs/fronts.md')


def test_other_task():
  lines = json_lines.Lines(_RESULTS / 'other_task' / 'searches.jsonl').all
  assert f'\n\n{other_task.table_text(lines)}\n\n' in page('docs/configs.md')
  names = ('dataset', 'trials', 'plan', 'seed')
  keys = {tuple(line[name] for name in names) for line in lines}
  seeds = {line['seed'] for line in lines}
  assert len(keys) == len(lines) == 2 * 3 * 4 * len(seeds)


def test_inheritance_study():
  lines = inheritance_study.read(
      _RESULTS / 'inheritance_study' / 'trainings.jsonl',
      inheritance_study.short_recipe({}).training.epochs,
  )
  figures = stored('inheritance_study/summary.json')
  assert inheritance_study.report_text(figures) in page('docs/rewards.md')
  again = inheritance_study.summary(
      lines, json_lines.Lines(
          _RESULTS / 'reward_study' / 'trainings.jsonl'
      ).all, inheritance_study.stored_recipes(
          inheritance_study.short_recipe({})
      ),
  )
  assert again['length'] == pytest.approx(figures['length'])
  for row, other in zip(figures['rows'], again['rows'], strict=True):
    for name, value in row.items():
      # Resampling is left out: other versions of NumPy may draw otherwise.
      if not name.startswith('error'):
        assert other[name] == pytest.approx(value), name


def test_reward_study():
  folder = _RESULTS / 'reward_study'
  lines = [
      json.loads(line)
      for line in (folder / 'trainings.jsonl').read_text().splitlines()
  ]
  rows = stored('reward_study/summary.json')
  # Resampling is left out: other versions of NumPy may draw otherwise.
  for row, again in zip(rows, reward_study.figures(lines), strict=True):
    for name, value in row.items():
      if not name.startswith('error'):
        assert again[name] == pytest.approx(value), name
  assert reward_study.table_text(rows) in page('docs/rewards.md')


def test_executors():
  tables = executors.report(_RESULTS / 'executors').split('\n\n')
  assert len(tables) == 4
  for table in tables:
    assert table in page('docs/scale.md')
  seconds = stored('executors/ray_recovery.json')['seconds']
  assert (
      f'{statistics.median(seconds):.1f} s ({min(seconds):.1f} to'
      f' {max(seconds):.1f})'
  ) in ' '.join(page('docs/scale.md').split())


def test_fault_drill():
  drills = fault_drill.read(_RESULTS / 'fault_drill' / 'drills.jsonl.gz')
  assert [drill['drill'] for drill in drills] == list(range(200))
  assert 'failed' not in {drill['outcome'] for drill in drills}
  # Every error was one line.
  assert not any(drill['more_lines'] for drill in drills)
  assert f'\n\n{fault_drill.table(drills)}\n' in page('docs/scale.md')
  readme = ' '.join(page('README.md').split())
  assert '200 searches with a random fault' in readme


def test_workers():
  results = workers.read(_RESULTS / 'workers' / 'workers.json.gz')
  assert list(results['cases']) == list(workers.CASES)
  assert workers.Times(**results['times']) == workers.Times()
  for table in workers.tables(results):
    assert f'\n\n{table}\n\n' in page('docs/scale.md')


@pytest.mark.parametrize('name', [
    'imagenet_v3_large_220m: interleaved, 8 x 8',
    *(pytest.param(name, marks=pytest.mark.long) for name in (
        'imagenet_v3_small_60m: sweep, H = 5',
        'imagenet_v3_large_220m: sweep, H = 5, workers lost',
    )),
])
def test_simulated_workers_give_the_stored_figures(name):
  results = workers.read(_RESULTS / 'workers' / 'workers.json.gz')
  case = results['cases'][name]
  again = workers.case_runs(workers.CASES[name], workers.Times(), [1, 16, 256])
  assert again['candidates'] == case['candidates']
  for overlap, runs in again['runs'].items():
    for count, run in runs.items():
      idle = run.pop('idle_by_layer', {})
      kept = dict(case['runs'][overlap][count])
      assert idle == pytest.approx(kept.pop('idle_by_layer', {}), abs=2e-4)
      assert run == pytest.approx(kept, abs=2e-4)


def test_counting():
  output = (_RESULTS / 'counting' / 'output.txt').read_text()
  counted, kept = (
      float(re.search(f'{name}: ([0-9.]+) s', output)[1])
      for name in ('counted', 'from what was kept')
  )
  text = ' '.join(page('docs/own_networks.md').split())
  assert f'takes {counted:.0f} s on 2 cores' in text
  assert f'and {kept:.1f} s from what a workdir keeps' in text
