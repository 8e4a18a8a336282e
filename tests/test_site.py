"""The documentation site and the notebook, as their readers have them."""

import html.parser
import importlib
import pathlib
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator

import pytest
from ml_collections import ConfigDict

import layernas
import layernas.search
from configs import default
from configs.study import default as study
from tests import tiny

pytestmark = pytest.mark.long

_LOADED = {
    'audio': 'src', 'iframe': 'src', 'img': 'src', 'link': 'href',
    'script': 'src', 'source': 'src', 'video': 'src',
}
"""Attributes of elements that a browser fetches with a page."""


class _Html(html.parser.HTMLParser):
  """What a page refers to and can be referred to by.

  Attributes:
    links: targets of links.
    loaded: targets of what is fetched with the page.
    ids: of its elements.
  """

  def __init__(self, text: str):
    super().__init__()
    self.links: list[str] = []
    self.loaded: list[str] = []
    self.ids: set[str] = set()
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    found = dict(attrs)
    self.ids |= {found[name] for name in ('id', 'name') if found.get(name)}
    if tag == 'a' and found.get('href'):
      self.links.append(found['href'])
    # Of <link>, a canonical address or the next page is not fetched.
    fetched = tag != 'link' or found.get('rel') in ('stylesheet', 'icon')
    if fetched and found.get(_LOADED.get(tag, '')):
      self.loaded.append(found[_LOADED[tag]])


@pytest.fixture(scope='module', name='site')
def _site(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """The site, built from the checkout as it is."""
  directory = tmp_path_factory.mktemp('site')
  done = subprocess.run(
      [sys.executable, '-m', 'mkdocs', 'build', '--strict',
       f'--site-dir={directory}'],
      cwd=tiny.ROOT, capture_output=True, text=True,
  )
  assert done.returncode == 0, done.stderr
  return directory


@pytest.fixture(scope='module', name='pages')
def _pages(site: pathlib.Path) -> dict[pathlib.Path, _Html]:
  """Its pages by their files, without those that MkDocs did not make."""
  return {
      path: _Html(path.read_text()) for path in site.rglob('index.html')
  }


def _target(
    page: pathlib.Path, link: str
) -> tuple[pathlib.Path, str] | None:
  """The file and the anchor to which a link leads; None for another site."""
  parts = urllib.parse.urlsplit(link)
  if parts.scheme or parts.netloc:
    return None
  path = page
  if parts.path:
    path = (page.parent / urllib.parse.unquote(parts.path)).resolve()
  return path / 'index.html' if path.is_dir() else path, parts.fragment


def test_every_link_leads_somewhere(
    pages: dict[pathlib.Path, _Html]
) -> None:
  broken = []
  for page, found in pages.items():
    for link in [*found.links, *found.loaded]:
      target = _target(page, link)
      if target is None:
        continue
      path, anchor = target
      ids = pages[path].ids if path in pages else {anchor}
      if not path.exists() or (anchor and anchor not in ids):
        broken.append((page, link))
  assert not broken


def test_a_page_fetches_nothing_from_another_server(
    site: pathlib.Path, pages: dict[pathlib.Path, _Html]
) -> None:
  elsewhere = re.compile(r'(?:https?:)?//')
  for page, found in pages.items():
    for link in found.loaded:
      assert not elsewhere.match(link), (page, link)
  for sheet in site.rglob('*.css'):
    assert not re.search(r'(?:url\(|@import\s)\W*https?:', sheet.read_text())


def _fields(section: ConfigDict, prefix: str = '') -> Iterator[str]:
  """Dotted names of all fields and sections."""
  for name, value in section.items():
    yield prefix + name
    if isinstance(value, ConfigDict):
      yield from _fields(value, f'{prefix}{name}.')


@pytest.mark.parametrize(('page', 'prefix', 'config'), [
    ('config', '', default.get_config()),
    ('study_config', '', study.get_config()),
    ('study_config', 'benchmarks.NAME.', study.benchmark()),
    ('study_config', 'methods.NAME.', study.method('layernas')),
])
def test_every_config_field_is_in_the_reference(
    page: str, prefix: str, config: ConfigDict, site: pathlib.Path,
    pages: dict[pathlib.Path, _Html],
) -> None:
  ids = pages[site / 'reference' / page / 'index.html'].ids
  missing = set(_fields(config, prefix)) - ids
  assert not missing


def _imported() -> set[str]:
  """What the examples, the README and docs/ import of the package."""
  files = [
      tiny.ROOT / 'README.md', *(tiny.ROOT / 'docs').glob('*.md'),
      *(tiny.ROOT / 'examples').glob('*.py'),
  ]
  return {
      f'{module}.{name}'
      for file in files
      for module, names in re.findall(
          r'(?m)^\s*from (layernas[\w.]*) import ([\w, ]+)', file.read_text()
      )
      for name in names.split(', ')
  }


def test_every_public_name_is_in_the_reference(
    site: pathlib.Path, pages: dict[pathlib.Path, _Html]
) -> None:
  ids = set()
  for path in (site / 'reference').rglob('index.html'):
    ids |= pages[path].ids
  names = {f'layernas.{name}' for name in layernas.__all__}
  names |= {f'layernas.search.{name}' for name in layernas.search.__all__}
  assert not names - ids
  for name in _imported():
    module, _, attribute = name.rpartition('.')
    found = getattr(importlib.import_module(module), attribute)
    # What the search half exports is found by the shorter name.
    exported = getattr(layernas.search, attribute, None)
    assert name in ids or exported is found, name


def test_every_command_is_in_the_reference(
    site: pathlib.Path, pages: dict[pathlib.Path, _Html]
) -> None:
  ids = pages[site / 'reference/commands/index.html'].ids
  for path in (tiny.ROOT / 'experiments').glob('*.py'):
    assert path.stem in ids


def test_the_readme_is_the_home_page(site: pathlib.Path) -> None:
  text = (site / 'index.html').read_text()
  for heading in re.findall(
      r'(?m)^## (.*)$', (tiny.ROOT / 'README.md').read_text()
  ):
    assert re.search(rf'<h2[^>]*>{re.escape(heading)}', text), heading


def test_the_notebook_finds_a_network_and_shows_its_picture() -> None:
  import nbclient
  import nbformat

  path = tiny.ROOT / 'examples' / 'tutorial.ipynb'
  notebook = nbformat.read(path, nbformat.NO_CONVERT)
  nbclient.NotebookClient(
      notebook, timeout=1200, resources={'metadata': {'path': path.parent}},
  ).execute()
  outputs = [
      output for cell in notebook.cells for output in cell.get('outputs', ())
  ]
  assert any('image/png' in output.get('data', {}) for output in outputs)
  printed = ''.join(output.get('text', '') for output in outputs)
  # Lines, not bars.
  assert '\x1b' not in printed
  found = re.search(r'architecture: ([\d-]+)\nMAdds: ([\d,]+)', printed)
  assert int(found[2].replace(',', '')) <= 450_000
  assert re.search(r'automobile: 0\.\d\d', printed)
