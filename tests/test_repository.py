"""Promises about the tree itself: imports, the wheel, the examples."""

import ast
import collections
import functools
import graphlib
import json
import pathlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from examples.own_space import space
from tests import tiny

_BASE = {
    'activity', 'errors', 'termination', 'lookup', 'paths', 'plain',
    'installation', 'cores',
}

# Part of the package -> the parts that it may import, at the top of a module or
# within a function. docs/architecture.md says what is in them.
_PARTS = {
    'layernas': set(),
    'activity': set(),
    'errors': set(),
    'termination': {'errors'},
    'lookup': {'errors'},
    'paths': {'errors'},
    'plain': {'errors'},
    'installation': set(),
    'cores': set(),
    'command': {'layernas', 'installation'},
    'search': _BASE,
    'native': _BASE,
    'data': _BASE,
    'storage': {*_BASE, 'search'},
    'networks': {*_BASE, 'search', 'storage'},
    'models': {*_BASE, 'native', 'networks'},
    'training': {*_BASE, 'data', 'models', 'native', 'networks', 'storage'},
    'export': {
        *_BASE, 'data', 'models', 'networks', 'storage', 'training',
    },
    'executors': {*_BASE, 'search', 'storage'},
    'reports': {*_BASE, 'layernas', 'networks', 'search', 'storage'},
    'study.methods': {*_BASE, 'search'},
    'study.tables': {*_BASE, 'search', 'storage'},
    'study': {
        *_BASE, 'layernas', 'reports', 'search', 'storage', 'study.methods',
        'study.tables',
    },
    'runs': {
        *_BASE, 'layernas', 'data', 'executors', 'export', 'models',
        'networks', 'reports', 'search', 'storage', 'training',
    },
    'integrations': {*_BASE, 'networks', 'runs', 'search', 'storage'},
    'latency': {
        *_BASE, 'layernas', 'data', 'export', 'models', 'networks', 'reports',
        'runs', 'search', 'storage', 'training',
    },
}

_TRAINING = {'jax', 'jaxlib', 'flax', 'optax', 'orbax', 'tensorflow',
             'tensorflow_datasets'}

# Part -> packages that it never imports.
_NEVER = {
    'networks': _TRAINING,
    'study.methods': _TRAINING,
    'study.tables': _TRAINING,
    'study': _TRAINING,
    'executors': _TRAINING,
    'data': {'jax', 'jaxlib', 'flax'},
}


class _Import(NamedTuple):
  name: str
  lazy: bool


def _module(path: pathlib.Path) -> str:
  parts = path.relative_to(tiny.ROOT).with_suffix('').parts
  return '.'.join(parts).removesuffix('.__init__')


_SOURCES = {
    _module(path): path for path in (tiny.ROOT / 'layernas').rglob('*.py')
}


def _part(module: str) -> str:
  _, *parts = module.split('.')
  inner = '.'.join(parts[:2])
  return inner if inner in _PARTS else ''.join(parts[:1]) or 'layernas'


def _walk(node: ast.AST, lazy: bool = False) -> Iterator[_Import]:
  """What a syntax tree imports, modules where they are named as such."""
  for child in ast.iter_child_nodes(node):
    if isinstance(child, ast.ImportFrom):
      for alias in child.names:
        inner = f'{child.module}.{alias.name}'
        yield _Import(inner if inner in _SOURCES else child.module, lazy)
    elif isinstance(child, ast.Import):
      yield from (_Import(alias.name, lazy) for alias in child.names)
    elif isinstance(child, ast.If) and ast.unparse(child.test) == (
        'TYPE_CHECKING'
    ):
      continue
    else:
      function = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
      yield from _walk(child, lazy or isinstance(child, function))


@functools.cache
def _imports() -> Mapping[str, frozenset[_Import]]:
  """Imports of every module of the package, its own name left out."""
  return {
      module: frozenset(
          each for each in _walk(ast.parse(path.read_text()))
          if each.name != module
      )
      for module, path in _SOURCES.items()
  }


def _packages(modules: Mapping[str, Iterable[_Import]]) -> set[str]:
  """Packages of others that these modules import."""
  names = {each.name.partition('.')[0] for found in modules.values()
           for each in found}
  return names - set(sys.stdlib_module_names) - {'layernas'}


@pytest.mark.parametrize('part', sorted({_part(name) for name in _SOURCES}))
def test_parts_import_what_lies_below_them(part: str) -> None:
  found = {module: names for module, names in _imports().items()
           if _part(module) == part}
  parts = {_part(each.name): module for module, names in found.items()
           for each in names if each.name in _SOURCES}
  parts.pop(part, None)
  wrong = {other: module for other, module in parts.items()
           if other not in _PARTS[part]}
  assert not wrong
  assert not _packages(found) & _NEVER.get(part, set())


def test_no_circle_between_rooms_or_modules() -> None:
  modules = {
      module: {each.name for each in names if each.name in _SOURCES}
      for module, names in _imports().items()
  }
  parts = collections.defaultdict(set)
  for module, names in modules.items():
    parts[_part(module)] |= {_part(name) for name in names} - {_part(module)}
  for graph in (modules, parts):
    # Raises a CycleError that names the circle.
    assert list(graphlib.TopologicalSorter(graph).static_order())


def test_the_search_half_needs_nothing_but_numpy() -> None:
  found = {module: names for module, names in _imports().items()
           if _part(module) in ('search', *_BASE)}
  needed = {module: [each for each in names if not each.lazy]
            for module, names in found.items()}
  assert _packages(needed) == {'numpy'}
  # Limits the threads of linear algebra where it is installed.
  assert _packages(found) == {'numpy', 'threadpoolctl'}


