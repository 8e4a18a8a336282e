"""Files and folders of the repository as pages in Markdown."""

import ast
import base64
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
"""The repository."""

_LANGUAGES = {
    '.cc': 'cpp', '.csv': '', '.h': 'cpp', '.ipynb': 'json', '.json': 'json',
    '.md': 'markdown', '.py': 'python', '.sh': 'bash', '.toml': 'toml',
    '.txt': '', '.yml': 'yaml',
}
_ITEM = re.compile(r'(?:[-*]|\d+\.) ')
_HEAD = '---\ntitle: {}\nsearch: {{exclude: true}}\n---\n\n# {}\n\n'


def is_text(path: str) -> bool:
  """Whether a file is shown on a page of its own."""
  return pathlib.PurePath(path).suffix in _LANGUAGES


def source(path: str) -> str:
  """A page with the text of a file.

  Args:
    path: from the repository's root.

  Returns:
    Markdown.
  """
  language = _LANGUAGES[pathlib.PurePath(path).suffix]
  text = (ROOT / path).read_text('utf-8').rstrip()
  return _HEAD.format(path, path) + _fenced(text, language)


def listing(path: str) -> str:
  """A page with the files below a folder.

  Args:
    path: from the repository's root.

  Returns:
    Markdown; its links are relative to the folder.
  """
  rows = ['| file | what it is |\n', '|---|---|\n']
  for file in sorted((ROOT / path).rglob('*')):
    name = file.relative_to(ROOT / path).as_posix()
    if file.is_file() and '__pycache__' not in name and name[0] != '.':
      rows.append(f'| [{name}]({name}) | {_described(file)} |\n')
  return _HEAD.format(path, path) + ''.join(rows)


def with_lists(text: str) -> str:
  """Lists as Python's Markdown wants them, which GitHub's reads as well.

  Args:
    text: Markdown in which an item may follow a line of text, and what belongs
      to an item is indented by two spaces.

  Returns:
    The text with a blank line in front of such an item, and four spaces.
  """
  lines: list[str] = []
  before, is_code, in_list, has_parts = '', False, False, False
  for line in text.split('\n'):
    if line.startswith('```'):
      is_code = not is_code
    elif not is_code and _ITEM.match(line):
      if before.strip() and (has_parts or not in_list):
        lines.append('')
      in_list, has_parts = True, False
    elif not is_code and in_list:
      has_parts |= not line
      if line.startswith('  '):
        line = f'  {line}'  # noqa: PLW2901
      in_list = bool(before.strip()) or not line.strip() or line[0] == ' '
    lines.append(line)
    before = line
  return '\n'.join(lines)


def notebook(path: str) -> str:
  """A page with the cells of a notebook and what they put out.

  Args:
    path: from the repository's root.

  Returns:
    Markdown.
  """
  cells = json.loads((ROOT / path).read_text('utf-8'))['cells']
  parts = [part for cell in cells for part in _cell(cell)]
  return '\n\n'.join([*parts, f'The notebook itself: `{path}`.', ''])


def _cell(cell: dict[str, Any]) -> Iterator[str]:
  text = ''.join(cell['source'])
  if cell['cell_type'] != 'code':
    yield text
    return
  yield _fenced(text, 'python')
  for output in cell['outputs']:
    data = output.get('data', {})
    if 'image/png' in data:
      yield f'![what the cell draws](data:image/png;base64,{_base64(data)})'
    elif shown := ''.join(output.get('text', data.get('text/plain', ''))):
      yield _fenced(shown.rstrip(), 'text')


def _base64(data: dict[str, Any]) -> str:
  """The picture of an output, checked and without its line ends."""
  picture = base64.b64decode(''.join(data['image/png']))
  return base64.b64encode(picture).decode()


def _fenced(text: str, language: str) -> str:
  """A code block; its fence is longer than any in the text."""
  fence = '```'
  while fence in text:
    fence += '`'
  return f'{fence}{language}\n{text}\n{fence}\n'


def _described(file: pathlib.Path) -> str:
  """First line of a module's docstring; of other files the size."""
  if file.suffix == '.py':
    text = ast.get_docstring(ast.parse(file.read_text('utf-8'))) or ''
    return text.partition('\n')[0]
  return f'{file.stat().st_size:,} bytes'
