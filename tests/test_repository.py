"""Promises about the tree itself."""

import ast
import json
import pathlib
import re
import statistics
import subprocess

from examples.own_space import space
from tests import tiny

_SOURCES = sorted((tiny.ROOT / 'layernas').rglob('*.py'))
_HEAVY = ('jax', 'flax', 'optax', 'orbax', 'tensorflow', 'layernas.models',
          'layernas.data', 'layernas.training')
_RESULTS = tiny.ROOT / 'docs' / 'results' / 'cifar10_small'


def _imports(path: pathlib.Path) -> set[str]:
  names = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.ImportFrom) and node.module:
      names.add(node.module)
    elif isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
  return names


def test_files_are_small() -> None:
  lengths = [len(path.read_text().splitlines()) for path in _SOURCES]
  assert statistics.median(lengths) < 150
  assert max(lengths) <= 350


def test_rooms_import_what_the_architecture_says() -> None:
  forbidden = {
      'search': ('jax', 'flax', 'optax', 'orbax', 'layernas.networks',
                 'layernas.models', 'layernas.data', 'layernas.training',
                 'layernas.experiment'),
      'baselines': (*_HEAVY, 'layernas.networks', 'layernas.benchmarks',
                    'layernas.experiment', 'layernas.study'),
      'benchmarks': (*_HEAVY, 'layernas.networks', 'layernas.baselines',
                     'layernas.experiment', 'layernas.study'),
      'study': _HEAVY,
      'executors': (*_HEAVY, 'layernas.networks', 'layernas.experiment',
                    'layernas.study', 'layernas.baselines'),
      'experiment': ('layernas.baselines', 'layernas.benchmarks',
                     'layernas.study'),
      'networks': ('jax', 'flax', 'layernas.models', 'layernas.training',
                   'layernas.experiment'),
      'models': ('layernas.search', 'layernas.training', 'layernas.data',
                 'layernas.experiment'),
      'data': ('jax', 'layernas.search', 'layernas.networks',
               'layernas.models', 'layernas.training'),
      'training': ('layernas.search', 'layernas.networks.space',
                   'layernas.experiment'),
  }
  for path in _SOURCES:
    room = path.relative_to(tiny.ROOT / 'layernas').parts[0]
    for name in _imports(path):
      for other in forbidden.get(room, ()):
        assert not f'{name}.'.startswith(f'{other}.'), path


def test_every_source_module_has_a_test_module() -> None:
  tests = {path.name for path in (tiny.ROOT / 'tests').rglob('test_*.py')}
  # Exceptions and interfaces, which do nothing.
  exempt = {'errors', '__init__', 'connection', 'executor'}
  missing = [
      path.name for path in _SOURCES
      if path.stem not in exempt and f'test_{path.name}' not in tests
  ]
  assert not missing


def test_readme_numbers_are_those_of_the_stored_result() -> None:
  readme = (tiny.ROOT / 'README.md').read_text()
  final = json.loads((_RESULTS / 'final.json').read_text())
  for row in final['networks']:
    assert row['mean'] == statistics.fmean(row['accuracies'])
    cells = [
        f'{row["madds"]:,}', f'{row["params"]:,}', f'{100 * row["mean"]:.2f}',
        *(f'{100 * accuracy:.2f}' for accuracy in row['accuracies']),
    ]
    pattern = r'.*'.join(map(re.escape, cells))
    assert re.search(pattern, readme), cells
  result = json.loads((_RESULTS / 'result.json').read_text())
  assert f'`{result["winner"]["architecture"]}`' in readme


def test_readme_commands_name_what_exists() -> None:
  readme = (tiny.ROOT / 'README.md').read_text()
  assert './launch.sh test' in readme
  for path in re.findall(
      r'(?:experiments|configs|docs|examples)/[\w/.]+\.\w+', readme
  ):
    assert (tiny.ROOT / path).exists(), path
  for program in re.findall(r'python (experiments/\w+\.py)', readme):
    done = subprocess.run(
        [tiny.command('search')[0], program, '--help'], cwd=tiny.ROOT,
        capture_output=True, text=True, check=False,
    )
    assert '--config' in done.stdout


def test_example_is_short_and_a_whole_space() -> None:
  lines = (tiny.ROOT / 'examples' / 'own_space.py').read_text().splitlines()
  assert len(lines) <= 40
  assert space().search_space.size == 12


def test_example_is_searched(tmp_path: pathlib.Path) -> None:
  done = tiny.run_program(
      'search', '--config=configs/cifar10_small.py:smoke',
      '--config.space=examples.own_space:space', '--config.target.high=2e5',
      f'--workdir={tmp_path}',
  )
  assert done.returncode == 0, done.stderr
  result = json.loads((tmp_path / 'result.json').read_text())
  assert result['winner']['cost'] <= 2e5
