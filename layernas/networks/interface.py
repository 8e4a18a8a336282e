"""The interface of network spaces for the rest of the package.

A search knows architectures, one option index per layer. A space makes the
network that is trained for an architecture: one of the package's own specs
(`NetworkSpace`) or any Flax module (`FlaxSpace`).
"""

import abc
import copy
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Self

from layernas.errors import UserError
from layernas.networks.network import NetworkLike
from layernas.search.cost import Cost
from layernas.search.space import Architecture
from layernas.search.space import Network
from layernas.search.space import SearchSpace

METRICS = {'madds': 'MAdds', 'params': 'parameters'}
"""Counted cost metrics of a network and their units: fields of `Counts`."""


class Space(abc.ABC):
  """A search space whose architectures are networks.

  Attributes:
    search_space: its layers, for the search half.
    name: its name in configs; '' if it has none.
    named: networks outside the space by name, see `with_named`.
    facts: facts that took long to find, as JSON types by name; a workdir keeps
      them for the next run.
    found: lines of text on what was found out about the cost.
    progress: called during long work with its description, the part done and
      the whole.
  """

  name: str = ''

  def __init__(self, search_space: SearchSpace):
    """Makes a space without facts.

    Args:
      search_space: the layers.
    """
    self.search_space = search_space
    self.named: Mapping[str, NetworkLike] = {}
    self.facts: dict[str, Any] = {}
    self.found: tuple[str, ...] = ()
    self.progress: Callable[[str, int, int], None] | None = None

  @abc.abstractmethod
  def network_of(self, architecture: Architecture) -> NetworkLike:
    """The network of an architecture of this space."""

  @abc.abstractmethod
  def cost(
      self, metric: str, image_size: int, num_classes: int
  ) -> Cost:
    """Exact cost of this space's networks.

    Args:
      metric: a key of `METRICS`.
      image_size: side of the images in pixels.
      num_classes: width of the classifier.

    Returns:
      The model.

    Raises:
      UserError: unknown metric, or images that do not fit the networks.
    """

  @abc.abstractmethod
  def content(self, image_size: int, num_classes: int) -> dict[str, Any]:
    """What determines the networks, as JSON types; for digests."""

  @abc.abstractmethod
  def default_scaled(
      self, width: float, rule: str, divisor: int
  ) -> NetworkLike | None:
    """The default network at another width.

    Args:
      width: factor of all filters.
      rule: a key of `reference.WIDTH_RULES`.
      divisor: number to whose multiples filters are rounded.

    Returns:
      The network; None if the space cannot scale.
    """

  def architecture_of(self, network: NetworkLike) -> Architecture | None:
    """Inverse of `network_of`.

    Args:
      network: any network.

    Returns:
      Its architecture; None if the space does not have it, or cannot tell.
    """
    del network
    return None

  def network(self, architecture: Network) -> NetworkLike:
    """The network of an architecture or of a name.

    Args:
      architecture: one option index per layer, or a key of `named`.

    Returns:
      The network.

    Raises:
      UserError: the architecture is not one of this space.
    """
    if isinstance(architecture, str):
      if architecture not in self.named:
        raise UserError(
            f'network {architecture!r}: allowed are architectures of the space'
            f' and {list(self.named)}'
        )
      return self.named[architecture]
    self.search_space.check(architecture)
    return self.network_of(tuple(architecture))

  def with_named(self, networks: Mapping[str, NetworkLike]) -> Self:
    """This space with further networks that are trained beside its own.

    Args:
      networks: networks by name; a name is words of small letters joined by
        dashes.

    Returns:
      A space with the same networks and these names.
    """
    space = copy.copy(self)
    space.named = {**self.named, **networks}
    return space
