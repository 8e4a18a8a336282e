"""Charts laid out for SVG: where marks and lines stand, and what axes say.

Everything is in pixels of a chart of `WIDTH` x `HEIGHT`; a template draws it.
"""

import dataclasses
import math
from collections.abc import Iterable
from collections.abc import Sequence

WIDTH, HEIGHT = 460, 300

LEFT, RIGHT, TOP, BOTTOM = 62, 12, 12, 46
"""Margins around the area in which marks stand."""

_MARGIN = 0.04
"""Free share of an axis on each side of the outermost values."""

_TICKS = 5
"""Steps of an axis at most."""

_LARGEST = 1e300
"""Number that is drawn, so that the length of an axis is one, too. Larger ones,
such as penalties, stand where it would."""

Point = tuple[float, float]
"""Across and up, in the units of the axes."""


@dataclasses.dataclass(frozen=True)
class Mark:
  """A point of a chart.

  Attributes:
    x: pixels from the left.
    y: pixels from the top.
    kind: class of its look.
    text: shown on hover.
  """

  x: float
  y: float
  kind: str
  text: str


@dataclasses.dataclass(frozen=True)
class Tick:
  """A place on an axis, in pixels, and what stands there."""

  place: float
  text: str


@dataclasses.dataclass(frozen=True)
class Axis:
  """An axis and the pixels that it spans.

  Attributes:
    label: what it shows, with the unit.
    low: value at the beginning.
    high: value at the end, above `low`.
    begin: pixel of `low`.
    end: pixel of `high`.
  """

  label: str
  low: float
  high: float
  begin: float
  end: float

  def place(self, value: float) -> float:
    """The pixel of a value, to a tenth."""
    share = (_drawn(value) - self.low) / (self.high - self.low)
    return round(self.begin + share * (self.end - self.begin), 1)

  @property
  def ticks(self) -> list[Tick]:
    """Round values within the axis."""
    step = _step((self.high - self.low) / _TICKS)
    decimals = max(0, -math.floor(math.log10(step)))
    numbers = range(
        math.ceil(self.low / step), math.floor(self.high / step) + 1
    )
    return [
        Tick(self.place(number * step), f'{number * step:,.{decimals}f}')
        for number in numbers
    ]


def across(label: str, values: Iterable[float], zero: bool = False) -> Axis:
  """The horizontal axis of some values.

  Args:
    label: what it shows.
    values: that have to be within; none are as a zero.
    zero: whether it begins at zero, which no value is below.

  Returns:
    The axis.
  """
  low, high = _ends(values, zero)
  return Axis(label, low, high, LEFT, WIDTH - RIGHT)


def upwards(label: str, values: Iterable[float]) -> Axis:
  """The vertical axis of some values; see `across`."""
  low, high = _ends(values)
  return Axis(label, low, high, HEIGHT - BOTTOM, TOP)


@dataclasses.dataclass(frozen=True)
class Line:
  """A line of steps.

  Attributes:
    path: in the language of SVG.
    kind: class of its look.
    name: shown on hover.
  """

  path: str
  kind: str
  name: str


@dataclasses.dataclass(frozen=True)
class Chart:
  """A picture.

  Attributes:
    title: above it.
    x: horizontal axis.
    y: vertical axis.
    lines: drawn below the marks.
    marks: in the order in which they are drawn.
    band: pixels from and to of a shaded part across; None for none.
    note: below it, or ''.
  """

  title: str
  x: Axis
  y: Axis
  lines: Sequence[Line] = ()
  marks: Sequence[Mark] = ()
  band: Point | None = None
  note: str = ''


def steps(x: Axis, y: Axis, points: Sequence[Point], end: float) -> str:
  """A line that keeps each value until the next one comes.

  Args:
    x: horizontal axis.
    y: vertical axis.
    points: by place across, one at least.
    end: where the line ends.

  Returns:
    A path of SVG.
  """
  (first, value), *rest = points
  parts = [f'M{x.place(first)} {y.place(value)}']
  parts += [f'H{x.place(at)}V{y.place(value)}' for at, value in rest]
  return ''.join([*parts, f'H{x.place(end)}'])


def band(axis: Axis, low: float, high: float) -> Point | None:
  """The pixels of an interval.

  Args:
    axis: horizontal.
    low: minus infinity for none.
    high: infinity for none.

  Returns:
    From and to; None where the interval has no limit or is not in the picture.
  """
  low, high = max(low, axis.low), min(high, axis.high)
  if low >= high or (low, high) == (axis.low, axis.high):
    return None
  return axis.place(low), axis.place(high)


def _ends(values: Iterable[float], zero: bool = False) -> Point:
  """Ends of an axis that leaves a margin around its values."""
  found = list(values) or [0.0]
  low, high = _drawn(min(found)), _drawn(max(found))
  margin = _MARGIN * ((high - low) or abs(high)) or _MARGIN
  return (0.0 if zero else low - margin), high + margin


def _drawn(value: float) -> float:
  return min(max(value, -_LARGEST), _LARGEST)


def _step(least: float) -> float:
  """The smallest of 1, 2 and 5 times a power of ten that is large enough."""
  power = 10.0 ** math.floor(math.log10(least))
  return next(
      factor * power for factor in (1, 2, 5, 10)
      if factor * power >= least * (1 - 1e-9)
  )
