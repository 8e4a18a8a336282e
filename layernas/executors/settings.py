"""Fields of the config's section `executor`, checked."""

import dataclasses
import math
from typing import Any

from layernas.errors import UserError

FILE = 'executor.json'
"""Of a workdir: the name that was asked for and the settings that were taken,
so that auto does not measure twice."""

NAMES = ('inline', 'processes', 'ray', 'auto')


@dataclasses.dataclass(frozen=True)
class ExecutorSettings:
  """How and where candidates are evaluated.

  Attributes:
    name: one of `NAMES`.
    workers: processes that evaluate; 0 = as many as there is room for.
    devices: accelerators of a worker; on CPU, virtual devices.
    threads: of a candidate on CPU; 0 = all inline, one in a worker. Sums are
      rounded otherwise with another number.
    retries: attempts at a candidate beyond the first where one may help.
    timeout: seconds of an attempt, and of a worker's start, at most; 0 = no
      limit. Not for inline.
    address: of a Ray cluster; '' = one of this machine alone.
    memory: GiB of a Ray worker that are set apart for it; 0 = none.
  """

  name: str = 'inline'
  workers: int = 0
  devices: int = 1
  threads: int = 0
  retries: int = 2
  timeout: float = 0.0
  address: str = ''
  memory: float = 0.0

  def __post_init__(self) -> None:
    if self.name not in NAMES:
      raise UserError(
          f'executor.name: {self.name!r}: allowed are {list(NAMES)}'
      )
    for field in ('workers', 'devices', 'threads', 'retries'):
      value, least = getattr(self, field), int(field == 'devices')
      if value < least or value != int(value):
        raise UserError(
            f'executor.{field}: {value!r}: allowed are integers >= {least}'
        )
    for field in ('timeout', 'memory'):
      value = getattr(self, field)
      if not 0 <= value < math.inf:
        raise UserError(
            f'executor.{field}: {value!r}: allowed are numbers of zero or more'
        )
    if self.timeout and self.name == 'inline':
      raise UserError(
          f'executor.timeout: {self.timeout!r}: with executor.name inline'
          ' allowed is 0: a process cannot end what it is waiting for'
      )


def executor_settings(section: Any) -> ExecutorSettings:
  """The section of a config.

  Args:
    section: with the fields of `ExecutorSettings`.

  Returns:
    The settings.

  Raises:
    UserError: names the field, its value and what is allowed.
  """
  return ExecutorSettings(**section.to_dict())