def test_training_reaches_nothing_of_the_search() -> None:
  """A network is trained without knowing which search asks for it."""
  reached = set()
  waiting = [name for name in _SOURCES if _part(name) == 'training']
  while waiting:
    module = waiting.pop()
    if module in _SOURCES and module not in reached:
      reached.add(module)
      waiting += [each.name for each in _imports()[module] if not each.lazy]
  assert not {name for name in reached if _part(name) == 'search'}


def test_the_wheel_holds_every_file_of_the_package() -> None:
  """Modules lie in packages; every other file is declared as data of one."""
  project = tomllib.loads((tiny.ROOT / 'pyproject.toml').read_text())
  declared = set()
  for package, patterns in (
      project['tool']['setuptools']['package-data'].items()
  ):
    folder = tiny.ROOT / package.replace('.', '/')
    assert (folder / '__init__.py').exists()
    for pattern in patterns:
      assert list(folder.glob(pattern)), pattern
      declared |= set(folder.glob(pattern))
  setuptools = project['tool']['setuptools']
  packages = set()
  for name in setuptools['packages']:
    path = name
    for package, folder in setuptools['package-dir'].items():
      if f'{name}.'.startswith(f'{package}.'):
        path = folder + name.removeprefix(package)
    packages.add(tiny.ROOT / path.replace('.', '/'))
  for folder in ('configs', 'experiments'):
    assert {
        path.parent for path in (tiny.ROOT / folder).rglob('*.py')
    } <= packages
  for path in (tiny.ROOT / 'layernas').rglob('*'):
    if path.suffix == '.py':
      assert (path.parent / '__init__.py').exists(), path
      assert path.parent in packages
    elif path.is_file() and '__pycache__' not in path.parts:
      assert path in declared


def test_extras_have_names_that_every_pip_finds() -> None:
  """pip 23 does not find an underscore that the metadata writes as a dash."""
  project = tomllib.loads((tiny.ROOT / 'pyproject.toml').read_text())
  for name in project['project']['optional-dependencies']:
    assert re.fullmatch('[a-z0-9]+(-[a-z0-9]+)*', name)


def _pinned(name: str) -> dict[str, Version]:
  """Versions of a file of requirements, by the names that pip compares."""
  lines = (tiny.ROOT / name).read_text().splitlines()
  found = [
      Requirement(line.partition(' #')[0]) for line in lines
      if line and not line.startswith(('#', '-r'))
  ]
  for one in found:
    assert re.fullmatch('==[^*]+', str(one.specifier)), one
  return {
      canonicalize_name(one.name): Version(str(one.specifier)[2:])
      for one in found
  }


# Extras whose packages no test installs for their size, and those of JAX.
_NOT_INSTALLED = {'opponents', 'surrogate', 'cuda12', 'cuda13', 'tpu'}


def test_installed_versions_are_those_that_the_package_allows() -> None:
  """Every dependency and extra is pinned, and every pin is wanted."""
  project = tomllib.loads((tiny.ROOT / 'pyproject.toml').read_text())['project']
  extras = {
      name: requirements
      for name, requirements in project['optional-dependencies'].items()
      if name not in _NOT_INSTALLED
  }
  base, tests = map(_pinned, ('requirements.txt', 'tests/requirements.txt'))
  assert not base.keys() & tests.keys()
  named = set()
  for extra, requirements in {'': project['dependencies'], **extras}.items():
    for requirement in map(Requirement, requirements):
      name = canonicalize_name(requirement.name)
      named.add(name)
      # orbax brings it, with what the extra epath takes.
      if name != 'etils':
        pins = base | tests if extra else base
        assert requirement.specifier.contains(pins[name]), (extra, requirement)
  assert (base | tests).keys() == named - {'etils'}


def test_requirements_of_the_tests_begin_with_those_of_the_package() -> None:
  lines = (tiny.ROOT / 'tests/requirements.txt').read_text().splitlines()
  first = next(line for line in lines if line and not line.startswith('#'))
  assert first == '-r ../requirements.txt'


def test_messages_name_packages_that_a_checkout_can_install() -> None:
  """An extra of a package that is not on an index installs nothing."""
  for path in (tiny.ROOT / 'layernas').rglob('*.py'):
    assert 'layernas[' not in path.read_text(), path


def test_building_a_wheel_leaves_no_untracked_files() -> None:
  done = subprocess.run(
      ['git', 'check-ignore', 'build/lib', 'layernas.egg-info/x', 'dist/x'],
      cwd=tiny.ROOT, capture_output=True, text=True,
  )
  assert len(done.stdout.splitlines()) == 3


def test_the_example_is_short_and_a_whole_space() -> None:
  lines = (tiny.ROOT / 'examples' / 'own_space.py').read_text().splitlines()
  assert len(lines) <= 40
  assert space().search_space.size == 12


@pytest.mark.long
def test_the_example_is_searched(tmp_path: pathlib.Path) -> None:
  done = tiny.run_program(
      'search', '--config=configs/cifar10_small.py:smoke',
      '--config.space=examples.own_space:space', '--config.target.high=2e5',
      f'--workdir={tmp_path}',
  )
  assert done.returncode == 0, done.stderr
  result = json.loads((tmp_path / 'result.json').read_text())
  assert result['winner']['cost'] <= 2e5
