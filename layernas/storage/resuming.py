"""Whether a run that a workdir holds may go on: its config and its inputs.

What decides results has to be the same. A field that the recorded config lacks,
because an older version wrote it, stands at its default. What a config only
names (images, tables, a space) is compared by digests.
"""

import dataclasses
import hashlib
import importlib
import io
import json
import os
import pathlib
import re
import tokenize
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from layernas import lookup
from layernas import paths
from layernas.errors import UserError

Fields = Mapping[str, Any]
"""Of a config, sections within sections."""

_NO_FIELD = object()

# Before a config had these fields, runs were as with these values, whatever
# their defaults are now.
_BEFORE_FIELDS = {'reward': 'accuracy', 'reference': {'trainings': 0}}

# Sections of the section `search` that one schedule alone reads.
_SCHEDULE_OF = {'guided': 'model_guided', 'visit': 'interleaved'}

_PATH = re.compile(
    r'data\.directory|cost\.latency_table|search\.(start|enqueue)'
    r'|benchmarks\..*\.table\.file'
)
"""Fields that hold a path, which may be spelled in several ways."""


def default_fields(recorded: Fields) -> dict[str, Any]:
  """Defaults of the config of a search; see configs/default.py.

  Args:
    recorded: fields of the config; these do not depend on them.

  Returns:
    What counts for a field that is absent; without configs/, as where the
    package alone is installed, only what is known without it.
  """
  del recorded
  default = _module('configs.default')
  fields = _plain(default.get_config().to_dict()) if default else {}
  return completed(_BEFORE_FIELDS, fields)


def study_default_fields(recorded: Fields) -> dict[str, Any]:
  """Defaults of the config of a study; see configs/study/default.py.

  Args:
    recorded: fields of the config; its benchmarks and methods have defaults.

  Returns:
    All fields; none where the package is installed without configs/.
  """
  default = _module('configs.study.default')
  if not default:
    return {}
  fields = default.get_config()
  for name in recorded.get('benchmarks', ()):
    fields.benchmarks[name] = default.benchmark()
  for name, method in recorded.get('methods', {}).items():
    fields.methods[name] = default.method(method.get('kind', ''))
  return _plain(fields.to_dict())


def _module(name: str) -> Any:
  try:
    return importlib.import_module(name)
  except ModuleNotFoundError:
    return None


@dataclasses.dataclass(frozen=True)
class Rules:
  """What of a config may differ when a run goes on.

  Attributes:
    free: regular expressions of whole dotted names.
    defaults: gives all fields with their defaults, for a recorded config.
  """

  free: tuple[str, ...]
  defaults: Callable[[Fields], Fields] = default_fields

  def is_free(self, name: str) -> bool:
    """Whether the field with this dotted name may differ."""
    return any(re.fullmatch(pattern, name) for pattern in self.free)


# They say when to stop, what to print and to save, when to compile, where to
# train and to augment, and how to find what decodes images, which is compared
# as an input.
_ALWAYS_FREE = (
    r'data\.(decoder|augment_on)',
    r'budget\..*', 'compile_ahead', 'raise_failures', r'profile\..*',
    r'executor\.(?!(threads|devices)$).*', r'latency\..*',
    r'(training|final)\.(checkpoint|log)_every_steps',
)

SEARCH = Rules((
    *_ALWAYS_FREE, r'final\..*', r'reference\.(seeds|divisor|rule)',
))
"""Of a search, and of one of its candidates alone."""

_OF_SEARCH = (
    r'budget\..*', 'compile_ahead', 'raise_failures', r'profile\..*',
    r'executor\..*', r'search\..*', r'early_stop\..*', 'reward', r'cost\..*',
    r'target\..*', r'limits\..*', r'training\..*',
)

FINAL = Rules((
    *_OF_SEARCH, r'latency\..*', r'reference\.(seeds|trainings)',
    r'final\.(checkpoint|log)_every_steps', r'data\.augment_on',
))
"""Of a final training, whose network is recorded beside its config."""

LATENCY = Rules((*_OF_SEARCH, r'final\..*', r'reference\..*'))
"""Of measured latencies."""

STUDY = Rules(
    (
        'workers', 'seeds', 'curve_points', 'compared', 'title', 'accountings',
        r'benchmarks\.[^.]+\.(seeds|signal|metric|protocol|published\..*)',
        r'methods\.[^.]+\.seeds',
    ),
    study_default_fields,
)
"""Of a study: which runs there are and how they are shown, not what each of
them gives."""


def check_config(
    where: str, recorded: Any, config: Fields, rules: Rules
) -> None:
  """Compares what decides results.

  Args:
    where: names the workdir in messages.
    recorded: fields of the config in the workdir.
    config: fields of the present one.
    rules: what may differ.

  Raises:
    UserError: names the fields that differ, the first three of them.
  """
  if not isinstance(recorded, Mapping):
    raise UserError(
        f'{where}: its config.json holds no config; allowed is another workdir'
    )
  different = differences(recorded, config, rules)
  if different:
    raise UserError(
        f'{where}: belongs to a run of another config'
        f' ({differences_text(different)}); allowed is'
        ' the same config (its config.json is one for --config), or another'
        ' workdir'
    )


