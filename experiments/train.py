"""Trains a found network to the end and tests it beside a reference.

  python experiments/train.py --architecture=workdir/cifar10_small/result.json

Without --config the one recorded in result.json is used; a published network
(--architecture=mobilenet_v2) needs --config. The same command goes on where it
was interrupted.
"""

from collections.abc import Iterator
from typing import Any

from absl import flags
from etils import epath
from ml_collections import ConfigDict

from configs import default
from layernas.errors import UserError
from layernas.runs import cli

_ARCHITECTURE = flags.DEFINE_string(
    'architecture', None, 'A result.json, or the name of a published network.',
    required=True,
)
_CONFIG = cli.define_config('Config file; default: that of the search.')
_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'Directory of the run; default: final/ beside result.json.'
)
_JOIN_HOSTS = cli.define_hosts()


def main() -> None:
  """Trains and tests."""
  # JAX is slow to import; a wrong flag is answered before.
  from layernas.runs import final  # noqa: PLC0415
  from layernas.training import hosts  # noqa: PLC0415

  _JOIN_HOSTS()
  architecture = hosts.on_all(
      lambda: final.read_architecture(_ARCHITECTURE.value)
  )
  if _CONFIG.value is None and architecture.config:
    config = _recorded(architecture.config)
  else:
    config = cli.config_of(_CONFIG)
  workdir = _WORKDIR.value
  if workdir is None and not architecture.config:
    raise UserError('flag --workdir: missing; allowed is a directory')
  beside = epath.Path(_ARCHITECTURE.value).parent / 'final'
  final.run_final(config, architecture, workdir or beside)


def _recorded(fields: dict[str, Any]) -> ConfigDict:
  """The config in a result.json, which another version may have written."""
  here = set(_names(fields))
  lacking = [
      name for name in _names(default.get_config().to_dict())
      if name not in here
  ]
  if lacking:
    raise UserError(
        f'file {_ARCHITECTURE.value}: its config has no field {lacking[0]!r};'
        ' allowed is a result.json of this version of the program, or'
        ' --config'
    )
  return ConfigDict(fields).lock()


def _names(fields: dict[str, Any], prefix: str = '') -> Iterator[str]:
  """Dotted names of all fields."""
  for name, value in fields.items():
    yield prefix + name
    if isinstance(value, dict):
      yield from _names(value, f'{prefix}{name}.')


if __name__ == '__main__':
  cli.run(main, resumable=True)
