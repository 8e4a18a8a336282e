"""What a search begins with: a network, a queue, trials of other searches.

The config names files and other workdirs. What they hold is kept in the workdir
when the search begins: later they may move or change, and the search goes on as
it began.
"""

import dataclasses
import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from etils import epath

from layernas import paths
from layernas.data.dataset import Dataset
from layernas.errors import UserError
from layernas.networks.interface import Space
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.registry import make_space
from layernas.networks.registry import network_from_dict
from layernas.runs.inputs import data_input
from layernas.runs.inputs import space_inputs
from layernas.runs.inputs import training_inputs
from layernas.runs.setup import with_width_scaled
from layernas.search import Problem
from layernas.search import Trial
from layernas.search.cost import cost_text
from layernas.search.layer_pass import STARTS
from layernas.search.schedules import configured_schedule
from layernas.search.schedules import takes_start
from layernas.search.space import Architecture
from layernas.search.space import architecture_id
from layernas.search.space import parse_architecture_id
from layernas.search.space import parse_network_id
from layernas.search.trial import trial_from_dict
from layernas.search.warm_start import WarmStart
from layernas.search.warm_start import as_known
from layernas.storage.files import file_store
from layernas.storage.history import recorded_trials
from layernas.storage.resuming import Rules
from layernas.storage.resuming import completed
from layernas.storage.resuming import default_fields
from layernas.storage.resuming import differences
from layernas.storage.resuming import differences_text
from layernas.storage.workdir import content_of
from layernas.storage.workdir import read_json

WARM_START_FILE = 'warm_start.json'
"""Of a workdir: `WarmStart.to_dict`, and 'lines' for people."""

_TASK = Rules((
    r'data\.(augment_on|decoder)', r'training\.(checkpoint|log)_every_steps',
    r'(?!(data|model|training)\.|reward$).*',
))
"""What of a config decides the reward of an architecture."""


def kept_warm_start(workdir: epath.PathLike) -> dict[str, Any] | None:
  """What a workdir has kept of what its config names.

  Args:
    workdir: of a search, which need not exist.

  Returns:
    As of `read_warm_start`; None where nothing is kept.
  """
  file = epath.Path(workdir) / WARM_START_FILE
  return read_json(file) if file.exists() else None


def read_warm_start(
    config: Any, space: Space, problem: Problem,
    dataset: Dataset | None = None,
) -> dict[str, Any]:
  """What a config names.

  Args:
    config: with section `search`, and those that decide what trials are worth.
    space: of the networks.
    problem: to search.
    dataset: to train on; None leaves out trials of other searches, which need
      only be there.

  Returns:
    JSON types: `WarmStart.to_dict`, and 'lines' that say what was found.

  Raises:
    UserError: a name, file, line or workdir is wrong or does not fit; nothing
      has been written.
  """
  search, lines = config.search, []
  first: list[Architecture] = []
  start = '' if search.start in STARTS else architecture_id(
      _start(search.start, space)
  )
  if start and not takes_start(search):
    # It is the first one to be tried, so that it has to be one that may answer.
    one = parse_architecture_id(start)
    _check(f'search.start: {search.start!r}', one, problem)
    lines.append(f'first network: {start} ({search.start})')
  if search.enqueue:
    first, line = _enqueued(search.enqueue, space, problem)
    lines.append(line)
  # By what the tasks differ in; '' is this one.
  known: dict[str, list[Trial]] = {'': []}
  for name in filter(None, map(str.strip, search.known.split(','))):
    path, fields = _known_config(name)
    if dataset is None:
      continue
    found = _known(name, path, fields, config, problem, dataset)
    lines.append(f'known: {len(found.trials)} trials of {name}' + (
        f', as another task: {found.different}' if found.different else ''
    ))
    known.setdefault(found.task, []).extend(found.trials)
  same, *others = (as_known(trials, problem) for trials in known.values())
  warm = WarmStart(start, tuple(first), same, tuple(others))
  return {**warm.to_dict(), 'lines': lines}


@dataclasses.dataclass(frozen=True)
class _Known:
  """What another search found.

  Attributes:
    trials: with rewards, of architectures of the space.
    task: the same text for searches of the same task; '' for this one's.
    different: what makes it another task, in words.
  """

  trials: tuple[Trial, ...]
  task: str
  different: str


