"""Factors of a cost that has no formula, found by counting networks.

The cost is a function of an architecture that is called. Its anchored
decomposition (`terms`) is a sum of terms, one for each set of layers that
interact. The anchor is the default network, or the most expensive one if a
layer changes nothing in the default, such as the kernel of a block that it
leaves out. Which layers interact is tested from pairs to larger sets, each set
whose subsets all do, by its term at one or two options of each layer. The
largest sets become the scopes of factors. The tables of their terms are filled
with counts; large ones are products of functions of single layers, if some
entries say so.

A test can miss an interaction. Networks far from the anchor are counted, half
of them random, half so that they hold every pair of options of two layers as
far as their number goes. If the factors are wrong, bisection finds the layers
that are responsible: a further scope, or a table that is no product. In the end
the factors reproduce every count that was made.

Factors are then made of terms around the cheapest options: costs that are sums
of products of growing functions have terms that grow, too, and factor-wise
bounds of them are exact.

L layers of n options take 1 + L (n - 1) counts, at most L (L - 1) tests, (n -
1)^2 counts for each pair that interacts, for each larger set that many with
another exponent, or k (n - 2) + 5 for a product over k layers; and the
verification. That is 435 for 12 layers of 5 options of which neighbours
interact, 100 of them to verify.
"""

import dataclasses
import itertools
import math
import random
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

from layernas.errors import UserError
from layernas.search.cost import Cost
from layernas.search.cost import CountedCost
from layernas.search.cost import Factor
from layernas.search.cost import FactoredCost
from layernas.search.cost import JointlyBoundedCost
from layernas.search.space import Architecture
from layernas.search.space import SearchSpace
from layernas.search.space import architecture_id
from layernas.search.space import parse_architecture_id
from layernas.search.terms import Count
from layernas.search.terms import Counts
from layernas.search.terms import Progress
from layernas.search.terms import Scope
from layernas.search.terms import SpentError
from layernas.search.terms import Terms
from layernas.search.terms import joined
from layernas.search.terms import largest
from layernas.search.terms import reanchored
from layernas.search.terms import summed
from layernas.search.terms import within

# Mixed differences that a set of layers is tested by.
_TESTS = 2

# Layers that are named where there are more.
_NAMED = 4

# Entries of a factor's table at most: more take seconds to add up.
_ENTRIES = 100_000


@dataclasses.dataclass(frozen=True, eq=False)
class Decomposition:
  """The factors of a cost, and what counting found beside them.

  Attributes:
    space: space of the architectures.
    factors: factors whose sum is the cost; None if it does not factor.
    known: the networks that were counted.
    verified: number of networks, chosen independently of the factors, that
      agreed with them at once; or all networks of the space.
    reason: why it does not factor; '' if it does.
  """

  space: SearchSpace
  factors: tuple[Factor, ...] | None
  known: Mapping[Architecture, int]
  verified: int = 0
  reason: str = ''

  def cost(self, name: str, unit: str, count: Count) -> Cost:
    """The cost, for searches.

    Args:
      name: name of the cost.
      unit: printed behind costs.
      count: the function; called only if the cost does not factor.

    Returns:
      A cost with exact reachable intervals, or one that counts every network.
    """
    if self.factors is None:
      return CountedCost(name, self.space, count, unit, self.known)
    return JointlyBoundedCost(name, self.space, self.factors, unit)

  def __str__(self) -> str:
    """What was found, for people."""
    layers = f'{len(self.space)} layer{"s" * (len(self.space) > 1)}'
    if self.factors is None:
      return (
          f'{layers}: the cost does not factor: {self.reason}; every network is'
          ' counted, and only whole networks are checked against the target'
      )
    sizes = [len(factor.scope) for factor in self.factors if factor.scope]
    parts = [_factors_text(sizes.count(size), size)
             for size in sorted(set(sizes), reverse=True)]
    on = (
        f'all {self.verified:,}' if self.verified == self.space.size
        else f'{self.verified:,} random'
    )
    return (
        f'{layers}: {", ".join(parts) or "a constant cost"}; verified on {on}'
        f' networks ({len(self.known):,} counted)'
    )

  def to_dict(self) -> dict[str, Any]:
    """The decomposition as JSON types, the input of `from_dict`."""
    return {
        'layers': _layers(self.space),
        'factors': self.factors and [
            {'scope': list(factor.scope), 'table': factor.table.tolist()}
            for factor in self.factors
        ],
        'known': {
            architecture_id(one): count for one, count in self.known.items()
        },
        'verified': self.verified,
        'reason': self.reason,
    }

  @classmethod
  def from_dict(
      cls, space: SearchSpace, data: Mapping[str, Any]
  ) -> 'Decomposition':
    """Inverse of `to_dict`; counts nothing.

    Args:
      space: space of the architectures.
      data: output of `to_dict`.

    Returns:
      The decomposition.

    Raises:
      UserError: the data are of other layers.
    """
    if data['layers'] != _layers(space):
      raise UserError(
          f'factors of layers {data["layers"]}: allowed are those of the space,'
          f' {_layers(space)}'
      )
    factors = data['factors']
    return cls(
        space,
        factors and tuple(
            Factor(tuple(one['scope']), np.array(one['table'], np.int64))
            for one in factors
        ),
        {
            parse_architecture_id(text): count
            for text, count in data['known'].items()
        },
        data['verified'],
        data['reason'],
    )


