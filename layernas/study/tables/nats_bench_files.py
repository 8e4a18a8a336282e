"""Reads the official NATS-Bench files through their package, `nats_bench`.

Both spaces, each as one file or as a "simple" directory with a file for every
network. One row per network; suffix c10, c100 or in16 names the data set
(CIFAR-10, CIFAR-100, ImageNet16-120), and every value is a mean over seeds:

- index, arch: official index and string.
- val12: validation accuracy after the 12-epoch schedule, per cent. For CIFAR-10
  it is that of 'cifar10-valid', trained on half of the training set.
- test12, test200 (topology) or test90 (size): test accuracy after the 12-epoch
  and the full schedule, per cent. For CIFAR-10 it is that of 'cifar10', trained
  on the whole training set. For the other two it is that of 'x-test', the half
  of the test images that val12 is not measured on.
- simcost12: seconds charged for one query.
- mflops, mparams: multiply-adds and parameters, millions.

`simulate_train_eval` of nats_bench 1.8 with hp='12' answers a query by drawing
one seed and returning its 'x-valid' accuracy after the last epoch, and charges
the sum of its 12 training epochs plus the mean time of one 'x-valid' pass; for
'cifar10' both are those of 'cifar10-valid'. val12 and simcost12 are thus the
expectations of what it returns. In the sample networks in the package's own
repository, topology has two seeds of 'cifar10-valid' there and one of the
others, size three of each.
"""

import dataclasses
import math
import os
import pathlib
import re
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from layernas.errors import UserError
from layernas.errors import not_installed


@dataclasses.dataclass(frozen=True)
class _Space:
  """What tells the two spaces apart.

  Attributes:
    tag: the name that nats_bench gives it.
    epochs: of the full schedule.
    architecture: matches the strings of its networks.
    example: one of them.
  """

  tag: str
  epochs: str
  architecture: re.Pattern[str]
  example: str


_CELL = r'\|{0}~0\|\+\|{0}~0\|{0}~1\|\+\|{0}~0\|{0}~1\|{0}~2\|'.format(r'\w+')

_SPACES = {
    'topology': _Space(
        'tss', '200', re.compile(_CELL),
        '|none~0|+|none~0|none~1|+|none~0|none~1|none~2|',
    ),
    'size': _Space('sss', '90', re.compile(r'\d+(:\d+){4}'), '8:16:24:32:40'),
}

SPACES = tuple(_SPACES)
"""Names of the spaces."""

_SPLITS = {
    'c10': ('cifar10-valid', 'cifar10'),
    'c100': ('cifar100', 'cifar100'),
    'in16': ('ImageNet16-120', 'ImageNet16-120'),
}
"""Where the signal and the test accuracies of a data set are."""

_SIGNAL = ('valid-accuracy', 'train-all-time', 'valid-per-time')


