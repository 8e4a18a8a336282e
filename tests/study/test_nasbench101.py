"""NAS-Bench-101: reader and converter on made records, the space, a study.

The records are those of all cells of up to four vertices and five edges, 82 of
the benchmark's; their figures are made up.
"""

import functools
import json
import math
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from configs.study import nasbench101 as study
from layernas.errors import UserError
from layernas.search import Candidate
from layernas.search import TargetInterval
from layernas.study.run_study import run_study
from layernas.study.setup import make_benchmark
from layernas.study.tables.benchmark import Benchmark
from layernas.study.tables.benchmark import TableEvaluator
from layernas.study.tables.nasbench101 import NO_CELL
from layernas.study.tables.nasbench101 import CellTable
from layernas.study.tables.nasbench101 import convert
from layernas.study.tables.nasbench101 import load
from layernas.study.tables.nasbench101_cells import ABSENT
from layernas.study.tables.nasbench101_cells import Cells
from layernas.study.tables.nasbench101_cells import CellSpace
from layernas.study.tables.nasbench101_files import read_trainings
from layernas.study.tables.packaged import archive
from layernas.study.tables.table import Survey
from tests import tiny
from tests.search import problems
from tests.study import cell_records

_PROGRAM = tiny.ROOT / 'tools' / 'convert_nasbench101.py'
_REPEATS = 3


def _figures(number: int, repeat: int) -> tuple[int, float, float, float]:
  """Parameters, validation, test and seconds of a training of a made cell."""
  accuracy = 0.5 + number % 37 / 128
  return (
      1000 + 7 * number, accuracy + repeat / 256, accuracy - repeat / 512,
      100.0 + number + repeat,
  )


@functools.cache
def _cells() -> list[tuple[np.ndarray, tuple[int, ...]]]:
  return list(cell_records.all_cells(4, most=5))


def _records(epochs: tuple[int, ...] = (108,)) -> list[list]:
  return [
      cell_records.record(
          f'{number:032x}', edges, operations, _figures(number, repeat), each
      )
      for each in epochs
      for repeat in range(_REPEATS)
      for number, (edges, operations) in enumerate(_cells())
  ]