def _start(text: str, space: Space) -> Architecture:
  """The network that `search.start` names: numbers, a file, a published one."""
  where = f'search.start: {text!r}'
  if text in REFERENCE_NETWORKS:
    found = space.architecture_of(REFERENCE_NETWORKS[text])
    if found is None:
      held = [
          name for name, network in REFERENCE_NETWORKS.items()
          if space.architecture_of(network) is not None
      ]
      raise UserError(
          f'{where}: is no network of space {space.name!r}; published networks'
          f' that it has: {held or "none"}'
      )
    return found
  if text.replace('-', '').isdigit():
    return _blamed(where, lambda: _of_space(parse_architecture_id(text), space))
  path = epath.Path(paths.expanded('search.start', text))
  file_store(path).check(path)
  if not path.exists():
    raise UserError(
        f'{where}: allowed are {list(STARTS)}, option numbers joined by dashes,'
        ' an existing result.json, and the name of a published network'
    )
  return _winner(where, path, space)


def _winner(where: str, path: epath.Path, space: Space) -> Architecture:
  """The architecture of the network that another search found."""
  result = read_json(path)
  winner = result.get('winner') if isinstance(result, dict) else None
  if not winner:
    raise UserError(
        f'{where}: has no winner; allowed is the result.json of a search that'
        ' found a network'
    )
  with content_of(path):
    return _architecture_of(where, result, winner, space)


def _architecture_of(
    where: str, result: Mapping[str, Any], winner: Mapping[str, Any],
    space: Space,
) -> Architecture:
  """The architecture of a result's winner, in the space."""
  network = _blamed(where, lambda: network_from_dict(winner.get('network', {})))
  try:
    named = _of_space(parse_architecture_id(winner['architecture']), space)
    same = space.network(named) == network
  except (KeyError, UserError):
    same = False
  found = named if same else space.architecture_of(network)
  if found is None:
    of = (result.get('config') or {}).get('space', 'another')
    raise UserError(
        f'{where}: its winner, {winner.get("architecture")}, is of space'
        f' {of!r} and no network of space {space.name!r}; allowed is a network'
        ' that this space has'
    )
  return found


def _enqueued(
    name: str, space: Space, problem: Problem
) -> tuple[list[Architecture], str]:
  """Different architectures of a file in its order, and what to say of it."""
  path = epath.Path(paths.expanded('search.enqueue', name))
  file_store(path).check(path)
  if not path.exists():
    raise UserError(
        f'search.enqueue: {name!r}: there is no such file; allowed is a text'
        ' file with an architecture a line, a result.json or a trials.jsonl'
    )
  where = f'search.enqueue: {name}'
  if path.suffix == '.json':
    one = _winner(where, path, space)
    _check(where, one, problem)
    return [one], f'enqueued: the winner of {name}'
  if path.suffix == '.jsonl':
    every = dict.fromkeys(_of_trials(where, path, space))
    inside = [
        one for one in every if problem.admits(one, problem.cost.cost(one))
    ]
    return inside, (
        f'enqueued: {len(inside)} architectures of {name}, which lie in the'
        f' target; it has {len(every)}'
    )
  found = []
  for place, line in _lines(where, path):
    text = line.partition('#')[0].strip()
    if text:
      one = _blamed(place, lambda text=text: _of_space(
          parse_architecture_id(text), space
      ))
      _check(place, one, problem)
      found.append(one)
  found = list(dict.fromkeys(found))
  if not found:
    raise UserError(f'{where}: has no architecture; allowed is one a line')
  return found, f'enqueued: {len(found)} architectures of {name}'


def _of_trials(
    where: str, path: epath.Path, space: Space
) -> Iterator[Architecture]:
  """Architectures of the space in a trials.jsonl."""
  for place, text in _lines(where, path):
    if not text.strip():
      continue
    try:
      one = parse_network_id(json.loads(text)['architecture'])
    except (KeyError, TypeError, ValueError) as error:
      raise UserError(
          f'{place}: is no trial ({error!r}); allowed are lines of the'
          ' trials.jsonl of a search'
      ) from error
    # References outside the space have names.
    if not isinstance(one, str):
      yield _blamed(place, lambda one=one: _of_space(one, space))


def _lines(where: str, path: epath.Path) -> Iterable[tuple[str, str]]:
  """Lines of a text file, each with file and number for messages."""
  try:
    text = path.read_text()
  except (OSError, ValueError) as error:
    raise UserError(f'{where}: {error}; allowed is a text file') from error
  for number, line in enumerate(text.splitlines(), start=1):
    yield f'{where}, line {number}', line


