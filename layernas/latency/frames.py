"""What is timed of a space by files: modules in frames, and the frames alone.

A runtime of files does not run a module alone as it runs it inside of a
network. It converts what enters and leaves to a layout of its own, and a call
costs as much as a small module. So what is timed is a module between two
small operations, its frame: a 1x1 convolution that makes its input from an
image, and a mean over the pixels of its output. From that the time of the frame
alone is subtracted.

In the sum over a network's modules each mean stands twice, with both signs, but
for the last one. What is left is a network, and one call of it: the stem's row
has the call.
"""

import dataclasses
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

from layernas.latency.stopwatch import Timing
from layernas.networks.space import SizedModule
from layernas.networks.spec import Head
from layernas.networks.spec import Stem


@dataclasses.dataclass(frozen=True)
class Framed:
  """A module in its frame, or a frame alone; takes images.

  Attributes:
    size: side of the images, and of what the module receives.
    filters: of what the module receives.
    placed: the module; None is the frame alone.
  """

  size: int
  filters: int
  placed: SizedModule | None = None

  @property
  def name(self) -> str:
    """Signature of the module, or of a frame alone its own."""
    if self.placed:
      return self.placed.signature
    return f'frame size={self.size} filters={self.filters}'

  @property
  def has_conv(self) -> bool:
    """Whether it begins with the convolution; a stem receives the image."""
    return not (self.placed and isinstance(self.placed.module, Stem))

  @property
  def has_mean(self) -> bool:
    """Whether it ends with the mean, which a head has itself."""
    return not (self.placed and isinstance(self.placed.module, Head))

  @property
  def frame(self) -> 'Framed | None':
    """What is subtracted from a module's time; of a stem nothing."""
    if self.placed and self.has_conv:
      return Framed(self.size, self.filters)
    return None


def framed(modules: Iterable[SizedModule]) -> list[Framed]:
  """All that has to be timed for a table of modules.

  Args:
    modules: of which the table is.

  Returns:
    Each module in its frame, and each frame before the first of its modules.
  """
  found: dict[str, Framed] = {}
  for placed in modules:
    one = Framed(placed.size, placed.input_filters, placed)
    for each in filter(None, (one.frame, one)):
      found.setdefault(each.name, each)
  return list(found.values())


def module_timings(
    programs: Sequence[Framed], timings: Mapping[str, Timing]
) -> dict[str, Timing]:
  """Timings of modules without their frames.

  Args:
    programs: of `framed`.
    timings: of all of them, by name.

  Returns:
    By signature; 0 where a module seems no slower than its frame.
  """
  return {
      one.name: timings[one.name].without(
          timings[one.frame.name].milliseconds if one.frame else 0.0
      )
      for one in programs if one.placed
  }
