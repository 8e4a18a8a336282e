"""Pages of the documentation site that docs/ does not hold, and links to them.

MkDocs calls this hook, which mkdocs.yml names. README and changelog are pages;
reference.py makes the reference; a link or a code span that names a file or a
folder of the repository leads to a page with its text or its list of files.
"""

import posixpath
import re
from collections.abc import Iterator

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from tools.site import reference
from tools.site import sources
from tools.site.sources import ROOT

NOTEBOOK = 'examples/tutorial.ipynb'
"""The notebook that is a page of its own."""

_MOVED = {
    'README.md': 'index.md',
    'CHANGELOG.md': 'changelog.md',
    NOTEBOOK: 'notebook.md',
}
"""Pages by the files of the repository that they show."""

_NAMED = re.compile(
    r'(?P<fence>^(?P<ticks>```+).*?^(?P=ticks)`*\s*?$)'
    r'|(?P<span>(?<![`\[])`(?P<file>[\w./-]+\.\w+)`(?!`))'
    r'|(?P<before>\]\(|\b(?:src|href)=")(?P<link>[^)"\s]+)',
    re.DOTALL | re.MULTILINE,
)
"""What may name a file: a code span or a link, neither in a fenced block."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
  """Adds the pages; MkDocs's event.

  Args:
    files: of docs/.
    config: of the site.

  Returns:
    The files of the site.
  """
  made = dict(reference.pages())
  made |= {
      page: _text(name) for name, page in _MOVED.items()
      if (ROOT / name).exists()
  }
  made['site.css'] = _text('tools/site/site.css')
  for name, text in made.items():
    files.append(File.generated(config, name, content=text))
  waiting = [
      (_origin(file.src_uri), file.content_string)
      for file in files if file.is_documentation_page()
  ]
  while waiting:
    for path in _named_in(*waiting.pop()):
      name = _page_of(path)
      if files.get_file_from_path(name):
        continue
      content = _content(path)
      files.append(File.generated(config, name, content=content))
      # The files that a folder lists have pages, too.
      if (ROOT / path).is_dir():
        waiting.append((f'{path}/index.md', content))
  return files


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
  """Has links and code spans lead to pages of the site; MkDocs's event.

  Args:
    markdown: text of a page.
    page: in question.
    config: of the site.
    files: of the site.

  Returns:
    The text.
  """
  del config
  source = page.file.src_uri
  origin = _origin(source)
  if source.startswith('reference/'):
    return markdown

  def led(match: re.Match[str]) -> str:
    path = _path(match, origin)
    if path is None:
      return match[0]
    name = _page_of(path)
    if files.get_file_from_path(name) is None:
      return match[0]
    there = posixpath.relpath(name, posixpath.dirname(source) or '.')
    if match['span']:
      return match[0] if name == source else f'[{match[0]}]({there})'
    if match['before'] != '](':
      # MkDocs leaves HTML as it is.
      there = files.get_file_from_path(name).url_relative_to(page.file)
    _, mark, anchor = match['link'].partition('#')
    return f'{match["before"]}{there}{mark}{anchor}'

  return sources.with_lists(_NAMED.sub(led, markdown))


def _origin(page: str) -> str:
  """The path in the repository from which a page's links are read."""
  moved = {page: name for name, page in _MOVED.items()}
  inner = page.removeprefix('source/')
  return moved.get(page, inner if inner != page else f'docs/{page}')


def _page_of(path: str) -> str:
  """Where the site has a file or a folder of the repository."""
  if path in _MOVED:
    return _MOVED[path]
  inner = path.removeprefix('docs/')
  where = inner if inner != path else f'source/{path}'
  if (ROOT / path).is_dir():
    readme = (ROOT / path / 'README.md').exists() and inner != path
    return f'{where}/{"README" if readme else "index"}.md'
  is_shown = inner == path and sources.is_text(path)
  return f'{where}.md' if is_shown else where


def _named_in(origin: str, text: str) -> Iterator[str]:
  """Files and folders of the repository that a page names."""
  for match in _NAMED.finditer(text):
    path = _path(match, origin)
    if path is not None:
      yield path


def _path(match: re.Match[str], origin: str) -> str | None:
  """The path from the repository's root that a match names, if any."""
  if match['file']:
    # Code spans are read from the root, and name folders that are there.
    path = match['file']
    if '/' not in path or path.startswith('docs/results'):
      return None
  elif match['link']:
    target = match['link'].partition('#')[0]
    if not target or ':' in target:
      return None
    path = posixpath.join(posixpath.dirname(origin), target)
  else:
    return None
  path = posixpath.normpath(path)
  inside = not path.startswith(('..', '/'))
  return path if inside and (ROOT / path).exists() else None


def _text(name: str) -> str:
  if name == NOTEBOOK:
    return sources.notebook(name)
  return (ROOT / name).read_text('utf-8')


def _content(path: str) -> str | bytes:
  """What the page or the file of a path holds."""
  if (ROOT / path).is_dir():
    return sources.listing(path)
  if sources.is_text(path):
    return sources.source(path)
  return (ROOT / path).read_bytes()
