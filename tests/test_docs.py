"""README, docs and docstrings name links, files and commands that exist."""

import importlib
import pathlib
import re

import pytest

from tests import tiny
from tools.site import sources

_DOCUMENTS = ['README.md', 'CONTRIBUTING.md', *(
    f'docs/{path.name}' for path in sorted((tiny.ROOT / 'docs').glob('*.md'))
)]
_FOLDERS = '|'.join((
    'layernas', 'configs', 'experiments', 'tests', 'docs', 'examples', 'tools'
))
# What is neither in experiments/ nor in tools/.
_COMMANDS = ('test', 'tpu', '--dry-run', '--help')


def _texts() -> dict[str, str]:
  """Documents, and the docstrings of programs and configs, by path."""
  programs = [
      path for folder in ('configs', 'experiments', 'tools', 'examples')
      for path in (tiny.ROOT / folder).rglob('*.py')
  ]
  paths = [*(tiny.ROOT / name for name in _DOCUMENTS), *programs]
  return {
      str(path.relative_to(tiny.ROOT)): path.read_text() for path in paths
  }


@pytest.mark.parametrize('document', _DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
  path = tiny.ROOT / document
  for target in re.findall(r'\]\(([^)]+)\)', path.read_text()):
    if not target.startswith('http'):
      assert (path.parent / target.partition('#')[0]).exists(), target


@pytest.mark.parametrize('document', [*_DOCUMENTS, 'CHANGELOG.md'])
def test_files_that_are_named_exist(document: str) -> None:
  text = (tiny.ROOT / document).read_text()
  # What an entry of the changelog calls moved has gone.
  text = re.sub(r'  \|.*\n', '', text) if document[0] == 'C' else text
  for path in re.findall(
      rf'(?<![\w./-])((?:{_FOLDERS})/[\w./-]+\.(?:py|md|sh|csv|json|png))', text
  ):
    assert (tiny.ROOT / path).exists(), path


@pytest.mark.parametrize('document', sorted(_texts()))
def test_configs_that_are_named_load(document: str) -> None:
  for module, argument in re.findall(
      r'configs/([\w/]+)\.py(?::(\w[\w,]*\w))?', _texts()[document]
  ):
    path = pathlib.Path('configs', f'{module}.py')
    assert (tiny.ROOT / path).exists(), path
    if argument and argument != 'WHAT':
      loaded = importlib.import_module(f'configs.{module.replace("/", ".")}')
      assert loaded.get_config(argument).is_locked


@pytest.mark.parametrize('document', sorted(_texts()))
def test_commands_that_are_named_exist(document: str) -> None:
  programs = {
      path.stem for folder in ('experiments', 'tools')
      for path in (tiny.ROOT / folder).glob('*.py')
  }
  for program in re.findall(r'\./launch\.sh ([\w-]+)', _texts()[document]):
    assert program in (*_COMMANDS, *programs)
  for path in re.findall(r'python (\w+/[\w/]+\.py)', _texts()[document]):
    assert (tiny.ROOT / path).exists(), path


def test_the_launcher_names_every_program() -> None:
  text = (tiny.ROOT / 'launch.sh').read_text()
  for path in (tiny.ROOT / 'experiments').glob('*.py'):
    assert f'\n  {path.stem} ' in text


@pytest.mark.parametrize(('text', 'expected'), [
    # What GitHub reads as a list, Python's Markdown must, too.
    ('Text:\n- a\n  b\n- c\n', 'Text:\n\n- a\n    b\n- c\n'),
    ('- a\n\n  b\n- c\n\nText\n', '- a\n\n    b\n\n- c\n\nText\n'),
    ('1. a\n2. b\n\n    code\n', '1. a\n2. b\n\n      code\n'),
    ('- a\n\nText\n\n    code\n', '- a\n\nText\n\n    code\n'),
    ('```\nyaml:\n- a\n  b\n```\n', '```\nyaml:\n- a\n  b\n```\n'),
])
def test_lists_of_the_site(text: str, expected: str) -> None:
  assert sources.with_lists(text) == expected
