"""Factors that are found by counting, against enumeration."""

import itertools
import json
import math
import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.networks.mobilenet_spaces import cifar10_stages
from layernas.networks.mobilenet_spaces import mobilenet_space
from layernas.search import Factor
from layernas.search import FactoredCost
from layernas.search import SearchSpace
from layernas.search.cost import Cost
from layernas.search.cost import CountedCost
from layernas.search.decomposition import Decomposition
from layernas.search.decomposition import decompose
from layernas.search.terms import Counts
from layernas.search.terms import Terms
from tests.search import problems

WIDTHS = (16, 24, 32, 48, 64)
TWELVE = problems.make_space(*[5] * 12, default=2)


class Counter:
  """Counts by a function and remembers what it was asked.

  Attributes:
    asked: architectures, in order.
  """

  def __init__(self, function):
    self._function = function
    self.asked = []

  def __call__(self, architecture):
    self.asked.append(architecture)
    return self._function(architecture)


def scopes(found):
  """Those of more than one layer."""
  return [f.scope for f in found.factors if len(f.scope) > 1]


def random_networks(space: SearchSpace, number: int) -> np.ndarray:
  rng = np.random.default_rng(0)
  return rng.integers(0, space.option_counts, (number, len(space)))


def check_factors(found: Decomposition, function) -> Cost:
  """They give the function wherever it is asked; returns the cost."""
  cost = found.cost('cost', '', None)
  every = np.array(problems.architectures(found.space))
  expected = [function(tuple(one)) for one in every.tolist()]
  assert cost.costs(every).tolist() == expected
  return cost


@st.composite
def planted(draw, space):
  """A sum of integer tables over up to three layers each."""
  factors = [Factor((), np.array(draw(problems.INTEGERS)))]
  for _ in range(draw(st.integers(1, 4))):
    layers = st.sets(st.integers(0, len(space) - 1), max_size=3)
    scope = tuple(sorted(draw(layers)))
    shape = [space.option_counts[layer] for layer in scope]
    factors.append(Factor(scope, draw(
        problems.tables(shape, problems.INTEGERS)
    )))
  return FactoredCost('cost', space, factors)


@given(st.data())
def test_planted_factors_are_found(data):
  """Costs are those of all networks, intervals those of all completions."""
  space = data.draw(problems.spaces())
  true = data.draw(planted(space))
  count = Counter(true.cost)
  found = decompose(space, count)
  cost = check_factors(found, true.cost)
  assert len(count.asked) == len(set(count.asked)) == len(found.known)
  architecture = data.draw(st.sampled_from(problems.architectures(space)))
  decided = data.draw(st.sets(st.integers(0, len(space) - 1)))
  reached = [
      true.cost(one)
      for one in problems.completions(space, architecture, decided)
  ]
  assert cost.interval(architecture, decided) == (min(reached), max(reached))


@given(st.data())
def test_products_of_growing_functions_are_bounded_factor_by_factor(data):
  """As tightly as the sum of products itself."""
  space = data.draw(problems.spaces(max_layers=4))
  factors = []
  for _ in range(data.draw(st.integers(1, 3))):
    layers = st.sets(st.integers(0, len(space) - 1), min_size=1, max_size=3)
    scope = tuple(sorted(data.draw(layers)))
    rows = [
        sorted(data.draw(problems.tables(
            (space.option_counts[layer],), problems.PRICES
        ))) for layer in scope
    ]
    factors.append(Factor(scope, math.prod(np.ix_(*rows))))
  true = FactoredCost('cost', space, factors)
  found = decompose(space, true.cost)
  plain = FactoredCost('cost', space, found.factors)
  for architecture in problems.architectures(space):
    for length in range(len(space) + 1):
      assert plain.interval(architecture, range(length)) == (
          true.interval(architecture, range(length))
      )


def _chain(one):
  return sum(
      9 * (i + 1) * WIDTHS[one[i]] * WIDTHS[one[i + 1]] for i in range(11)
  )


def _stages(one):
  """Four stages of a width, a depth and a kernel each."""
  total, before = 0, 16
  for stage in range(4):
    width, depth, kernel = one[3 * stage:3 * stage + 3]
    width, area = WIDTHS[width], (2 * kernel + 1)**2
    total += area * width * (before + depth * width)
    before = width
  return total


