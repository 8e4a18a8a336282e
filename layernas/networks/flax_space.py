"""Search spaces over any Flax module: one's own network, and a list of choices.

    def space():
      return FlaxSpace(
          [Choice('width', (32, 48, 64), default=1), Choice('depth', (1, 2))],
          build=lambda choices, num_classes: MyNet(num_classes, **choices),
      )

`build` makes a `flax.linen.Module` that is called as module(images, train) and
returns logits, float32 or narrower, one for each class. It needs no formula of
its costs: parameters and multiply-adds are read from abstract traces of the
module, and counting networks shows which layers interact
(`layernas.search.decomposition`). This module does not import JAX before a
network is counted.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from layernas import lookup
from layernas.errors import UserError
from layernas.networks.counting import Counts
from layernas.networks.interface import METRICS
from layernas.networks.interface import Space
from layernas.networks.network import NetworkLike
from layernas.networks.network import Task
from layernas.plain import plain
from layernas.search.cost import Cost
from layernas.search.decomposition import Decomposition
from layernas.search.decomposition import decompose
from layernas.search.space import Architecture
from layernas.search.space import Layer
from layernas.search.space import SearchSpace
from layernas.search.space import architecture_id
from layernas.storage.resuming import digest

Build = Callable[..., Any]
"""Takes choices by the names of the layers, the number of classes and perhaps a
width; returns a `flax.linen.Module`."""

COUNT = 'layernas.models.own_module:counted'
"""Counts a network; called as function(network, image_size, classes)."""

REMARKS = 'layernas.models.own_module:remarks'
"""Says what the counts are of; called with the same arguments."""

DIGEST = 'layernas.models.own_module:trace_text'
"""Identifies a module; called with the same arguments."""

# Networks that are counted at most for the factors of a cost.
_BUDGET = 5000


@dataclasses.dataclass(frozen=True)
class Choice:
  """A layer of a `FlaxSpace`.

  Attributes:
    name: unique within the space, and the key of `build`'s choices.
    options: what can be chosen; hashable and all different.
    default: index of the option of the default network.
  """

  name: str
  options: tuple[Any, ...]
  default: int = 0

  def __post_init__(self) -> None:
    if isinstance(self.options, str) or not isinstance(self.options, Iterable):
      raise UserError(
          f'layer {self.name!r}: options {self.options!r}: allowed is a tuple'
          ' of them'
      )
    options = tuple(map(plain, self.options))
    object.__setattr__(self, 'options', options)
    known: dict[Any, int] = {}
    for index, option in enumerate(options):
      try:
        other = known.setdefault(option, index)
      except TypeError as error:
        raise UserError(
            f'layer {self.name!r}: option {option!r}: {error}; allowed are'
            ' hashable values, such as a tuple in place of a list'
        ) from error
      if other != index:
        raise UserError(
            f'layer {self.name!r}: options {other} and {index} are both'
            f' {option!r}; allowed are different options'
        )


@dataclasses.dataclass(frozen=True)
class FlaxNetwork(NetworkLike):
  """A network that a `FlaxSpace` makes.

  Attributes:
    space: the space that makes it.
    architecture: one option index per layer.
    width: factor of its filters; 1 for the network of the architecture itself.
  """

  flax_module = 'layernas.models.own_module:of_config'

  space: 'FlaxSpace' = dataclasses.field(repr=False)
  architecture: Architecture
  width: float = 1.0

  @property
  def task(self) -> Task | None:
    """The task of its space."""
    return self.space.task

  @property
  def choices(self) -> dict[str, Any]:
    """Chosen options by the names of the layers."""
    return self.space.search_space.describe(self.architecture)

  def module(self, num_classes: int) -> Any:
    """Builds the Flax module.

    Args:
      num_classes: width of the classifier.

    Returns:
      The module that the user's function returns.

    Raises:
      UserError: the function raised an error; the message has the choices, and
        file and line.
    """
    named = {} if self.width == 1 else {'width': self.width}
    with lookup.blamed(f'space: network {self}', self.space.build):
      return self.space.build(self.choices, num_classes, **named)

  def counts(
      self, image_size: int, num_classes: int, first_pass: bool = False
  ) -> Counts:
    """See `NetworkLike`; each module is traced once.

    Args:
      image_size: side of its RGB images.
      num_classes: width of the classifier.
      first_pass: whether to count the pass of `init`, which takes half the
        time.

    Returns:
      Its counts.

    Raises:
      UserError: the network cannot be built, traced or counted, or its output
        cannot be trained; the message names its choices.
    """
    count = lookup.find('space', COUNT, {})
    return count(self, image_size, num_classes, first_pass)

  def check_images(self, image_size: int) -> None:
    """See `NetworkLike`; counting the network reports what does not fit."""

  def to_dict(self) -> dict[str, Any]:
    """See `NetworkLike`."""
    values = {
        'space': self.space.name,
        'architecture': architecture_id(self.architecture),
        'choices': {
            name: option_json(option) for name, option in self.choices.items()
        },
    }
    return values if self.width == 1 else {**values, 'width': self.width}

  def essence(self) -> dict[str, Any]:
    """See `NetworkLike`; the name of the space may change."""
    values = self.to_dict()
    del values['space']
    return values

  def __str__(self) -> str:
    width = '' if self.width == 1 else f' at width {self.width:g}'
    return f'{self.choices}{width}'


class FlaxSpace(Space):
  """A search space over Flax modules that a function makes.

  Attributes:
    layers: the choices, in the order in which a forward schedule decides them.
    build: makes the module of given choices.
    scales: whether it can also make the module at another width.
    task: task of the networks; None is to classify images.
  """

  def __init__(
      self, layers: Iterable[Choice], build: Build, scales: bool = False,
      task: Task | None = None,
  ):
    """Builds nothing yet.

    Args:
      layers: at least one.
      build: called as build(choices, num_classes).
      scales: whether it can also be called as build(choices, num_classes,
        width=0.8), which multiplies all widths of the network. A search then
        compares its answer with the default network scaled to the limit, and so
        does the final training.
      task: task of the networks, if they do not classify images: loss, metrics
        and inputs.

    Raises:
      UserError: a layer is no `Choice`, or there is none.
    """
    self.layers = tuple(layers)
    for layer in self.layers:
      if not isinstance(layer, Choice):
        raise UserError(
            f'space: layer {layer!r}: allowed is a Choice'
        )
    if not callable(build):
      raise UserError(f'space: build {build!r}: allowed is a function')
    self.build, self.scales, self.task = build, scales, task
    super().__init__(SearchSpace(
        Layer(layer.name, layer.options, layer.default)
        for layer in self.layers
    ))

  def network_of(self, architecture: Architecture) -> FlaxNetwork:
    """See `Space`."""
    return FlaxNetwork(self, architecture)

  def default_scaled(
      self, width: float, rule: str, divisor: int
  ) -> FlaxNetwork | None:
    """See `Space`; rule and divisor do not matter here."""
    del rule, divisor
    if not self.scales:
      return None
    return FlaxNetwork(self, self.search_space.default, width)

  def cost(self, metric: str, image_size: int, num_classes: int) -> Cost:
    """See `Space`.

    The factors are found by counting some hundred networks, or taken from
    `facts`. If the cost does not factor, only whole networks have a cost, and a
    search can check only whole networks against the target.
    """
    if metric not in METRICS:
      raise UserError(f'cost.metric: {metric!r}: allowed are {list(METRICS)}')

    def count(architecture: Architecture, first_pass: bool = False) -> int:
      network = self.network_of(architecture)
      return getattr(
          network.counts(image_size, num_classes, first_pass), metric
      )

    key = digest([
        metric, image_size, self.content(image_size, num_classes)
    ])
    if key in self.facts:
      found = Decomposition.from_dict(self.search_space, self.facts[key])
    else:
      first_pass = self._check_options(image_size, num_classes)
      what = f'cost {metric!r} of {self.name or "a space"}'
      found = decompose(
          self.search_space,
          lambda architecture: count(architecture, first_pass), _BUDGET,
          progress=lambda done, total: self._tell(what, done, total),
      )
      self.facts[key] = found.to_dict()
    default = self.network_of(self.search_space.default)
    remarks = lookup.find('space', REMARKS, {})
    self.found = (str(found), *remarks(default, image_size, num_classes))
    return found.cost(metric, METRICS[metric], count)

  def content(self, image_size: int, num_classes: int) -> dict[str, Any]:
    """See `Space`: every option, and the trace of the default network."""
    default = self.network_of(self.search_space.default)
    trace = lookup.find('space', DIGEST, {})
    return {
        'layers': [
            {
                'name': layer.name, 'default': layer.default,
                'options': list(map(option_json, layer.options)),
            }
            for layer in self.layers
        ],
        'default': trace(default, image_size, num_classes),
    }

  def _check_options(self, image_size: int, num_classes: int) -> bool:
    """Builds and traces the default network with each option in its place.

    Args:
      image_size: side of the images.
      num_classes: width of the classifier.

    Returns:
      Whether the pass that `init` makes gives all of them the same counts.
    """
    changed = self.search_space.each_option()
    what, same = f'options of {self.name or "a space"}', True
    for done, one in enumerate(changed, 1):
      network = self.network_of(one)
      first, whole = (
          network.counts(image_size, num_classes, first_pass)
          for first_pass in (True, False)
      )
      same &= first == whole
      self._tell(what, done, len(changed))
    return same

  def _tell(self, what: str, done: int, total: int) -> None:
    if self.progress:
      self.progress(what, done, total)


def option_json(option: Any) -> Any:
  """An option as JSON types.

  Args:
    option: option of a layer.

  Returns:
    JSON types; functions and classes are given by module and name, all else
    that JSON does not know by its `repr`.
  """
  if isinstance(option, tuple | list):
    return list(map(option_json, option))
  if option is None or isinstance(option, bool | int | float | str):
    return option
  name = getattr(option, '__qualname__', '')
  return f'{option.__module__}:{name}' if name else repr(option)