def _layers(space: SearchSpace) -> list[list[Any]]:
  """What factors must fit, in JSON: names, numbers of options, defaults."""
  return [
      [layer.name, len(layer.options), layer.default] for layer in space.layers
  ]


def _factors_text(number: int, layers: int) -> str:
  return (
      f'{number} factor{"s" * (number > 1)} of {layers}'
      f' layer{"s" * (layers > 1)}'
  )


def decompose(
    space: SearchSpace, count: Count, budget: int = 5000,
    verifications: int = 100, seed: int = 0, progress: Progress | None = None,
) -> Decomposition:
  """Finds the factors of a cost.

  Args:
    space: space of the architectures.
    count: the cost of an architecture, called once for each.
    budget: largest number of calls.
    verifications: number of networks on which the factors are verified, or all
      networks of a smaller space.
    seed: seed of their choice.
    progress: called after each call of `count`.

  Returns:
    The decomposition; without factors if they would take more calls than the
    budget has.

  Raises:
    UserError: a count is no integer.
  """
  counts = Counts(space, count, budget, progress)
  try:
    search = _Interactions(counts, verifications)
    search.test()
    model, verified = search.verified(random.Random(seed))
  except SpentError as spent:
    return Decomposition(space, None, counts.known, reason=str(spent))
  cheapest = tuple(
      min(range(options), key=lambda option: counts.at({layer: option}))
      for layer, options in enumerate(space.option_counts)
  )
  model = reanchored(model, search.scopes, cheapest)
  return Decomposition(space, model.factors, counts.known, verified)