@pytest.mark.parametrize(('function', 'found', 'counts'), [
    (sum, '12 factors of 1 layer', 281),
    (_chain, '11 factors of 2 layers', 435),
    (_stages, '7 factors of 3 layers', 627),
])
def test_twelve_layers_take_few_counts(function, found, counts):
  count = Counter(function)
  decomposition = decompose(TWELVE, count)
  assert len(count.asked) == counts
  assert str(decomposition) == (
      f'12 layers: {found}; verified on 100 random networks ({counts} counted)'
  )
  networks = random_networks(TWELVE, 1000)
  assert decomposition.cost('cost', '', None).costs(networks).tolist() == [
      function(tuple(one)) for one in networks.tolist()
  ]


def test_a_small_space_is_verified_as_a_whole():
  assert str(decompose(problems.make_space(3, 2), math.prod)) == (
      '2 layers: 1 factor of 2 layers; verified on all 6 networks (6 counted)'
  )
  assert str(decompose(problems.make_space(3, 1), lambda one: 7)) == (
      '2 layers: a constant cost; verified on all 3 networks (3 counted)'
  )


def test_what_acts_by_three_layers_alone_is_found():
  """No pair of them interacts where the third stands at its default."""
  def function(one):
    return sum(one) + 7 * one[2] * one[5] * one[9]

  space = problems.make_space(*[4] * 12)
  found = decompose(space, function)
  assert scopes(found) == [(2, 5, 9)]
  networks = random_networks(space, 1000)
  assert found.cost('', '', None).costs(networks).tolist() == [
      function(tuple(one)) for one in networks.tolist()
  ]


@pytest.mark.parametrize('cell', [(1, 2), (3, 3), (2, 1)])
def test_what_no_test_meets_is_found_by_verification(cell):
  """Two layers interact in one pair of their options alone."""
  def function(one):
    # The options that are tested, 4 and 0, are those that change most.
    return 100 * sum(one) + 5 * ((one[3], one[8]) == cell)

  count = Counter(function)
  found = decompose(problems.make_space(*[5] * 12), count)
  assert scopes(found) == [(3, 8)]
  assert found.factors[4].table.max() - found.factors[4].table.min() > 0
  # A chain's number: what verification found took few counts of its own.
  assert len(count.asked) < 320


@pytest.mark.parametrize('seed', range(10))
def test_what_hides_behind_each_other_is_told_apart(seed):
  """Six pairs of layers interact beside their tests, and may cancel out."""
  def function(one):
    hidden = [
        {one[2 * pair], one[2 * pair + 1]} <= {*range(2, 8)}
        for pair in range(6)
    ]
    return 100 * sum(one) + sum(
        (-1)**pair * 5 * there for pair, there in enumerate(hidden)
    )

  space = problems.make_space(*[9] * 12)
  found = decompose(space, function, seed=seed)
  pairs = [(2 * pair, 2 * pair + 1) for pair in range(6)]
  assert scopes(found) == pairs
  # However few networks it is verified on, all that were counted are right.
  found = decompose(space, function, verifications=2, seed=seed)
  assert set(scopes(found)) <= set(pairs)
  cost = found.cost('', '', None)
  assert [cost.cost(one) for one in found.known] == [*found.known.values()]


def test_verification_holds_every_pair_of_options():
  count = Counter(sum)
  decompose(TWELVE, count)
  chosen = np.array(count.asked[-100:])
  for i, j in itertools.combinations(range(12), 2):
    assert len({tuple(pair) for pair in chosen[:, [i, j]].tolist()}) == 25


def test_layers_that_the_default_leaves_out_are_tested_where_they_count():
  """Kernels of blocks that the default depth does not reach."""
  def function(one):
    width, depth, *kernels = one
    return sum(
        WIDTHS[width] * (2 * kernel + 3)**2 for kernel in kernels[:depth + 1]
    )

  space = problems.make_space(4, 3, 3, 3, 3)
  found = decompose(space, function, verifications=10)
  check_factors(found, function)
  assert scopes(found) == [(0, 1, 3), (0, 1, 4), (0, 2)]


