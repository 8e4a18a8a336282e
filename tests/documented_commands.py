"""The commands of README, docs and docstrings, as their readers type them.

Of a Markdown file those are the code blocks that are neither Python nor `text`,
which is what a program prints, and every code span that begins with a program;
of a Python file, the indented lines of the module's docstring that begin with
one.
"""

import ast
import re
import subprocess
import textwrap

from tests.tiny import ROOT

_PROGRAM = re.compile(
    r'(\w+=\S* )*(\./launch\.sh|\.venv/bin/|gcloud |pip |python )'
)
"""What a command in the midst of a text begins with."""

_NOT_SHELL = ('python', 'text')


def documents() -> list[str]:
  """Paths of all files with commands, from the root; README first."""
  pages = sorted((ROOT / 'docs').rglob('*.md'))
  programs = [
      path for folder in ('configs', 'examples', 'experiments')
      for path in sorted((ROOT / folder).rglob('*.py'))
  ]
  paths = [
      ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *pages, *programs
  ]
  names = [str(path.relative_to(ROOT)) for path in paths]
  return [name for name in names if blocks_of(name)]


def blocks_of(document: str) -> list[str]:
  """Code blocks and spans of a document, in its order, continuations joined."""
  text = (ROOT / document).read_text()
  return in_docstring(text) if document.endswith('.py') else in_markdown(text)


def commands_of(block: str) -> list[str]:
  """Divides a block into the shortest parts that are whole for a shell.

  Args:
    block: lines of a shell, or flags alone.

  Returns:
    Commands without their comments; a loop of several lines is one, and so are
    all flags.
  """
  lines = [re.sub(r'(^|\s+)#\s.*', '', line) for line in block.splitlines()]
  if block.startswith('--'):
    return [' '.join(lines)]
  commands, begun = [], ''
  for line in lines:
    begun = f'{begun}\n{line}' if begun else line
    if begun and _is_whole(begun):
      commands.append(begun)
      begun = ''
  return [*commands, begun] if begun else commands


def in_markdown(text: str) -> list[str]:
  """Fenced blocks, indented blocks and spans of a Markdown text."""
  pattern = re.compile(
      r'^```(?P<language>\w*)\n(?P<fenced>.*?)^```'
      r'|(?P<indented>(?:^ {4}[^\n]*\n)+)'
      r'|(?<!`)`(?P<span>[^`]+)`(?!`)',
      re.DOTALL | re.MULTILINE,
  )
  blocks = []
  for match in pattern.finditer(text + '\n'):
    span = ' '.join((match['span'] or '').split())
    if match['indented']:
      blocks.append(textwrap.dedent(match['indented']))
    elif match['fenced'] and match['language'] not in _NOT_SHELL:
      blocks.append(match['fenced'])
    elif _PROGRAM.match(span):
      blocks.append(span)
  return [_joined(block).strip() for block in blocks]


def in_docstring(program: str) -> list[str]:
  """Indented blocks of the docstring of a Python module that are commands."""
  text = ast.get_docstring(ast.parse(program)) or ''
  blocks = re.findall(r'(?:^ {2}[^\n]*\n?)+', text, re.MULTILINE)
  return [
      _joined(block) for block in map(textwrap.dedent, blocks)
      if _PROGRAM.match(block)
  ]


def _joined(block: str) -> str:
  """Ends lines where a shell does."""
  lines = re.sub(r'\\\n\s*', '', block).splitlines()
  # Of a docstring that is not raw, Python has joined them already.
  return '\n'.join(
      line[:len(line) - len(line.lstrip())] + ' '.join(line.split())
      for line in lines
  )


def _is_whole(text: str) -> bool:
  return subprocess.run(
      ['bash', '-n', '-c', text], capture_output=True, check=False
  ).returncode == 0
