"""The report of searches: reads workdirs, writes one page.

The searches may be running, finished or interrupted; nothing in their workdirs
is changed but the page itself.
"""

import datetime
import os
import re
import urllib.parse
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from etils import epath

from layernas import activity
from layernas.errors import UserError
from layernas.networks.registry import make_space
from layernas.reports.search_page import search_page
from layernas.reports.search_view import SearchFindings
from layernas.runs import config_flag
from layernas.runs.status import STATUS_FILE
from layernas.runs.status import read_status
from layernas.runs.status import state_words
from layernas.search.space import parse_architecture_id
from layernas.storage.files import file_store
from layernas.storage.history import recorded_further_costs
from layernas.storage.history import recorded_trials
from layernas.storage.storage_errors import usable
from layernas.storage.workdir import content_of
from layernas.storage.workdir import read_json

PAGE = 'report.html'

_LIMITED = re.compile(r'final_\d+(\.\d+)?(e[+-]\d+)?')
"""Directory of final trainings of `train --limit`."""


def write_report(
    workdirs: Sequence[epath.PathLike], output: epath.PathLike | None = None
) -> epath.Path:
  """Writes the page of some searches.

  Args:
    workdirs: of searches, one at least; one that is named twice is shown once.
    output: file to write; None is `PAGE` in the only workdir, or in the
      current directory where there are several.

  Returns:
    Where the page lies.

  Raises:
    UserError: a workdir is none of a search, or the page cannot be written.
  """
  paths = list(dict.fromkeys(map(epath.Path, workdirs)))
  page = epath.Path(output) if output else (
      paths[0] / PAGE if len(paths) == 1 else epath.Path(PAGE)
  )
  store = file_store(page)
  store.check(page)
  if page.is_dir():
    raise UserError(f'flag --output: {str(page)!r}: a directory; allowed is a'
                    ' file')
  names, searches = _names(paths), []
  for path, name in zip(paths, names, strict=True):
    with activity.doing(f'reading {path}'):
      searches.append(read_search(path, name, page))
  text = search_page(
      searches, config_flag.load('default').to_dict(),
      datetime.datetime.now().astimezone(),
  )
  with usable(page.parent):
    store.write(page, text.encode())
  return page


def read_search(
    workdir: epath.Path, name: str, page: epath.Path
) -> SearchFindings:
  """What a workdir holds of a search.

  Args:
    workdir: of it.
    name: by which the page calls it.
    page: that links to what lies in the workdir.

  Returns:
    The findings.

  Raises:
    UserError: there is no search in the workdir.
  """
  trials = recorded_trials(workdir)
  file = workdir / 'config.json'
  config = config_flag.recorded(read_json(file), file)
  file = workdir / 'result.json'
  result = _read(file)
  with content_of(file):
    if result and sum(result['trials'].values()) != len(trials):
      # Of a run with a smaller budget, which goes on.
      result = None
    if result:
      _check_result(result)
  state, best = _state(workdir, result)
  try:
    space, lacking = make_space(config.space).search_space, ''
  except UserError as error:
    space, lacking = None, str(error)
  return SearchFindings(
      name, os.fspath(workdir), state, config.to_dict(), trials, result, best,
      _final_rows(workdir), space, lacking, _link(workdir / 'trace.html', page),
      recorded_further_costs(workdir),
  )


def _check_result(result: Mapping[str, Any]) -> None:
  """Raises what misses a part of a result.json that the page shows."""
  _ = result['stop_reason'], result['comparison']
  if winner := result['winner']:
    _ = winner['trial'], parse_architecture_id(winner['architecture'])
    _ = winner['cost'] + winner['reward']


def _names(paths: Sequence[epath.Path]) -> list[str]:
  """Names of the directories, or the whole paths where names are alike."""
  names = [
      path.name if '://' in os.fspath(path)
      else os.path.basename(os.path.abspath(path)) for path in paths
  ]
  if len(set(names)) == len(names):
    return names
  return list(map(os.fspath, paths))


def _state(
    workdir: epath.Path, result: Mapping[str, Any] | None
) -> tuple[str, Mapping[str, Any] | None]:
  """How far a search is, in words, and the trial that answers so far."""
  if not (workdir / STATUS_FILE).exists():
    # Of a workdir that was copied without it.
    return (
        f'finished: {result["stop_reason"]}' if result else 'not recorded'
    ), None
  state, status = read_status(workdir)
  return state_words(state, status), status['best']


def _final_rows(workdir: epath.Path) -> list[Mapping[str, Any]]:
  """Networks of final trainings, in directories beside its result or there."""
  rows = _trained_in(workdir / 'final') or _trained_in(workdir)
  # Of answers under a limit that is not the largest.
  limited = {
      float(folder.name.removeprefix('final_')): folder
      for folder in workdir.glob('final_*') if _LIMITED.fullmatch(folder.name)
  }
  for limit, folder in sorted(limited.items()):
    rows = rows + [
        {**row, 'name': f'{row["name"]}, limit {limit:,.12g}'}
        for row in _trained_in(folder)
    ]
  return rows


def _trained_in(folder: epath.Path) -> list[Mapping[str, Any]]:
  """Networks whose final trainings are in a directory."""
  if final := _read(folder / 'final.json'):
    return final['networks']
  networks = _read(folder / 'networks.json') or ()
  return [row for name in networks if (row := _row_so_far(folder, name))]


def _row_so_far(folder: epath.Path, name: str) -> dict[str, Any] | None:
  """The finished seeds of a network whose final trainings are under way."""
  trained = folder / name.replace(' ', '_')
  seeds = sorted(trained.glob('seed*'), key=lambda path: (
      len(path.name), path.name
  )) if trained.exists() else []
  metrics = [
      found for seed in seeds if (found := _read(seed / 'metrics.json'))
  ]
  if not metrics:
    return None
  if 'accuracy' in metrics[0]:
    return {'name': name, 'accuracies': [one['accuracy'] for one in metrics]}
  return {'name': name, 'losses': [one['loss'] for one in metrics]}


def _read(path: epath.Path) -> Any:
  """Content of a file with a JSON object; None where there is none."""
  if not path.exists():
    return None
  content = read_json(path)
  if not isinstance(content, dict):
    raise UserError(f'file {path}: a {type(content).__name__}; allowed is a'
                    ' JSON object')
  return content


def _link(target: epath.Path, page: epath.Path) -> str:
  """Address of a file from the page; '' where no link can lead there."""
  if not target.exists():
    return ''
  if '://' in f'{target}{page}':
    return target.name if target.parent == page.parent else ''
  away = os.path.relpath(target, page.parent)
  return urllib.parse.quote(away)