def _transformer(one):
  """A block's, of all of patch, width, depth, heads and MLP ratio."""
  patch, width, depth, heads, ratio = one[:5]
  tokens = (64 // (patch + 2))**2
  width = 16 * (width + 4)
  block = width * width * (4 + 2 * (ratio + 1)) * tokens
  block += 2 * width * tokens**2 + (heads + 1) * tokens**2
  return (depth + 1) * block


def test_products_over_many_layers_take_few_counts():
  """A table over five layers has 3,125 entries."""
  count = Counter(_transformer)
  space = problems.make_space(*[5] * 5, default=2)
  found = decompose(space, count)
  assert str(found).startswith(
      '5 layers: 1 factor of 4 layers, 1 factor of 3 layers; verified'
  )
  assert len(count.asked) < 400
  check_factors(found, _transformer)


@pytest.mark.parametrize('divisor', [3, 7, 20])
def test_tables_that_are_no_products_are_counted(divisor):
  """Products that are rounded, over three layers of five options."""
  def function(one):
    return (3 + one[0]) * (2 + one[1]) * (5 + one[2]) // divisor + one[3]

  space = problems.make_space(5, 5, 5, 3, default=1)
  check_factors(decompose(space, function), function)


def test_tables_that_cannot_be_counted_are_not_begun():
  """That they are no products is known after some counts."""
  def function(one):
    return math.prod(option + 3 for option in one) // 3

  count = Counter(function)
  space = problems.make_space(*[5] * 5, default=1)
  found = decompose(space, count, budget=700)
  assert found.factors is None
  assert len(count.asked) < 700


def test_an_exception_of_a_product_is_found_by_verification():
  """In a few entries that the checks of the product do not meet."""
  def function(one):
    product = (3 + one[0]) * (2 + one[1]) * (5 + one[2])
    return product + ((one[0], one[1]) == (2, 3) and one[2] > 1) + one[3]

  space = problems.make_space(5, 5, 5, 3)
  count = Counter(function)
  found = decompose(space, count, verifications=60)
  check_factors(found, function)
  assert scopes(found) == [(0, 1, 2)]


def test_an_entry_that_would_be_a_fraction_is_no_product():
  """Rows of 3 and 5 with 2 in common would be 7.5 where they meet."""
  def term(one):
    if one == (6, 6):
      return 8
    row, column = (0, 2, 2, 2, 2, 2, 3), (0, 2, 2, 2, 2, 2, 5)
    return row[one[0]] * column[one[1]] // 2

  counts = Counts(problems.make_space(7, 7), term, 100)
  tables = Terms(counts, (1, 1)).tables([(0, 1)])
  assert tables[0, 1][6, 6] == 8
  assert tables[0, 1][6, 5] == 3
  # Of another single entry, checks alone would tell.
  assert len(counts.known) == 49


def test_factors_of_large_tables_are_not_made():
  space = problems.make_space(*[5] * 8)
  found = decompose(space, _product, budget=20_000)
  assert found.reason == (
      'layer0, layer1, layer2, layer3 and 4 more interact, in 390,625'
      ' combinations'
  )


def _product(one):
  return math.prod(option + 2 for option in one)


def _parity(one):
  return 1000 * sum(one) + sum(one) % 2


@pytest.mark.parametrize(('function', 'counts'), [
    (_product, 400), (max, 400), (_parity, 2000),
])
def test_what_does_not_factor_says_so(function, counts):
  """Long before the budget is spent where tests tell that it will be."""
  count = Counter(function)
  found = decompose(TWELVE, count, budget=2000)
  assert found.factors is None
  assert len(count.asked) <= counts
  assert '12 layers: the cost does not factor: ' in str(found)
  assert '2,000' in found.reason
  cost = found.cost('cost', 'units', function)
  assert isinstance(cost, CountedCost)
  one = tuple(random_networks(TWELVE, 1)[0].tolist())
  assert cost.cost(one) == function(one)
  assert cost.interval(one, range(11)) == (-math.inf, math.inf)
  assert cost.interval(one, range(12)) == (function(one), function(one))


@pytest.mark.parametrize('budget', range(1, 31))
def test_no_budget_is_exceeded(budget):
  """And nothing is claimed within one that does not suffice."""
  space = problems.make_space(3, 3, 2)
  def function(one):
    return one[0] * one[1] + one[2]

  count = Counter(function)
  found = decompose(space, count, budget, verifications=8)
  assert len(count.asked) <= budget
  if found.factors is None:
    assert found.reason
  else:
    check_factors(found, function)
  assert (found.factors is None) == (budget < 22)


@given(st.data())
def test_a_decomposition_is_plain_json(data):
  space = data.draw(problems.spaces())
  true = data.draw(planted(space))
  budget = data.draw(st.sampled_from([3, 5000]))
  found = decompose(space, true.cost, budget, verifications=5)
  text = json.dumps(found.to_dict())
  again = Decomposition.from_dict(space, json.loads(text))
  assert json.dumps(again.to_dict()) == text
  assert str(again) == str(found)
  assert again.known == found.known
  for one in problems.architectures(space):
    assert again.cost('', '', true.cost).cost(one) == true.cost(one)


def test_a_stored_decomposition_is_read_at_once_and_counts_nothing():
  text = json.dumps(decompose(TWELVE, _stages).to_dict())
  began = time.monotonic()
  cost = Decomposition.from_dict(TWELVE, json.loads(text)).cost('', '', None)
  assert time.monotonic() - began < 1
  assert cost.cost(TWELVE.default) == _stages(TWELVE.default)


def test_networks_that_were_counted_are_not_counted_again():
  found = decompose(TWELVE, max, 100)
  stored = Decomposition.from_dict(TWELVE, found.to_dict())
  count = Counter(max)
  cost = stored.cost('', '', count)
  for one in found.known:
    assert cost.cost(one) == max(one)
  assert not count.asked


def test_factors_of_another_space_are_refused():
  stored = decompose(problems.make_space(2, 3), sum).to_dict()
  for other in (
      problems.make_space(2, 4), problems.make_space(2, 3, default=1)
  ):
    with problems.refuses('factors of layers', "'layer1'"):
      Decomposition.from_dict(other, stored)


@pytest.mark.parametrize('value', [1.5, '3', None, True, 2**53, -2**60])
def test_counts_are_integers(value):
  with problems.refuses('count of architecture (0, 0)', repr(value)):
    decompose(problems.make_space(2, 2), lambda one: value)


def test_counts_of_numpy_are_pythons():
  found = decompose(
      problems.make_space(2, 2), lambda one: np.array(one).sum()
  )
  assert {type(count) for count in found.known.values()} == {int}


def test_large_counts_stay_exact():
  def function(one):
    return 2**40 * (one[0] + 1) * (one[1] + 1) * (one[2] + 1) + 1

  check_factors(decompose(problems.make_space(3, 3, 3), function), function)


def test_progress_is_told_up_to_its_end():
  heard = []
  found = decompose(
      TWELVE, _chain, progress=lambda done, total: heard.append((done, total))
  )
  assert [done for done, _ in heard] == list(range(1, len(found.known) + 1))
  assert all(done <= total for done, total in heard)
  assert heard[-1] == (435, 435)
  # Tests are few, so that the first guess is not far off.
  assert heard[60][1] > 200


def test_a_seed_decides():
  first, again, other = (
      list(decompose(TWELVE, _chain, seed=seed).known) for seed in (1, 1, 2)
  )
  assert first == again != other


@pytest.mark.parametrize(('space', 'image_size', 'classes', 'counts'), [
    (cifar10_stages(), 32, 10, 440),
    pytest.param(
        mobilenet_space('mobilenet_v3_small'), 224, 1000, 2900,
        marks=pytest.mark.long,
    ),
])
@pytest.mark.parametrize('metric', ['madds', 'params'])
def test_counts_of_networks_give_their_cost_model(
    space, image_size, classes, counts, metric
):
  """Costs and intervals are those of the model that knows the formulas."""
  true = space.cost(metric, image_size, classes)
  count = Counter(true.cost)
  found = decompose(space.search_space, count, budget=20_000)
  assert len(count.asked) <= counts
  cost = found.cost(metric, true.unit, None)
  networks = random_networks(space.search_space, 1000)
  assert cost.costs(networks).tolist() == true.costs(networks).tolist()
  rng = random.Random(0)
  for one in map(tuple, networks[:200].tolist()):
    layers = range(len(one))
    decided = rng.sample(layers, rng.randint(0, len(one)))
    assert cost.interval(one, decided) == true.interval(one, decided)