@pytest.fixture(scope='module')
def source(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """A file as the official one, with few cells."""
  path = tmp_path_factory.mktemp('nasbench101') / 'made.tfrecord'
  return cell_records.write(path, _records())


@pytest.fixture(scope='module')
def arrays(source: pathlib.Path) -> dict[str, np.ndarray]:
  """What it is converted to."""
  return convert(source, lambda read: None)


@pytest.fixture(scope='module')
def file(
    arrays: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
  """The table."""
  path = tmp_path_factory.mktemp('table') / 'nasbench101.npz'
  path.write_bytes(archive(arrays))
  return path


def _benchmark(file: pathlib.Path) -> Benchmark:
  config = study.get_config()
  section = config.benchmarks.nasbench101
  section.table.settings.file = str(file)
  return make_benchmark('nasbench101', section)


def _padded(
    edges: np.ndarray, operations: tuple[int, ...], vertices: int
) -> Cells:
  """A cell among those of a larger space; the vertices before the last lack."""
  found = np.zeros((1, vertices, vertices), bool)
  inner = len(edges) - 1
  found[0, :inner, :inner] = edges[:-1, :-1]
  found[0, :inner, -1] = edges[:-1, -1]
  rest = (ABSENT,) * (vertices - len(edges))
  return Cells(found, np.array([operations + rest]))


# The reader.


def test_a_record_is_read_to_the_last_bit(source: pathlib.Path) -> None:
  read = []
  trainings = list(read_trainings(source, read.append))
  assert read[-1] == source.stat().st_size
  assert len(read) == len(trainings) == _REPEATS * len(_cells())
  number, repeat = 40, 2
  training = trainings[repeat * len(_cells()) + number]
  assert (
      training.parameters, training.validation, training.test, training.seconds
  ) == _figures(number, repeat)
  edges, operations = _cells()[number]
  assert np.array_equal(training.edges, edges)
  assert training.operations == operations
  assert (training.cell, training.epochs) == (f'{number:032x}', 108)


def test_checksums_are_those_of_the_standard() -> None:
  # RFC 3720, B.4: 32 bytes of zeros have the CRC-32C 0x8a9136aa.
  crc = 0x8A9136AA
  masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
  assert cell_records.checksum(bytes(32)) == masked


@pytest.mark.parametrize(('change', 'message'), [
    (lambda data: data[:-3], 'record 2: the file ends in it'),
    (lambda data: data[:-len(data) // 2 + 5], 'record 2: the file ends in it'),
    (lambda data: data[:-9] + b'?' + data[-8:], 'record 2: its checksum'),
    (lambda data: b'\x01' + data[1:], 'record 1: its length is damaged'),
    (lambda data: data + bytes(12), 'record 3: its length is damaged'),
])
def test_a_damaged_file_is_refused(
    change: object, message: str, tmp_path: pathlib.Path
) -> None:
  path = cell_records.write(tmp_path / 'damaged.tfrecord', _records()[:1] * 2)
  path.write_bytes(change(path.read_bytes()))
  with problems.refuses(message):
    list(read_trainings(path, lambda read: None))


def _changed(place: int, value: object) -> list:
  record = _records()[-1]
  record[place] = value
  return record


def _with_metrics(*evaluations: bytes, parameters: int = 5) -> list:
  return _changed(4, cell_records.metrics(parameters, *evaluations))


_EVALUATION = cell_records.evaluation(108.0, 9.0, 1.0, 0.9, 0.8)


@pytest.mark.parametrize(('record', 'message'), [
    ({'a': 1}, 'is no list of a hash'),
    (_records()[0][:4], 'is no list of a hash'),
    (_changed(0, 7), 'is no list of a hash'),
    (_changed(1, 'many'), "epochs 'many'"),
    (_changed(1, 0), 'epochs 0'),
    (_changed(2, '0110'), 'not upper triangular'),
    (_changed(2, '01200'), 'no square of 0 and 1'),
    (_changed(2, '0120'), 'no square of 0 and 1'),
    (_changed(2, '011000000'), 'leads nowhere'),
    (_changed(2, '0100'), '2 vertices and 4 operations'),
    (_changed(3, 'input,conv9x9,output'), "operations 'input,conv9x9,output'"),
    (_changed(3, 'output'), "operations 'output'"),
    (_changed(4, '?'), 'not base64'),
    (_changed(4, 'CgU='), 'end in a field'),
    (_changed(4, '/////w=='), 'end in a field'),
    (_changed(4, 'Cw=='), 'wire type 3'),
    (_with_metrics(_EVALUATION, _EVALUATION), 'have 2 evaluations'),
    (_with_metrics(*[_EVALUATION] * 3, parameters=0), '0 parameters'),
    (
        _with_metrics(*[cell_records.evaluation(108.0, 9.0, 1.0, 0.9)] * 3),
        'seconds and accuracies are (9.0, 0.9, None)',
    ),
    (
        _with_metrics(
            *[cell_records.evaluation(108.0, 9.0, 1.0, math.nan, 0.8)] * 3
        ),
        'seconds and accuracies are (9.0, nan, 0.8)',
    ),
    (
        _with_metrics(
            *[cell_records.evaluation(108.0, 9.0, 1.0, 0.9, 94.2)] * 3
        ),
        'seconds and accuracies are (9.0, 0.9, 94.2)',
    ),
])
def test_a_wrong_record_is_named(
    record: object, message: str, tmp_path: pathlib.Path
) -> None:
  path = cell_records.write(
      tmp_path / 'wrong.tfrecord', [_records()[0], record]
  )
  with problems.refuses('wrong.tfrecord, record 2: ', message):
    list(read_trainings(path, lambda read: None))


def test_a_record_that_is_no_json_is_named(tmp_path: pathlib.Path) -> None:
  path = tmp_path / 'wrong.tfrecord'
  path.write_bytes(cell_records.framed(b'[1, '))
  with problems.refuses('record 1: Expecting value'):
    list(read_trainings(path, lambda read: None))


def test_a_missing_file_is_named(tmp_path: pathlib.Path) -> None:
  with problems.refuses('none.tfrecord: No such file'):
    list(read_trainings(tmp_path / 'none.tfrecord', lambda read: None))


# The converter.


def test_every_training_of_a_cell_is_kept_in_order(
    arrays: dict[str, np.ndarray]
) -> None:
  cells = len(_cells())
  expected = np.array([
      [_figures(number, repeat) for repeat in range(_REPEATS)]
      for number in range(cells)
  ])
  assert np.array_equal(arrays['parameters'], expected[:, 0, 0])
  for place, name in enumerate(('validation', 'test', 'seconds'), 1):
    assert np.array_equal(arrays[f'{name}_108'], expected[:, :, place])


def test_the_full_file_gives_columns_of_every_schedule(
    tmp_path: pathlib.Path
) -> None:
  path = cell_records.write(tmp_path / 'full.tfrecord', _records((4, 108)))
  table = CellTable(convert(path, lambda read: None))
  default = table.space.default
  assert table.column('val4_2').item(default) == pytest.approx(
      100 * _figures(0, 1)[1]
  )
  assert table.column('seconds108').item(default) == pytest.approx(101)


@pytest.mark.parametrize(('records', 'message'), [
    ([], 'no records'),
    (_records()[:-1], '2 trainings of 108 epochs; allowed are 3'),
    (_records() + _records()[:1], '4 trainings of 108 epochs; allowed are 3'),
    (
        _records() + [[*_records()[0][:1], 4, *_records()[0][2:]]] * _REPEATS,
        f'cell {1:032x}: 0 trainings of 4 epochs',
    ),
    (
        _records() + [[f'{0:032x}', *_records()[1][1:]]],
        f'cell {0:032x}: two of its trainings',
    ),
    (
        _records() + [['again', *_records()[5][1:]]] * _REPEATS,
        'two of its cells are the same',
    ),
])
def test_a_file_that_is_not_complete_is_refused(
    records: list, message: str, tmp_path: pathlib.Path
) -> None:
  path = cell_records.write(tmp_path / 'partial.tfrecord', records)
  with problems.refuses(message):
    convert(path, lambda read: None)


def test_the_program_writes_the_same_table_or_nothing(
    source: pathlib.Path, file: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  output = tmp_path / 'table.npz'
  command = [
      sys.executable, _PROGRAM, f'--source={source}', f'--output={output}'
  ]
  refused = subprocess.run(
      command, capture_output=True, text=True, cwd=tiny.ROOT, check=False
  )
  assert refused.returncode == 2
  assert '82 cells; allowed are official files, with 423,624' in refused.stderr
  assert not list(tmp_path.iterdir())
  done = subprocess.run(
      [*command, '--nocomplete'], capture_output=True, text=True, cwd=tiny.ROOT,
      check=True,
  )
  assert done.stdout.splitlines()[-1] == f'{output}: 82 cells'
  assert output.read_bytes() == file.read_bytes()


# The space.


@pytest.mark.parametrize(('vertices', 'cells'), [(2, 1), (3, 6), (4, 84)])
def test_keys_tell_cells_apart_as_permutations_do(
    vertices: int, cells: int
) -> None:
  forms = {}
  for edges in cell_records.all_graphs(vertices, 9):
    for operations in np.ndindex((3,) * (vertices - 2)):
      form = cell_records.canonical(edges, operations)
      key = _padded(edges, operations, 7).keys().item()
      assert forms.setdefault(form, key) == key
  assert len(forms) == len(set(forms.values())) == cells


@pytest.mark.parametrize(('vertices', 'cells'), [
    (5, 2_441),
    pytest.param(6, 62_010, marks=pytest.mark.long),
    pytest.param(7, 359_082, marks=pytest.mark.long),
])
def test_keys_find_as_many_cells_as_the_benchmark_has(
    vertices: int, cells: int
) -> None:
  edges = cell_records.all_graphs(vertices, 9)
  found = np.zeros(0, np.uint64)
  for operations in np.ndindex((3,) * (vertices - 2)):
    labels = np.tile(operations, (len(edges), 1))
    found = np.union1d(found, Cells(edges, labels).keys())
  assert found.size == cells


def test_the_order_of_vertices_does_not_matter() -> None:
  rng = np.random.default_rng(0)
  space = CellSpace(7)
  architectures = rng.integers(space.option_counts, size=(50, len(space)))
  cells = space.cells(architectures)
  for row in range(len(cells)):
    places = np.array([0, *rng.permutation(np.arange(1, 6)), 6])
    edges = cells.edges[row][np.ix_(places, places)]
    operations = cells.operations[row][places[1:-1] - 1]
    assert Cells(edges[None], operations[None]).keys() == cells.keys()[row]


def test_every_cell_has_an_architecture() -> None:
  space = CellSpace(6)
  for edges, operations in _cells():
    cell = _padded(edges, operations, 6)
    again = space.cells(np.array([space.architecture(cell)]))
    assert np.array_equal(again.edges, cell.edges)
    assert np.array_equal(again.operations, cell.operations)


def test_every_architecture_is_a_cell_of_connected_vertices() -> None:
  space = CellSpace(5)
  architectures = np.array(list(np.ndindex(*space.option_counts)))
  cells = space.cells(architectures)
  there = cells.operations != ABSENT
  assert np.array_equal(there, cells.edges[:, :, 1:-1].any(1))
  assert np.array_equal(there, cells.edges[:, 1:-1].any(2))
  assert cells.edges[:, 0].any(1).all()
  assert cells.edges[:, :, -1].any(1).all()
  assert np.unique(cells.keys()).size == 1 + 6 + 84 + 2_441 + _more_than_nine(5)


def _more_than_nine(vertices: int) -> int:
  """Cells of all edges that there can be, which the benchmark leaves out."""
  assert vertices * (vertices - 1) // 2 == 10
  return 3 ** (vertices - 2)


def test_an_inception_cell_is_made_as_its_layers_say() -> None:
  space = CellSpace(7)
  on = {
      '0->1', '0->2', '0->3', '3->4', '0->5',
      # 1, 2, 4 and 5 lead nowhere else, so that they lead to the output.
  }
  operations = {'operation 1': 1, 'operation 5': 2}
  architecture = [
      operations.get(layer.name, int(layer.name in on))
      for layer in space.layers
  ]
  cell = space.cells(np.array([architecture]))
  assert cell.operations.tolist() == [[1, 0, 0, 0, 2]]
  assert np.argwhere(cell.edges[0]).tolist() == [
      [0, 1], [0, 2], [0, 3], [0, 5], [1, 6], [2, 6], [3, 4], [4, 6], [5, 6]
  ]


def test_prefixes_that_are_dropped_have_too_many_edges_in_the_end() -> None:
  space = CellSpace(5)
  rng = np.random.default_rng(1)
  architectures = rng.integers(space.option_counts, size=(200, len(space)))
  edges = space.cells(architectures).edge_counts
  for length in range(len(space)):
    decided = rng.permutation(len(space))[:length]
    assert (space.fewest_edges(architectures, decided) <= edges).all()


# The table.


def test_isomorphic_cells_have_one_record(file: pathlib.Path) -> None:
  table = load(str(file))
  rng = np.random.default_rng(2)
  known: dict[bytes, set[float]] = {}
  for architecture in rng.integers(table.space.option_counts, size=(300, 7)):
    cell = table.space.cells(architecture[None])
    there = [0, *(np.flatnonzero(cell.operations[0] != ABSENT) + 1), 3]
    form = cell_records.canonical(
        cell.edges[0][np.ix_(there, there)],
        cell.operations[0][np.array(there[1:-1], int) - 1].tolist(),
    )
    params = table.column('params').item(tuple(architecture.tolist()))
    known.setdefault(form, set()).add(params)
  by_form = {
      cell_records.canonical(edges, operations): _figures(number, 0)[0]
      for number, (edges, operations) in enumerate(_cells())
  }
  for form, params in known.items():
    assert params == {by_form.get(form, NO_CELL)}
  assert 40 < len(known.keys() & by_form.keys()) < len(known)


def test_the_optimum_is_that_of_the_cells(file: pathlib.Path) -> None:
  table = load(str(file))
  limit = 1300
  best = max(
      100 * np.mean([_figures(number, repeat)[2] for repeat in range(_REPEATS)])
      for number in range(len(_cells())) if _figures(number, 0)[0] <= limit
  )
  target = TargetInterval(high=limit)
  assert table.survey('params', target, ['test108'], 1).optimum == (
      pytest.approx(best)
  )
  assert table.survey('params', target, ['test108'], 1).feasible is None
  for low, feasible in ((1, 0), (NO_CELL, None)):
    none = TargetInterval(low, low)
    assert table.survey('params', none, ['test108'], 1) == Survey(feasible)


def test_costs_lie_in_the_intervals_of_their_prefixes(
    file: pathlib.Path
) -> None:
  table = load(str(file))
  cost = table.cost('params')
  every = np.array(list(np.ndindex(*table.space.option_counts)))
  costs = cost.costs(every)
  assert costs.max() == NO_CELL
  for row in np.random.default_rng(3).integers(len(every), size=20):
    architecture = tuple(every[row].tolist())
    assert cost.cost(architecture) == costs[row]
    for length in range(len(table.space) + 1):
      low, high = cost.interval(architecture, range(length))
      same = (every[:, :length] == every[row, :length]).all(1)
      assert low <= costs[same].min()
      assert costs[same].max() <= high


def test_a_prefix_with_too_many_edges_is_dropped(file: pathlib.Path) -> None:
  table = load(str(file))
  cost, names = table.cost('params'), [one.name for one in table.space.layers]
  assert names == [
      '0->1', 'operation 1', '0->2', '1->2', 'operation 2', '0->output',
      '1->output',
  ]
  prefix = np.array([(1, 0, 1, 1, 0, 1, 0)])
  assert table.max_edges == 5
  priced = cost.child_costs(prefix, range(6), 6)
  assert priced.low[0, 0] < NO_CELL == priced.low[0, 1]
  # Before the last layer, too.
  priced = cost.child_costs(np.array([(1, 0, 1, 1, 0, 0, 1)]), range(5), 5)
  assert priced.low[0, 0] < NO_CELL
  priced = cost.child_costs(prefix, (0, 1, 2, 3, 6), 5)
  assert priced.low[0, 1] < NO_CELL
  priced = cost.child_costs(np.array([(1, 0, 1, 1, 0, 0, 1)]), (0, 2, 3, 6), 5)
  assert priced.low[0].tolist() == [cost.interval((0,) * 7, ())[0], NO_CELL]


def test_an_architecture_without_a_cell_fails_and_is_not_charged(
    file: pathlib.Path
) -> None:
  benchmark = _benchmark(file)
  evaluate = TableEvaluator(benchmark, 0)
  full = (1, 0, 1, 1, 0, 1, 1)
  cost = benchmark.problem.cost.cost(full)
  assert cost not in benchmark.problem.target
  failed = evaluate(Candidate(0, 1, full, cost, 0))
  assert (failed.status, failed.reward, failed.seconds) == ('failed', None, 0)
  assert failed.message == 'the table has no such network'
  cell = evaluate(Candidate(1, 1, (0, *full[1:]), 1, 0))
  assert cell.seconds > 100


def test_queries_take_the_trainings_of_a_cell_in_turn(
    file: pathlib.Path
) -> None:
  benchmark = _benchmark(file)
  default = benchmark.problem.space.default
  for seed in range(3):
    evaluate = TableEvaluator(benchmark, seed)
    given = [
        evaluate(Candidate(number, 1, default, 1, number)).reward
        for number in range(4)
    ]
    assert given == pytest.approx([
        100 * _figures(0, (seed + number) % 3)[1] for number in range(4)
    ])
    assert benchmark.reported(default, seed) == pytest.approx(
        100 * _figures(0, 1)[2]
    )


def test_children_are_priced_as_whole_networks(file: pathlib.Path) -> None:
  cost = load(str(file)).cost('params')
  prefixes = np.array([cost.space.default])
  priced = cost.child_costs(prefixes, range(4), 4)
  for option in range(cost.space.option_counts[4]):
    child = (0, 0, 0, 0, option, 0, 0)
    assert priced.cost[0, option] == cost.cost(child)
    assert (priced.low[0, option], priced.high[0, option]) == (
        cost.interval(child, range(5))
    )


@pytest.mark.parametrize(('change', 'message'), [
    (lambda arrays: {}, 'edges'),
    (lambda arrays: arrays | {'edges': arrays['edges'][:0]}, '0 cells'),
    (
        lambda arrays: arrays | {'parameters': arrays['parameters'] + NO_CELL},
        'not less than 50,000,000',
    ),
    (
        lambda arrays: {
            name: np.concatenate([array, array])
            for name, array in arrays.items()
        },
        'two of its cells are the same',
    ),
])
def test_another_archive_is_refused(
    change: object, message: str, arrays: dict[str, np.ndarray],
    tmp_path: pathlib.Path,
) -> None:
  path = tmp_path / 'other.npz'
  path.write_bytes(archive(change(arrays)))
  with problems.refuses('table.settings.file: ', message):
    load(str(path))


@pytest.mark.parametrize('data', [b'', b'PK\x03\x04', b'a,b\n1,2\n'])
def test_what_is_no_archive_is_refused(
    data: bytes, tmp_path: pathlib.Path
) -> None:
  path = tmp_path / 'other.npz'
  path.write_bytes(data)
  with problems.refuses('tools/convert_nasbench101.py wrote'):
    load(str(path))


# The study.


def test_without_the_table_one_line_says_how_to_make_it() -> None:
  config = study.get_config()
  with pytest.raises(UserError) as refused:
    make_benchmark('nasbench101', config.benchmarks.nasbench101)
  message = str(refused.value)
  assert '\n' not in message
  for word in (
      'benchmarks.nasbench101: table.settings.file', "'nasbench101.npz'",
      'no such file', 'tools/convert_nasbench101.py',
      'nasbench_only108.tfrecord', 'docs/nats_bench_files.md',
  ):
    assert word in message


def test_a_study_over_made_cells(
    file: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  config = study.get_config('smoke')
  config.workers = 1
  config.seeds = 2
  config.accountings = ('every_query',)
  config.benchmarks.nasbench101.table.settings.file = str(file)
  run_study(config, str(tmp_path))
  summary = json.loads((tmp_path / 'summary.json').read_text())
  described = summary['benchmarks']['nasbench101']
  best = max(
      100 * np.mean([_figures(number, repeat)[2] for repeat in range(_REPEATS)])
      for number in range(len(_cells()))
  )
  assert described['optimum'] == pytest.approx(best)
  runs = [
      json.loads(line)
      for line in (tmp_path / 'runs.jsonl').read_text().splitlines()
  ]
  assert {run['method'] for run in runs} == set(config.methods)
  for run in runs:
    # From the default network nothing is asked for that is no cell.
    assert run['failed'] == 0 or run['method'] == 'layernas_recentred'
    assert run['reported'] <= best + 1e-9
    assert run['answer']['cost'] < NO_CELL
