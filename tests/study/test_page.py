"""The HTML page: complete, self-contained, escaped."""

import base64
import html
import html.parser
import pathlib
import re

from layernas.study import report
from layernas.study.report import page
from tests.study import tiny_study


class _Checker(html.parser.HTMLParser):
  """Collects what a page refers to and checks that its tags are balanced."""

  _VOID = ('meta', 'img', 'link', 'br')

  def __init__(self) -> None:
    super().__init__()
    self.open: list[str] = []
    self.ids: list[str] = []
    self.references: list[str] = []

  def handle_starttag(self, tag, attrs) -> None:
    if tag not in self._VOID:
      self.open.append(tag)
    for name, value in attrs:
      if name in ('src', 'href', 'srcset', 'action'):
        self.references.append(value)
      elif name == 'id':
        self.ids.append(value)

  def handle_endtag(self, tag) -> None:
    assert self.open.pop() == tag


def _page(directory: pathlib.Path, title: str = 'A tiny study') -> str:
  summary = tiny_study.summary() | {'title': title}
  for file in report.picture_files(summary['sections'][0]):
    (directory / file).write_bytes(file.encode())
  return page(summary, directory)


def test_page_needs_no_other_file(tmp_path: pathlib.Path) -> None:
  text = _page(tmp_path)
  checker = _Checker()
  checker.feed(text)
  assert not checker.open
  links = [r for r in checker.references if r.startswith('#')]
  assert links
  assert {link[1:] for link in links} == set(checker.ids)
  others = [r for r in checker.references if not r.startswith('#')]
  files = report.picture_files(tiny_study.summary()['sections'][0])
  assert others == [
      'data:image/png;base64,' + base64.b64encode(file.encode()).decode()
      for file in files
  ]
  assert not re.search(r'<script|@import|url\(|https?:', text)


def test_page_has_all_facts_and_tables(tmp_path: pathlib.Path) -> None:
  text = html.unescape(_page(tmp_path))
  (chapter,) = report.chapters(tiny_study.summary())
  (part,) = chapter.parts
  for table in (chapter.overview, *part.tables):
    assert f'<h4>{table.title}</h4>' in text
    for name, *cells in table.rows:
      row = text[text.index(f'<h4>{table.title}</h4>'):]
      row = row[row.index(f'<th scope="row">{name}</th>'):]
      row = row[:row.index('</tr>')]
      assert re.findall(r'<td[^>]*>(.*?)</td>', row) == cells
    assert all(note in text for note in table.notes)
  for name, fact in part.facts:
    assert f'<dt>{name}</dt><dd>{fact}</dd>' in text


def test_texts_are_escaped(tmp_path: pathlib.Path) -> None:
  text = _page(tmp_path, '<script>alert(1)</script>')
  assert '<script' not in text
  assert '<h1>&lt;script&gt;' in text


def test_page_fits_a_phone(tmp_path: pathlib.Path) -> None:
  assert 'name="viewport" content="width=device-width' in _page(tmp_path)
