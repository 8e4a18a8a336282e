"""Accel-NASBench against rows of its authors' table, and what docs say."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from configs.study import accel_nasbench as study
from layernas.networks.reference import mnasnet_a1
from layernas.search.space import parse_architecture_id
from layernas.study.setup import make_benchmark
from layernas.study.tables import accel_nasbench
from layernas.study.tables import packaged
from layernas.study.tables.accel_nasbench import ACCURACY
from layernas.study.tables.boosted_trees import BoostedTrees
from layernas.study.tables.packaged import read_archive
from layernas.study.tables.packaged import read_description
from tests import tiny
from tests.search import problems

FIGURES = json.loads(
    (tiny.ROOT / 'docs/results/accel_nasbench/figures.json').read_text()
)
# Every 400th row of the CSV: option indices, val_top1, macs, params,
# latency_zcu102, latency_vck190, throughput_a100.
ROWS = [
    ('2-0-0-0-1-1-1-0-2-0-2-0-2-1-2-0-2-1-1-0-0-0-1-0-0-0-1-0',
     59.368, 415361072, 2501160, 5.0234, 3.5006, 7034.9),
    ('1-0-1-0-2-0-1-0-1-0-0-0-0-0-1-0-2-1-2-0-0-1-1-0-0-1-1-0',
     55.882, 360833872, 2430592, 4.3645, 3.0334, 7295.4),
    ('2-0-0-0-1-0-2-0-2-0-0-0-1-1-0-0-2-1-1-0-0-0-1-0-1-1-0-0',
     58.806, 361631984, 2511400, 4.1627, 3.0881, 7573.8),
    ('0-0-0-0-1-1-0-0-1-1-1-0-2-0-1-0-2-1-1-0-0-0-2-0-1-1-2-0',
     61.216003, 296434544, 4349688, 3.5024, 2.2087, 15809.9),
    ('0-1-1-0-2-1-2-0-2-1-1-0-0-1-2-0-1-1-0-0-2-0-2-0-2-0-1-0',
     63.284, 396727744, 4846400, 5.6078, 3.1374, 9330.2),
    ('0-1-0-0-2-1-1-1-1-0-1-1-1-1-1-1-0-0-2-0-1-1-0-1-2-1-2-0',
     62.868, 357690000, 5251564, 5.6332, 3.2866, 10782.5),
    ('2-1-0-0-0-1-1-0-1-0-0-1-0-0-0-1-2-1-2-1-0-0-1-1-2-0-0-0',
     60.026, 373345240, 2960568, 6.6311, 4.0682, 8835.0),
    ('0-0-1-1-1-0-2-0-1-0-1-0-2-0-1-1-2-1-0-0-1-0-1-0-2-0-1-1',
     63.49, 315211520, 4708674, 5.1760, 2.7920, 10713.2),
    ('1-1-1-0-0-0-2-0-2-1-1-1-1-1-0-0-2-1-2-0-2-0-2-1-2-0-2-1',
     66.037994, 589135328, 7462932, 9.4114, 4.5906, 6834.3),
    ('0-0-1-0-2-0-0-0-2-0-1-1-0-0-0-1-1-1-0-0-2-1-2-0-1-0-1-0',
     61.55, 272124968, 4233474, 3.3440, 2.1484, 13438.6),
    ('2-0-2-0-0-0-1-0-2-1-2-1-2-0-2-1-0-1-1-0-0-0-0-1-1-0-1-1',
     62.188, 494862512, 3614584, 6.7728, 4.7512, 5023.5),
    ('1-1-0-1-1-0-2-1-1-1-0-0-2-0-0-0-2-1-1-1-0-0-3-1-2-1-2-1',
     63.01, 478562576, 6228092, 12.4957, 6.1582, 6708.4),
    ('0-1-0-0-0-0-2-0-1-0-1-1-1-1-2-1-0-1-2-1-2-1-3-1-2-1-2-0',
     64.371994, 380091696, 7179378, 5.4606, 2.6954, 14298.0),
]
NETWORKS = [parse_architecture_id(row[0]) for row in ROWS]


@pytest.fixture(name='table', scope='module')
def _table():
  return accel_nasbench.load()


def trees():
  arrays = read_archive(
      'accel_nasbench', read_description('accel_nasbench.json')['sha256']
  )
  return BoostedTrees(
      int(arrays['base']), arrays['layers'], arrays['thresholds'],
      arrays['leaves'],
  )


def test_the_space(table):
  assert len(table.space) == 28
  assert sum(table.space.option_counts) == 71
  named = table.space.describe(table.space.default)
  assert named['block3 kernel'] == 3
  assert named['block5 layers'] == 2
  assert {layer.options for layer in table.space.layers} == {
      (1, 4, 6), (3, 5), (1, 2, 3), (1, 2, 3, 4), (False, True)
  }
  assert len(trees().layers) == 300


def test_accuracies_are_those_of_the_rows(table):
  column = table.column(ACCURACY)
  errors = [
      column.item(network) - row[1]
      for network, row in zip(NETWORKS, ROWS, strict=True)
  ]
  assert np.sqrt(np.mean(np.square(errors))) <= FIGURES['accuracy']['rmse']
  # They differ by more than that.
  assert np.std([row[1] for row in ROWS]) > 4 * FIGURES['accuracy']['rmse']


def test_costs_are_those_of_the_rows(table):
  for network, row in zip(NETWORKS, ROWS, strict=True):
    assert table.cost('madds').cost(network) == row[2]
    assert table.cost('params').cost(network) == row[3]
    for name, measured in (
        ('ms_zcu102', row[4]), ('ms_vck190', row[5]), ('ms_a100', 1e3 / row[6])
    ):
      largest = FIGURES['costs'][name]['largest_error']
      cost = table.cost(name)
      assert cost.unit == 'ms'
      assert cost.cost(network) == pytest.approx(measured, abs=largest + 1e-3)
  for name, fit in FIGURES['costs'].items():
    assert fit['r2'] >= 0.998, name


def test_a_cost_is_one_factor_for_each_block(table):
  for cost in table.costs:
    assert [factor.scope for factor in cost.factors] == [
        (), *(tuple(range(first, first + 4)) for first in range(0, 28, 4))
    ]


@pytest.mark.parametrize('name', ['madds', 'params', 'ms_zcu102'])
def test_no_option_is_without_effect(table, name):
  for factor in table.cost(name).factors[1:]:
    for axis in range(4):
      assert (np.diff(factor.table, axis=axis) > 0).all()


def by_hand(made, architecture):
  total = made.base
  for layers, thresholds, leaves in zip(
      made.layers, made.thresholds, made.leaves, strict=True
  ):
    node = 0
    while node < len(layers):
      node = 2 * node + 1 + int(architecture[layers[node]] > thresholds[node])
    total += int(leaves[node - len(layers)])
  return total


def test_trees_are_followed_from_root_to_leaf(table):
  made = trees()
  expected = [by_hand(made, network) for network in NETWORKS]
  assert made.sums(np.array(NETWORKS)).tolist() == expected
  column = table.column(ACCURACY)
  assert [column.item(each) for each in NETWORKS] == [
      each / 1e6 for each in expected
  ]
  # More than are evaluated at a time.
  many = np.tile(NETWORKS, (700, 1))
  assert made.sums(many).tolist() == expected * 700
  assert made.sums(np.zeros((0, 28), int)).tolist() == []


def test_one_accuracy_takes_less_than_a_millisecond(table):
  column = table.column(ACCURACY)
  seconds = []
  for network in NETWORKS:
    begin = time.perf_counter()
    column.item(network)
    seconds.append(time.perf_counter() - begin)
  assert min(seconds) < 1e-3


def test_start_networks():
  for start, figures in FIGURES['starts'].items():
    table = accel_nasbench.load(start)
    for name, figure in figures.items():
      assert table.column(name).item(table.space.default) == figure
  assert FIGURES['starts']['middle']['madds'] > accel_nasbench.LIMIT
  assert FIGURES['starts']['mnasnet_a1']['madds'] < accel_nasbench.LIMIT
  with problems.refuses("start: 'largest'", 'middle', 'mnasnet_a1'):
    accel_nasbench.load('largest')


def test_mnasnet_a1_is_that_of_the_reference_but_for_what_there_is_not():
  space = accel_nasbench.load('mnasnet_a1').space
  chosen = space.describe(space.default)
  # Its stages by their filters.
  stages = {}
  for block in mnasnet_a1().blocks:
    stages.setdefault(block.filters, []).append(block)
  differences = []
  for index, blocks in enumerate(stages.values()):
    first = blocks[0]
    for name, value in (
        ('kernel', first.kernel), ('layers', len(blocks)),
        ('squeeze', first.squeeze is not None),
    ):
      if chosen[f'block{index} {name}'] != value:
        differences.append((index, name, value))
  assert differences == [(3, 'layers', 4)]
  assert [chosen[f'block{i} expansion'] for i in range(7)] == [
      1, 6, 4, 6, 6, 6, 6
  ]


def test_random_networks_are_as_stated(table):
  stated = FIGURES['random']
  networks = np.random.default_rng(1).integers(
      table.space.option_counts, size=(4000, 28)
  )
  accuracy = trees().sums(networks) / 1e6
  inside = table.cost('madds').costs(networks) <= accel_nasbench.LIMIT
  assert inside.mean() == pytest.approx(stated['share_in_limit'], abs=0.03)
  assert accuracy[inside].mean() == pytest.approx(stated['mean'], abs=0.25)
  assert accuracy[inside].std() == pytest.approx(stated['sd'], abs=0.2)
  for name, median in stated['medians'].items():
    costs = table.cost(name).costs(networks)
    assert (costs <= median).mean() == pytest.approx(0.5, abs=0.03)


def test_damage_is_noticed(tmp_path, monkeypatch):
  directory = packaged.DIRECTORY
  for name in ('accel_nasbench.json', 'accel_nasbench.npz'):
    (tmp_path / name).write_bytes((directory / name).read_bytes())
  data = bytearray((tmp_path / 'accel_nasbench.npz').read_bytes())
  data[1000] ^= 1
  (tmp_path / 'accel_nasbench.npz').write_bytes(data)
  monkeypatch.setattr(packaged, 'DIRECTORY', tmp_path)
  with problems.refuses('accel_nasbench.npz is damaged'):
    accel_nasbench.load()


def test_the_study_limits_what_its_texts_say():
  config = study.get_config()
  medians = FIGURES['random']['medians']
  for name, section in config.benchmarks.items():
    if section.cost != 'madds':
      assert section.target.high == float(f'{medians[section.cost]:.4g}')
    benchmark = make_benchmark(name, section)
    default = benchmark.table.space.default
    start = section.table.settings.start
    assert name.startswith(start)
    assert benchmark.reported(default, 0) == FIGURES['starts'][start][ACCURACY]
    assert benchmark.noise in study.NOISES.values()
    assert benchmark.optimum is None
  budgets = {section.budget.trials for section in config.benchmarks.values()}
  assert budgets == {30, 60, 100, 300}


def test_docs_show_the_stored_figures():
  text = (tiny.ROOT / 'docs/benchmarks.md').read_text()
  accuracy, seeds = FIGURES['accuracy'], FIGURES['seed_noise']
  rows = [
      f'| R2 | {accuracy["r2"]} |',
      f'| RMSE, points | {accuracy["rmse"]} |',
      f"| Kendall's tau | {accuracy['kendall']} |",
      f'({seeds["pairs"]} pairs), standard deviation, points | {seeds["sd"]} |',
      f'(R2 {FIGURES["left_out"]["ms_tpuv3"]["r2"]})',
      *(
          f'| `{name}` | {row["val_top1"]:.2f} | {row["madds"] / 1e6:.1f} |'
          f' {row["ms_zcu102"]:.3f} | {row["ms_a100"]:.4f} |'
          for name, row in FIGURES['starts'].items()
      ),
  ]
  for name, fit in FIGURES['costs'].items():
    median = FIGURES['random']['medians'][name]
    shown = f'{median:,.0f}' if median > 1000 else f'{median:.4g}'
    rows.append(
        f'| `{name}` | {fit["r2"]} | {fit["rmse"]:g} |'
        f' {fit["largest_error"]:g} | {shown} |'
    )
  drawn = FIGURES['random']
  rows += [
      f'{drawn["networks"]:,} random networks,'
      f' {100 * drawn["share_in_limit"]:.1f} % are',
      f'mean of {drawn["mean"]} and a standard deviation of {drawn["sd"]}',
  ]
  flat = ' '.join(text.split())
  for row in rows:
    assert row in flat


def test_the_tool_asks_for_its_package(tmp_path):
  table = tmp_path / 'table.csv'
  table.write_text('id\n0\n')
  program = tiny.ROOT / 'tools' / 'make_accel_nasbench.py'
  done = subprocess.run(
      [sys.executable, '-c',
       'import runpy, sys; sys.modules["sklearn"] = None;'
       f'sys.argv = ["tool", "--csv={table}"];'
       f'runpy.run_path({str(program)!r}, run_name="__main__")'],
      cwd=tiny.ROOT, capture_output=True, text=True,
      env=os.environ | {'PYTHONPATH': str(tiny.ROOT)},
  )
  assert done.returncode == 2
  [line] = done.stderr.splitlines()
  assert 'scikit-learn: not installed' in line