class _Interactions:
  """Sets of layers that interact.

  Attributes:
    scopes: the largest ones, and single layers in none of them.
  """

  def __init__(self, counts: Counts, verifications: int):
    """Chooses the anchor; counts it and every change of one layer.

    Args:
      counts: of networks.
      verifications: networks to verify factors on.
    """
    self._counts = counts
    self._space = counts.space
    self._verifications = min(verifications, self._space.size)
    self.scopes: list[Scope] = [
        (i,) for i, options in enumerate(self._space.option_counts)
        if options > 1
    ]
    self._plan(1 + sum(
        options - 1 for options in self._space.option_counts
    ))
    effects = self._effects()
    if any(one and not any(one.values()) for one in effects):
      counts.anchor = tuple(
          max(one, key=one.__getitem__) if max(one.values(), default=0) > 0
          else layer.default
          for one, layer in zip(effects, self._space.layers, strict=True)
      )
      effects = self._effects()
    self._tested = [_to_test(one) for one in effects]
    self._terms = Terms(counts, [one[0] if one else 0 for one in self._tested])

  def test(self) -> None:
    """Finds scopes by mixed differences, from pairs to larger sets.

    Raises:
      SpentError: their tables would take too many counts.
    """
    found = set(self.scopes)
    every = set(found)
    needed = 1 + sum(map(self._terms.needed, found))
    size = 2
    while candidates := list(joined(found, size)):
      found = set()
      for place, scope in enumerate(candidates):
        self._plan(needed + (len(candidates) - place) * _TESTS)
        if self._interact(scope):
          found.add(scope)
          every.add(scope)
          needed += self._terms.needed(scope)
          self._check(needed, found)
      size += 1
    self.scopes = largest(every)
    joint = [scope for scope in self.scopes if len(scope) > 1]
    self._check_entries()
    self._check(self._needed(self.scopes), joint)

  def verified(self, rng: random.Random) -> tuple[FactoredCost, int]:
    """Fills the tables, and adds scopes until the factors are right.

    Args:
      rng: of the networks to verify with.

    Returns:
      The sum of the factors, and the number of networks it was verified on.

    Raises:
      SpentError: the counts do not suffice.
    """
    model = self._filled()
    agreed: set[Architecture] = set()
    for architecture in _verifying(self._space, self._verifications, rng):
      if model.cost(architecture) == self._counts(architecture):
        agreed.add(architecture)
      else:
        model = self._repaired(model, architecture)
      if len(agreed) >= self._verifications:
        break
    # An enumeration repairs as it goes: at its end all are right.
    return model, self._verifications

  def _repaired(
      self, model: FactoredCost, wrong: Architecture | None
  ) -> FactoredCost:
    """Adds scopes until a network, and all that were counted, are right."""
    while wrong is not None:
      scope = self._responsible(model, wrong)
      if any(set(scope) <= set(other) for other in self.scopes):
        self._terms.whole.add(scope)
      self.scopes = largest({*self.scopes, scope})
      self._check_entries()
      self._check(self._needed(self.scopes), [scope])
      model = self._filled()
      wrong = self._first_wrong(model)
    return model

  def _first_wrong(self, model: FactoredCost) -> Architecture | None:
    every = list(self._counts.known)
    counts = np.array(list(self._counts.known.values()), np.int64)
    wrong = np.flatnonzero(model.costs(np.array(every)) != counts)
    return every[wrong[0]] if wrong.size else None

  def _responsible(self, model: FactoredCost, wrong: Architecture) -> Scope:
    """Layers at whose options, the others as in the anchor, a model is wrong.

    Args:
      model: right at the anchor.
      wrong: where it is not.

    Returns:
      A set of layers none of which can be left out.
    """
    anchor = self._counts.anchor

    def is_wrong(layers: Iterable[int]) -> bool:
      kept = set(layers)
      network = tuple(
          (wrong if layer in kept else anchor)[layer]
          for layer in range(len(wrong))
      )
      return model.cost(network) != self._counts(network)

    core: list[int] = []
    rest = [i for i, option in enumerate(wrong) if option != anchor[i]]
    while not is_wrong(core):
      # Right with the first `right` of the rest, wrong with the first `many`.
      right, many = 0, len(rest)
      while many - right > 1:
        middle = (right + many) // 2
        if is_wrong(core + rest[:middle]):
          many = middle
        else:
          right = middle
      core.append(rest[many - 1])
      del rest[many - 1:]
    for layer in list(core):
      fewer = [one for one in core if one != layer]
      if is_wrong(fewer):
        core = fewer
    return tuple(sorted(core))

  def _filled(self) -> FactoredCost:
    """Counts what the tables of the scopes take."""
    tables = self._terms.tables(self.scopes)
    return summed(self._space, self.scopes, tables)

  def _effects(self) -> list[dict[int, int]]:
    """For each layer, what each change of it alone adds to the anchor."""
    base = self._counts.at({})
    return [
        {
            option: self._counts.at({layer: option}) - base
            for option in range(options)
            if option != self._counts.anchor[layer]
        }
        for layer, options in enumerate(self._space.option_counts)
    ]

  def _interact(self, scope: Scope) -> bool:
    """Whether a term of some layers is not zero where it is tested."""
    tested = [self._tested[layer] for layer in scope]
    return any(
        self._counts.difference({
            layer: options[min(test, len(options) - 1)]
            for layer, options in zip(scope, tested, strict=True)
        })
        for test in range(_TESTS)
    )

  def _needed(self, scopes: Iterable[Scope]) -> int:
    """Counts that fill the tables of scopes, and all counts beside them."""
    parts = within(scopes)
    outside = sum(
        self._counts.changed(one) not in parts for one in self._counts.known
    )
    return outside + sum(map(self._terms.needed, parts))

  def _check(self, needed: int, scopes: Iterable[Scope]) -> None:
    """Raises SpentError where so many counts are too many."""
    self._plan(needed)
    budget = self._counts.budget
    if needed + self._verifications > budget:
      layers = self._names(itertools.chain(*scopes))
      raise SpentError(
          f'{layers} interact in more ways than {budget:,} counts tell'
          if layers else f'{budget:,} counts do not suffice'
      )

  def _check_entries(self) -> None:
    """Raises SpentError where a table of a scope would be too large."""
    for scope in self.scopes:
      entries = math.prod(self._space.option_counts[layer] for layer in scope)
      if len(scope) > 1 and entries > _ENTRIES:
        raise SpentError(
            f'{self._names(scope)} interact, in {entries:,} combinations'
        )

  def _names(self, layers: Iterable[int]) -> str:
    """The first of some layers by name."""
    names = [self._space.layers[layer].name for layer in sorted(set(layers))]
    rest = len(names) - _NAMED
    return ', '.join(names[:_NAMED]) + f' and {rest} more' * (rest > 0)

  def _plan(self, needed: int) -> None:
    self._counts.planned = needed + self._verifications


