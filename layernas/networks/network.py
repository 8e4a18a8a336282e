"""What the rest of the package asks of a network.

It is of the package's own specs (`NetworkSpec`), or any Flax module
(`FlaxNetwork`). Whoever trains, counts, records and exports networks knows no
more of them than stands here.
"""

import abc
import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import ClassVar

from layernas.networks.counting import Counts


@dataclasses.dataclass(frozen=True)
class Task:
  """What networks are for, where that is not to classify images.

  Its functions compute with JAX arrays. A batch is a dict of arrays, as the
  data set gives it, with the examples along the first axis and 'mask', 1 for an
  example and 0 for padding, which they need not look at.

  Attributes:
    loss: takes a network's outputs and the batch; returns a loss for each
      example, float32 of shape (batch,).
    metrics: takes the same; returns numbers by name, of shape (batch,) each,
      whose means are reported. 'loss' is among them already.
    inputs: takes the batch; returns what a network is called with.
    example: what `inputs` gives for one example: a `jax.ShapeDtypeStruct`
      without a batch axis, or a tree of them.
  """

  loss: Callable[[Any, Mapping[str, Any]], Any]
  metrics: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]]
  inputs: Callable[[Mapping[str, Any]], Any]
  example: Any


class NetworkLike(abc.ABC):
  """A network: hashable, equal where it is the same.

  Attributes:
    task: that it is for; None is to classify images.
    flax_module: 'module:function' of what makes its Flax module, called as
      function(config, network, num_classes) with the config of a run.
  """

  task: ClassVar[Task | None] = None
  flax_module: ClassVar[str]

  @abc.abstractmethod
  def counts(self, image_size: int, num_classes: int) -> Counts:
    """Exact counts of the whole network.

    Args:
      image_size: side of its RGB images.
      num_classes: width of the classifier.

    Returns:
      Its counts.
    """

  @abc.abstractmethod
  def check_images(self, image_size: int) -> None:
    """Raises UserError where images are too small for it."""

  @abc.abstractmethod
  def to_dict(self) -> dict[str, Any]:
    """What `networks.registry.network_from_dict` reads back: JSON types."""

  @abc.abstractmethod
  def essence(self) -> dict[str, Any]:
    """What is said of it: JSON types, the same in later versions."""
