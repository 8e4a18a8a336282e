"""The interface of networks for the rest of the package.

A network is one of the package's own specs (`NetworkSpec`) or any Flax module
(`FlaxNetwork`). Code that trains, counts, records and exports networks knows
only this interface.
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
  """The task of networks that do not classify images.

  The functions compute with JAX arrays. A batch is a dict of arrays from the
  data set, with the examples along the first axis, and 'mask', 1 for an example
  and 0 for padding, which the functions may ignore.

  Attributes:
    loss: takes a network's outputs and the batch; returns a loss for each
      example, float32 of shape (batch,).
    metrics: takes the same; returns arrays of shape (batch,) by name, whose
      means are reported. 'loss' is reported anyway.
    inputs: takes the batch; returns the inputs of a network.
    example: shapes of what `inputs` returns for one example: a
      `jax.ShapeDtypeStruct` without a batch axis, or a tree of them.
  """

  loss: Callable[[Any, Mapping[str, Any]], Any]
  metrics: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]]
  inputs: Callable[[Mapping[str, Any]], Any]
  example: Any


class NetworkLike(abc.ABC):
  """A network; hashable, and equal to the same network.

  Attributes:
    task: task of the network; None is to classify images.
    flax_module: 'module:function' of the function that makes its Flax module,
      called as function(config, network, num_classes) with the config of a run.
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
    """Raises UserError if images are too small for the network."""

  @abc.abstractmethod
  def to_dict(self) -> dict[str, Any]:
    """The network as JSON types, for `registry.network_from_dict`."""

  @abc.abstractmethod
  def essence(self) -> dict[str, Any]:
    """The network as JSON types that stay the same in later versions."""
