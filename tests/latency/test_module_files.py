"""Modules as files for another machine, and what comes back from it."""

import csv
import json
import pathlib

import pytest

from layernas.latency.frames import framed
from layernas.latency.module_files import MANIFEST
from layernas.latency.module_files import read_latency
from layernas.latency.module_files import write_modules
from layernas.latency.run_latency import subject_of
from layernas.networks.latency import read_latency_table
from layernas.networks.latency import space_modules
from layernas.runs.setup import make_problem
from layernas.search.space import architecture_id
from tests import tiny
from tests.search import problems

_MODULES = space_modules(tiny.space(), 16, 10)
_PROGRAMS = framed(_MODULES)


def _config(**changes: object) -> object:
  config = tiny.get_config()
  with config.unlocked():
    config.update_from_flattened_dict({
        'latency.networks': 4, 'latency.runtime': 'onnxruntime', **changes,
    })
  return config


def _manifest(config: object) -> list[dict[str, str]]:
  """Rows as `write_modules` lists them, without its files."""
  names = [one.name for one in _PROGRAMS] + [
      f'network {architecture_id(one)}' for one in subject_of(config).drawn
  ]
  return [
      {'file': f'{i}.onnx', 'name': name, 'input': '', 'milliseconds': ''}
      for i, name in enumerate(names)
  ]


def _fill(rows: list[dict[str, str]]) -> None:
  """Frames take 1 ms, module number i i + 1 ms more, networks 50."""
  signatures = [one.signature for one in _MODULES]
  for row in rows:
    time = 1.0 if row['name'].startswith('frame') else 50.0
    if row['name'] in signatures:
      # The stem has no frame.
      time = signatures.index(row['name']) + 2.0
    row['milliseconds'] = str(time)


def _save(path: pathlib.Path, rows: list[dict[str, str]]) -> pathlib.Path:
  with open(path, 'w') as file:
    writer = csv.DictWriter(file, rows[0])
    writer.writeheader()
    writer.writerows(rows)
  return path


def _rows(path: pathlib.Path) -> list[dict[str, str]]:
  with open(path) as file:
    return list(csv.DictReader(file))


@pytest.mark.long
def test_files_go_out_and_a_table_comes_back(tmp_path: pathlib.Path) -> None:
  pytest.importorskip('onnx')
  onnxruntime = pytest.importorskip('onnxruntime')
  config = _config()
  path = write_modules(config, tmp_path / 'files')
  rows = _rows(path)
  assert [row['name'] for row in rows] == [
      row['name'] for row in _manifest(config)
  ]
  for row in rows:
    session = onnxruntime.InferenceSession(tmp_path / 'files' / row['file'])
    [given] = session.get_inputs()
    assert row['input'] == 'x'.join(['1', *map(str, given.shape[1:])])
    assert not row['milliseconds']
  _fill(rows)
  read_latency(config, _save(path, rows), tmp_path / 'run')
  table = read_latency_table(tmp_path / 'run' / 'latency.csv').rows
  expected = [i + 1.0 for i in range(len(_MODULES))]
  expected[0] = 2.0
  assert list(table.values()) == expected
  result = json.loads((tmp_path / 'run' / 'latency.json').read_text())
  assert result['device'] == {'results': str(path)}
  assert len(result['points']) == 4
  assert (tmp_path / 'run' / 'latency.png').exists()
  priced = _config(**{
      'cost.metric': 'latency',
      'cost.latency_table': str(tmp_path / 'run' / 'latency.csv'),
  })
  cost = make_problem(priced, tiny.space(), 16, 10).cost
  for point in result['points']:
    architecture = tuple(map(int, point['architecture'].split('-')))
    assert point['predicted'] == pytest.approx(cost.cost(architecture))


@pytest.mark.long
def test_tflite_files_are_for_the_benchmark_tool(
    tmp_path: pathlib.Path,
) -> None:
  pytest.importorskip('litert_converter')
  interpreter = pytest.importorskip('ai_edge_litert.interpreter')
  config = _config(**{
      'latency.runtime': 'litert', 'latency.networks': 2,
      'latency.batch_size': 3,
  })
  rows = _rows(write_modules(config, tmp_path))
  one = interpreter.Interpreter(str(tmp_path / rows[2]['file']))
  [given] = one.get_input_details()
  assert 'x'.join(map(str, given['shape'])) == rows[2]['input']