def _known_config(name: str) -> tuple[epath.Path, dict[str, Any]]:
  """Workdir of another search, and the fields of its config."""
  where = f'search.known: {name!r}'
  path = epath.Path(paths.expanded('search.known', name))
  file_store(path).check(path)
  file = path / 'config.json'
  if not file.exists():
    raise UserError(f'{where}: allowed are workdirs of searches')
  fields = read_json(file)
  if not isinstance(fields, Mapping):
    raise UserError(
        f'{where}: its config.json holds no config; allowed are workdirs of'
        ' searches'
    )
  return path, fields


def _known(
    name: str, path: epath.Path, fields: dict[str, Any], config: Any,
    problem: Problem, dataset: Dataset,
) -> _Known:
  """Trials of another search in the same space."""
  where = f'search.known: {name!r}'
  contents = _other_contents(
      where, path, _with_sections(config, fields), dataset
  )
  different = differences(fields, config.to_dict(), _TASK)
  if different or len(contents) > 1:
    # Other images and classes make other networks of the same layers.
    contents.pop('space', None)
  text = differences_text([*different, *(
      (f'content of {name}', before.get('text', 'not recorded'), now)
      for name, (before, now) in contents.items()
  )])
  if text and not configured_schedule(config.search).proposer.transfers:
    raise UserError(
        f'{where}: its trials are of another task ({text}), of which schedule'
        f' {config.search.schedule!r} cannot learn; allowed are searches of the'
        ' same data, recipe and reward, or search.schedule=model_guided'
    )
  trials = _blamed(where, lambda: recorded_trials(path))
  if kept := kept_warm_start(path):
    trials = [*map(trial_from_dict, kept['known']), *trials]
  found = _blamed(where, lambda: as_known(trials, problem))
  if not found:
    raise UserError(
        f'{where}: has no trial with a reward; allowed are searches that have'
    )
  return _Known(found, repr((different, contents)) if text else '', text)


def _other_contents(
    where: str, path: epath.Path, config: Any, dataset: Dataset
) -> dict[str, tuple[Mapping[str, str], str]]:
  """What the configs only name and differs: space, data, own code.

  Returns:
    By name what the other workdir recorded and what it is now, in words.

  Raises:
    UserError: the layers or their options differ.
  """
  file = path / 'inputs.json'
  recorded = read_json(file) if file.exists() else {}
  space = with_width_scaled(make_space(config.space), config, dataset)
  different = {}
  for one in (
      *space_inputs(config, space, dataset), data_input(dataset),
      *training_inputs(config),
  ):
    before = recorded.get(one.name, {})
    if before.get('digest') != one.digest:
      edited = ', edited since' if before.get('text') == one.text else ''
      different[one.name] = before, one.text + edited
  layers = different.pop('layers', None)
  # Older versions did not record layers; the same space has the same ones.
  if layers and 'space' in different:
    before, now = layers
    raise UserError(
        f'{where}: the content of space is another (it was'
        f' {before.get("text", "not recorded")}, and is {now}); allowed are'
        ' searches of the same layers and options'
    )
  return different


def _with_sections(config: Any, recorded: dict[str, Any]) -> Any:
  """The config with what decided on the other search's width-scaled network."""
  changed = config.copy_and_resolve_references()
  fields = completed(recorded, default_fields(recorded))
  with changed.unlocked():
    for name in ('cost', 'target', 'reference'):
      changed[name] = fields[name]
  return changed


def _of_space(architecture: Architecture, space: Space) -> Architecture:
  space.search_space.check(architecture)
  return architecture


def _check(where: str, architecture: Architecture, problem: Problem) -> None:
  """Raises UserError unless an architecture may answer."""
  cost = problem.cost.cost(architecture)
  if cost not in problem.target:
    raise UserError(
        f'{where}: architecture {architecture_id(architecture)}: its cost,'
        f' {cost_text(cost)} {problem.cost.unit}, is outside the target;'
        ' allowed are networks in it'
    )
  for limit in problem.limits:
    if (cost := limit.cost.cost(architecture)) > limit.high:
      raise UserError(
          f'{where}: architecture {architecture_id(architecture)}: its cost,'
          f' {cost_text(cost)} {limit.cost.unit}, is above'
          f' limits.{limit.cost.name}; allowed are networks that keep it'
      )


def _blamed(where: str, function: Callable[[], Any]) -> Any:
  """What a function returns; its error says where."""
  try:
    return function()
  except UserError as error:
    raise UserError(f'{where}: {error}') from error
