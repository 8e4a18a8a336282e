"""Reads pages as a browser does."""

import html.parser
from collections.abc import Sequence

_VOID = ('meta', 'br')
_CLOSED = ('line', 'rect', 'circle', 'path')


class PageReader(html.parser.HTMLParser):
  """Checks that tags nest; keeps what stands in them.

  Attributes:
    rows: texts of table rows.
    titles: what appears when the pointer rests on marks.
    links: addresses.
    classes: of every element that has some.
  """

  def __init__(self, page: str) -> None:
    super().__init__()
    self.open: list[str] = []
    self.rows: list[str] = []
    self.titles: list[str] = []
    self.links: list[str] = []
    self.classes: list[str] = []
    self.feed(page)
    self.close()
    assert not self.open
    self.rows = [' '.join(row.split()) for row in self.rows]

  def handle_starttag(
      self, tag: str, attrs: Sequence[tuple[str, str | None]]
  ) -> None:
    given = dict(attrs)
    # What a page could be made to run, by a name that is not escaped.
    assert not [name for name in given if name.startswith('on')]
    if tag not in _VOID:
      self.open.append(tag)
    if tag == 'tr':
      self.rows.append('')
    elif tag in ('td', 'th'):
      self.rows[-1] += ' '
    elif tag == 'title' and 'svg' in self.open:
      self.titles.append('')
    elif tag == 'a':
      self.links.append(given['href'])
    if 'class' in given:
      self.classes.append(given['class'])

  def handle_startendtag(
      self, tag: str, attrs: Sequence[tuple[str, str | None]]
  ) -> None:
    assert tag in _CLOSED, attrs
    self.handle_starttag(tag, attrs)
    self.open.pop()

  def handle_endtag(self, tag: str) -> None:
    assert self.open.pop() == tag

  def handle_data(self, data: str) -> None:
    if 'svg' in self.open and self.open[-1] == 'title':
      self.titles[-1] += data
    elif 'tr' in self.open:
      self.rows[-1] += data