def _to_test(effects: Mapping[int, int]) -> list[int]:
  """Options of a layer: that of the largest effect, and those most unlike."""
  if not effects:
    return []
  first = max(effects, key=lambda option: abs(effects[option]))
  others = sorted(
      (option for option in effects if option != first),
      key=lambda option: -abs(effects[option] - effects[first]),
  )
  return [first, *others[:_TESTS - 1]]


def _verifying(
    space: SearchSpace, number: int, rng: random.Random
) -> Iterator[Architecture]:
  """Networks to verify factors with.

  Args:
    space: space of the architectures.
    number: how many are wanted: all of the space in order, if it has no more.
    rng: random source.

  Yields:
    All; or, without end, in turn one that holds pairs of options that none
    before it held, and a random one.
  """
  if space.size <= number:
    yield from itertools.product(*map(range, space.option_counts))
    return
  pairs = _PairsToHold(space, rng)
  while True:
    one = pairs.holding_many()
    pairs.held(one)
    yield one
    one = tuple(map(rng.randrange, space.option_counts))
    pairs.held(one)
    yield one


class _PairsToHold:
  """Pairs of options of two layers that no network has held."""

  def __init__(self, space: SearchSpace, rng: random.Random):
    self._counts = space.option_counts
    self._rng = rng
    # A dict keeps its order, so that a seed decides.
    self._left = dict.fromkeys(
        ((i, one), (j, other))
        for i, j in itertools.combinations(range(len(space)), 2)
        for one in range(self._counts[i]) for other in range(self._counts[j])
    )

  def held(self, network: Architecture) -> None:
    """Takes out the pairs of a network."""
    for pair in itertools.combinations(enumerate(network), 2):
      self._left.pop(pair, None)

  def holding_many(self) -> Architecture:
    """A network with many of the pairs, layer by layer in random order."""
    chosen = dict(next(iter(self._left), ()))
    layers = [i for i in range(len(self._counts)) if i not in chosen]
    self._rng.shuffle(layers)
    for layer in layers:
      options = list(range(self._counts[layer]))
      self._rng.shuffle(options)
      chosen[layer] = max(options, key=lambda option: sum(
          tuple(sorted(((layer, option), other))) in self._left
          for other in chosen.items()
      ))
    return tuple(chosen[layer] for layer in range(len(self._counts)))