def differences(
    recorded: Fields, config: Fields, rules: Rules
) -> list[tuple[str, Any, Any]]:
  """Fields that decide results and differ.

  Args:
    recorded: fields of a config, perhaps written by an older version.
    config: fields of the present one.
    rules: what may differ.

  Returns:
    Dotted name, old and new value of each, sorted by name.
  """
  old = flat(_plain(completed(recorded, rules.defaults(recorded))))
  new = flat(_plain(config))
  pairs = (
      (name, old.get(name, _NO_FIELD), new.get(name, _NO_FIELD))
      for name in sorted(old.keys() | new.keys())
  )
  return [
      (name, before, now) for name, before, now in pairs
      if before != now and not rules.is_free(name)
      and not _same_path(name, before, now) and not _is_unread(name, old, new)
  ]


def _is_unread(name: str, *configs: Fields) -> bool:
  """Whether a field belongs to a schedule that none of the configs has."""
  search, _, section = name.rpartition('.')[0].rpartition('.')
  if section not in _SCHEDULE_OF:
    return False
  schedules = [config.get(f'{search}.schedule') for config in configs]
  return _SCHEDULE_OF[section] not in schedules


def _same_path(name: str, before: Any, now: Any) -> bool:
  """Whether a field holds the same path in another spelling."""
  if not _PATH.fullmatch(name) or not before or not now:
    return False
  try:
    spelled = [paths.expanded(name, path) for path in (before, now)]
  except (TypeError, UserError):
    return False
  return len({
      path if '://' in path else os.path.abspath(path) for path in spelled
  }) == 1


def completed(recorded: Fields, defaults: Fields) -> dict[str, Any]:
  """Recorded fields, with those that are absent at their defaults.

  Args:
    recorded: fields of a config, sections within sections.
    defaults: of all fields.

  Returns:
    The recorded fields and sections and those that only `defaults` has.
  """
  fields = dict(recorded)
  for name, default in defaults.items():
    if name not in fields:
      fields[name] = default
    elif isinstance(default, Mapping) and isinstance(fields[name], Mapping):
      fields[name] = completed(fields[name], default)
  return fields


@dataclasses.dataclass(frozen=True)
class Input:
  """Something that a config only names.

  Attributes:
    name: of the field or section that names it.
    digest: of its content, as far as it decides results.
    text: what it is, for people.
  """

  name: str
  digest: str
  text: str


def code_inputs(named: Fields) -> list[Input]:
  """Files of the user's own code that fields name as module:function.

  Comments, blank lines and spaces at the ends of lines do not count. What the
  file imports does not count either.

  Args:
    named: names by dotted field.

  Returns:
    An input for each field that names code which is not installed.

  Raises:
    UserError: there is no such module or function.
  """
  inputs = []
  for field, name in named.items():
    # The names of the package's own parts have no colon.
    file = ':' in name and lookup.own_file(lookup.find(field, name, {}))
    if file:
      content = digest(_code(pathlib.Path(file).read_bytes()))
      inputs.append(Input(field, content, f'{name} in {file}'))
  return inputs


def _code(source: bytes) -> list[str]:
  """Lines of Python, without what changes nothing."""
  tokens = list(tokenize.tokenize(io.BytesIO(source).readline))
  # As `tokenize` counts them: a form feed begins no line.
  lines = source.decode(tokens[0].string).split('\n')
  for token in tokens:
    if token.type == tokenize.COMMENT:
      row, column = token.start
      lines[row - 1] = lines[row - 1][:column]
  return [line.rstrip() for line in lines if line.strip()]


def digest(content: Any) -> str:
  """Digest of a content.

  Args:
    content: bytes, or JSON types.

  Returns:
    Hexadecimal digits; the same for equal content on every machine.
  """
  if not isinstance(content, bytes):
    content = json.dumps(content, sort_keys=True).encode()
  return hashlib.sha256(content).hexdigest()


def check_inputs(where: str, recorded: Any, inputs: list[Input]) -> None:
  """Compares inputs with those that a run began with.

  Args:
    where: names the workdir in messages.
    recorded: as `inputs_to_dict` gives it; inputs that it lacks are new.
    inputs: the present ones.

  Raises:
    UserError: names the first one whose content differs.
  """
  for one in inputs:
    before = recorded.get(one.name)
    if before and before['digest'] != one.digest:
      edited = ', edited since' if before['text'] == one.text else ''
      raise UserError(
          f'{where}: the content of {one.name} is not what its run began with'
          f' (it was {before["text"]}, and is {one.text}{edited}); allowed is'
          ' the same content, or another workdir'
      )


def inputs_to_dict(inputs: list[Input]) -> dict[str, Any]:
  """Inputs as JSON types."""
  return {
      one.name: {'digest': one.digest, 'text': one.text} for one in inputs
  }


def differences_text(different: Sequence[tuple[str, Any, Any]]) -> str:
  """Words for what differs.

  Args:
    different: as `differences` gives it.

  Returns:
    The first three fields with their former and present values.
  """
  return ', '.join(
      f'{name} was {_shown(old)} and is {_shown(new)}'
      for name, old, new in different[:3]
  )


def _shown(value: Any) -> str:
  return 'not set' if value is _NO_FIELD else repr(value)


def _plain(value: Any) -> Any:
  """As it comes back from JSON: lists, no tuples."""
  return json.loads(json.dumps(value))


def flat(values: Fields, prefix: str = '') -> dict[str, Any]:
  """Fields without sections.

  Args:
    values: fields, sections within sections.
    prefix: of their names.

  Returns:
    Dotted names to values; empty sections have none.
  """
  fields: dict[str, Any] = {}
  for name, value in values.items():
    if isinstance(value, Mapping):
      fields |= flat(value, f'{prefix}{name}.')
    else:
      fields[prefix + name] = value
  return fields