class NatsBenchFiles:
  """The networks of an official file or directory, in index order."""

  def __init__(self, space: str, source: str | os.PathLike[str]):
    """Opens the files: they are pickles, which run code when they are read.

    Args:
      space: one of `SPACES`.
      source: a file NATS-*.pickle.pbz2, which is read at once and whole, or a
        directory NATS-*-simple, of which one network at a time is.

    Raises:
      UserError: nats_bench is not installed, or the source is not one of this
        space or lacks networks.
    """
    if space not in _SPACES:
      raise UserError(f'space: {space!r}; allowed is one of {SPACES}')
    self._space = _SPACES[space]
    self._source = pathlib.Path(source)
    self._api = _open(self._source, self._space.tag)
    self._check_architectures()
    self._check_complete()

  def __len__(self) -> int:
    return len(self._api.meta_archs)

  @property
  def columns(self) -> tuple[str, ...]:
    """Keys of a row, in order."""
    return ('index', 'arch', *(
        f'{name}_{suffix}'
        for suffix in _SPLITS
        for name in ('val12', 'test12', f'test{self._space.epochs}',
                     'simcost12', 'mflops', 'mparams')
    ))

  def rows(self) -> Iterator[dict[str, int | str | float]]:
    """Reads network by network.

    Yields:
      Values by column.

    Raises:
      UserError: a network's results are damaged, or lack a data set, a schedule
        or a value.
    """
    for index, architecture in enumerate(self._api.meta_archs):
      values = [
          value for splits in _SPLITS.values()
          for value in self._values(index, *splits)
      ]
      yield dict(
          zip(self.columns, (index, architecture, *values), strict=True)
      )
      if self._api.fast_mode:
        # The package keeps what it has read: 4 MB for a topology network.
        del self._api.arch2infos_dict[index]

  def _values(self, index: int, signal: str, report: str) -> list[float]:
    """The columns of one data set."""
    accuracy, training, validation = self._ask(
        self._api.get_more_info, index, signal, _SIGNAL, hp='12',
        is_random=False,
    )
    tests = [
        self._ask(
            self._api.get_more_info, index, report, ('test-accuracy',),
            hp=epochs, is_random=False,
        )[0]
        for epochs in ('12', self._space.epochs)
    ]
    costs = self._ask(
        self._api.get_cost_info, index, signal, ('flops', 'params'), hp='12'
    )
    return [accuracy, *tests, training + validation, *costs]

  def _ask(
      self, question: Callable[..., dict[str, Any]], index: int, dataset: str,
      keys: tuple[str, ...], **settings: Any,
  ) -> list[float]:
    """Finite numbers out of the package's answer on one network."""
    try:
      answer = question(index, dataset, **settings)
      numbers = [float(answer[key]) for key in keys]
    # There is nothing that reading a damaged pickle may not raise.
    except Exception as error:
      raise self._error(
          f'network {index} ({self._api.meta_archs[index]}): {dataset} after'
          f' {settings["hp"]} epochs lacks one of {keys}'
          f' ({type(error).__name__}: {error})'
      ) from error
    for key, number in zip(keys, numbers, strict=True):
      if not math.isfinite(number):
        raise self._error(
            f'network {index} ({self._api.meta_archs[index]}): {dataset} after'
            f' {settings["hp"]} epochs has {key} {number}'
        )
    return numbers

  def _check_architectures(self) -> None:
    if not len(self):
      raise self._error('names no networks')
    for index, architecture in enumerate(self._api.meta_archs):
      if not self._space.architecture.fullmatch(str(architecture)):
        raise UserError(
            f'{self._source}: network {index} is {architecture!r}; allowed is'
            f' one such as {self._space.example!r}, for --space of these files'
        )

  def _check_complete(self) -> None:
    """Answers in a second what reading would find out after many minutes."""
    present = set(self._api.arch2infos_dict)
    if self._api.fast_mode:
      names = (path.name.partition('.')[0] for path in self._source.iterdir())
      present = {int(name) for name in names if name.isdecimal()}
    missing = sorted(set(range(len(self))) - present)
    if missing:
      raise self._error(
          f'network {missing[0]} ({self._api.meta_archs[missing[0]]}) is'
          f' missing, {len(missing)} of {len(self)} are'
      )

  def _error(self, found: str) -> UserError:
    return UserError(
        f'{self._source}: {found}; allowed are the complete official files'
    )


def _open(source: pathlib.Path, tag: str) -> Any:
  """Makes the package's reader of a file or directory."""
  try:
    import nats_bench  # noqa: PLC0415
  except ImportError as error:
    raise not_installed(
        f'{source}', 'nats_bench 1.8', 'nats_bench==1.8'
    ) from error
  try:
    return nats_bench.create(
        str(source), tag, fast_mode=source.is_dir(), verbose=False
    )
  # There is nothing that reading a damaged pickle may not raise.
  except Exception as error:
    raise UserError(
        f'{source}: {type(error).__name__}: {error}; allowed is an official'
        f' file NATS-{tag}-*.pickle.pbz2 or directory NATS-{tag}-*-simple'
    ) from error
