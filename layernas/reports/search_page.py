"""One HTML page about a search, or several searches beside each other."""

import dataclasses
import datetime
import json
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jinja2

from layernas.reports import charts
from layernas.reports.console import standing_text
from layernas.reports.search_charts import curves
from layernas.reports.search_charts import scatters
from layernas.reports.search_view import Answer
from layernas.reports.search_view import SearchFindings
from layernas.reports.search_view import SearchView
from layernas.search.cost import cost_text
from layernas.search.space import architecture_id
from layernas.storage.resuming import flat

Json = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Fact:
  """A row of the table of answers.

  Attributes:
    name: of the row.
    cells: text of each search.
    kind: 'text', 'soft' for what explains the row above, 'code', or 'link'
      where cells are addresses.
  """

  name: str
  cells: Sequence[str]
  kind: str = 'text'


@dataclasses.dataclass(frozen=True)
class FieldRow:
  """A config field with its value in each column, as JSON."""

  name: str
  cells: Sequence[str]


def search_page(
    searches: Sequence[SearchFindings], defaults: Json,
    made: datetime.datetime,
) -> str:
  """The page of some searches.

  Args:
    searches: one at least.
    defaults: fields of a config that changes none; a search alone is compared
      with them.
    made: when.

  Returns:
    HTML that needs no other file.
  """
  environment = jinja2.Environment(
      loader=jinja2.PackageLoader('layernas.reports'), autoescape=True,
      trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
  )
  views = [SearchView(index, one) for index, one in enumerate(searches)]
  columns = [(one.name, one.config) for one in searches]
  if len(searches) == 1:
    columns.append(('default', defaults))
  fields = _field_rows([config for _, config in columns])
  return environment.get_template('search.html').render(
      title=', '.join(view.name for view in views),
      made=f'{made:%Y-%m-%d %H:%M} {made.tzname() or ""}'.strip(),
      searches=views,
      limited=any(view.further_limits for view in views),
      facts=_facts(views),
      curves=curves(views),
      scatters=scatters(views),
      effects=[view.effects() for view in views],
      finals=[(view.name, view.final_rows()) for view in views],
      columns=[name for name, _ in columns],
      differing=[row for row in fields if len(set(row.cells)) > 1],
      fields=fields,
      chart=charts,
      cost_text=cost_text,
      architecture_id=architecture_id,
  )


def _facts(views: Sequence[SearchView]) -> list[Fact]:
  """The table of answers; rows that no search fills are left out."""
  def row(
      name: str, text: Callable[[SearchView], str], kind: str = 'text'
  ) -> Fact:
    return Fact(name, [text(view) for view in views], kind)

  finished = {view.found.result is not None for view in views}
  answered = ', or '.join(
      words for words, is_one in (('answer', True), ('best so far', False))
      if is_one in finished
  )
  rows = [
      row('state', lambda view: view.found.state),
      row('space', _space_text),
      row('schedule', lambda view: view.found.config['search']['schedule']),
      row('target', SearchView.target),
      row('further limits', SearchView.further_limits_text),
      row('trials', _trials_text),
      row('time in trials', lambda view: duration(view.seconds())),
      row(answered, lambda view: _of_answer(
          view, lambda answer: answer.architecture
      ), 'code'),
      row('', lambda view: _of_answer(view, lambda answer: ', '.join(
          f'{name}: {option}' for name, option in answer.options
      ), ''), 'soft'),
      row('trial', lambda view: _of_answer(
          view, lambda answer: str(answer.trial), ''
      )),
      row('cost', lambda view: _of_answer(
          view, lambda answer: f'{cost_text(answer.cost)} {view.unit}', ''
      )),
      row('reward', lambda view: _of_answer(
          view, lambda answer: f'{answer.reward:.4f}, {view.reward}', ''
      )),
      row('under each limit', SearchView.front),
      row('compared', lambda view: '; '.join(map(
          standing_text, (view.found.result or {}).get('comparison', ())
      ))),
      row('final trainings', _final_text),
      row('decision trace', lambda view: view.found.trace, 'link'),
      row('workdir', lambda view: view.found.path),
  ]
  return [one for one in rows if any(one.cells)]


def _of_answer(
    view: SearchView, text: Callable[[Answer], str],
    without: str | None = None,
) -> str:
  answer = view.answer()
  if answer:
    return text(answer)
  return f'none in the {view.allowed}' if without is None else without


def _space_text(view: SearchView) -> str:
  name, space = view.found.config['space'], view.found.space
  if space is None:
    return name
  return f'{name}: {len(space)} layers, {space.size:,} networks'


def _trials_text(view: SearchView) -> str:
  counts = Counter(str(one.evaluation.status) for one in view.found.trials)
  others = ', '.join(
      f'{count} {name}' for name, count in sorted(counts.items())
      if name != 'ok'
  )
  return f'{len(view.found.trials):,}' + (f' ({others})' if others else '')


def _final_text(view: SearchView) -> str:
  return '; '.join(
      f'{row["name"]}: {row["metric"]} {row["mean"]:.4f}'
      + (' so far' if row['under_way'] else '')
      for row in view.final_rows()
  )


def _field_rows(configs: Sequence[Json]) -> list[FieldRow]:
  """Every field of some configs, by name."""
  flattened = [flat(json.loads(json.dumps(config))) for config in configs]
  names = sorted(set().union(*flattened))
  return [
      FieldRow(name, [
          json.dumps(fields[name]) if name in fields else 'not set'
          for fields in flattened
      ]) for name in names
  ]


def duration(seconds: float) -> str:
  """A time for people: '35 s', or hours, minutes and seconds."""
  if seconds < 100:
    return f'{seconds:.3g} s'
  return str(datetime.timedelta(seconds=round(seconds)))