@pytest.mark.long
def test_networks_need_not_be_measured(tmp_path: pathlib.Path) -> None:
  config = _config()
  rows = _manifest(config)
  _fill(rows)
  for row in rows[-3:]:
    row['milliseconds'] = ''
  read_latency(config, _save(tmp_path / 'a.csv', rows), tmp_path / 'run')
  assert len(read_latency_table(tmp_path / 'run' / 'latency.csv').rows) == (
      len(_MODULES)
  )
  assert not (tmp_path / 'run' / 'latency.json').exists()


def test_files_may_name_the_rows(tmp_path: pathlib.Path) -> None:
  config = _config()
  rows = _manifest(config)
  _save(tmp_path / MANIFEST, rows)
  _fill(rows)
  short = [
      {'milliseconds': row['milliseconds'], 'file': row['file']} for row in rows
  ]
  read_latency(config, _save(tmp_path / 'a.csv', short), tmp_path / 'run')
  assert (tmp_path / 'run' / 'latency.json').exists()


def test_a_module_no_slower_than_its_frame_is_told(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
  config = _config()
  rows = _manifest(config)
  _fill(rows)
  rows[2]['milliseconds'] = '0.5'
  read_latency(config, _save(tmp_path / 'a.csv', rows), tmp_path / 'run')
  said = ' '.join(capsys.readouterr().out.split())
  assert '1 modules seem no slower' in said
  table = read_latency_table(tmp_path / 'run' / 'latency.csv').rows
  assert table[_PROGRAMS[2].name] == 0


@pytest.mark.parametrize(('change', 'parts'), [
    (lambda rows: rows.pop(2), ('1 of 13 modules', _PROGRAMS[2].name)),
    (
        lambda rows: [row.update(milliseconds='') for row in rows[4:6]],
        ('2 of 13 modules', _PROGRAMS[4].name),
    ),
    (lambda rows: rows.append(rows[1]), ('line 19', 'line 3 already')),
    (lambda rows: rows[1].update(milliseconds='0'), ('line 3', "'0'")),
    (lambda rows: rows[1].update(milliseconds='-2'), ('line 3', "'-2'")),
    (lambda rows: rows[1].update(milliseconds='nan'), ('line 3', "'nan'")),
    (lambda rows: rows[1].update(milliseconds='2 ms'), ('line 3', "'2 ms'")),
    (lambda rows: rows[1].update(name='frame x'), ('line 3', "'frame x'")),
])
def test_what_came_back_wrong_is_told(
    tmp_path: pathlib.Path, change: object, parts: tuple[str, ...]
) -> None:
  config = _config()
  rows = _manifest(config)
  _fill(rows)
  change(rows)
  path = _save(tmp_path / 'a.csv', rows)
  with problems.refuses(f'file {path}', *parts, 'allowed'):
    read_latency(config, path, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(('changes', 'parts'), [
    ({'latency.runtime': 'xla'}, ('latency.runtime', 'onnxruntime')),
    ({'latency.whole_networks': True}, ('space', 'whole networks')),
])
def test_what_cannot_be_written_is_told(
    tmp_path: pathlib.Path, changes: dict[str, object], parts: tuple[str, ...]
) -> None:
  with problems.refuses(*parts, 'allowed'):
    write_modules(_config(**changes), tmp_path / 'files')
  assert not (tmp_path / 'files').exists()


@pytest.mark.parametrize(('flags', 'part'), [
    (['--read={}/a', '--write_modules={}/b'], 'flag --write_modules'),
    (['--runtime=abacus', '--workdir={}/a'], "latency.runtime: 'abacus'"),
    (['--read={}/nothing.csv', '--workdir={}/a'], 'nothing.csv'),
])
@pytest.mark.long
def test_the_program_refuses_in_one_line(
    tmp_path: pathlib.Path, flags: list[str], part: str
) -> None:
  flags = [flag.format(tmp_path) for flag in flags]
  done = tiny.run_program('latency', '--config=tests/tiny.py', *flags)
  assert done.returncode == 2, done.stderr
  assert part in done.stderr
  assert done.stderr.count('\n') == 1
