"""Spaces, target intervals and problems."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.errors import UserError
from layernas.search.cost import additive_cost
from layernas.search.problem import Problem
from layernas.search.problem import TargetInterval
from layernas.search.space import Layer
from layernas.search.space import SearchSpace
from layernas.search.space import architecture_id
from layernas.search.space import parse_architecture_id
from tests.search import problems
from tests.search.problems import make_space

_small = st.integers(-5, 5)


def test_what_a_space_says_of_itself():
  space = SearchSpace(
      [Layer('kernel', [3, 5, 7], default=1), Layer('filters', range(4, 6))]
  )
  assert len(space) == 2
  assert space.option_counts == (3, 2)
  assert space.default == (1, 0)
  assert space.size == 6
  assert space.describe((2, 1)) == {'kernel': 7, 'filters': 5}


def test_a_layer_needs_options():
  with problems.refuses("layer 'kernel'", 'no options'):
    Layer('kernel', ())


@pytest.mark.parametrize('default', [-1, 2])
def test_a_default_is_an_option(default):
  with problems.refuses("layer 'kernel'", f'default {default}', '0 to 1'):
    Layer('kernel', (3, 5), default)


def test_a_space_needs_layers():
  with problems.refuses('search space', 'no layers'):
    SearchSpace(())


def test_layer_names_are_unique():
  layers = [Layer(name, (0,)) for name in ('a', 'b', 'a')]
  with problems.refuses('search space', "['a']"):
    SearchSpace(layers)


def test_an_architecture_has_an_option_for_every_layer():
  space = problems.make_space(2, 3)
  with problems.refuses('(1,)', '1 options', '2 layers'):
    space.check((1,))


@pytest.mark.parametrize('option', [-1, 3])
def test_an_architecture_has_options_in_range(option):
  space = problems.make_space(2, 3)
  with problems.refuses(f'option {option}', "layer 'layer1'", '0 to 2'):
    space.check((1, option))


@given(st.lists(st.integers(0, 10**20), min_size=1))
def test_ids_are_read_back(options):
  architecture = tuple(options)
  assert parse_architecture_id(architecture_id(architecture)) == architecture


@pytest.mark.parametrize('text', ['', '1-', '-1', '1--2', '1,2', '1-2\n', 'a'])
def test_other_texts_are_no_ids(text):
  with problems.refuses(repr(text), '0-3-1'):
    parse_architecture_id(text)


def _cost(unit=''):
  return additive_cost(
      'madds', make_space(2, 2), [[1, 2], [10, 2000]], unit=unit
  )


def test_both_ends_belong_to_the_target():
  target = TargetInterval(2, 4)
  assert [cost in target for cost in (1, 2, 3, 4, 5, 4.001)] == [
      False, True, True, True, False, False
  ]


@given(_small, _small, _small, _small)
def test_intervals_meet_where_they_share_a_number(a, b, c, d):
  (low, high), (least, largest) = sorted((a, b)), sorted((c, d))
  shared = any(cost in TargetInterval(low, high)
               for cost in range(least, largest + 1))
  assert TargetInterval(low, high).meets(least, largest) == shared


@pytest.mark.parametrize(
    ('low', 'high'), [(2, 1), (math.nan, 1), (1, math.nan), (math.inf, 0)]
)
def test_a_target_has_low_before_high(low, high):
  with pytest.raises(UserError, match=r'allowed are .* low <= high') as info:
    TargetInterval(low, high)
  assert f'[{low}, {high}]' in str(info.value)


@pytest.mark.parametrize('target', [(2003, 3000), (0, 10), (-9, -1)])
def test_a_target_that_nothing_reaches_is_named(target):
  with pytest.raises(UserError, match=r"'madds'.*reachable are 11 to 2,002 M"):
    Problem(_cost('M'), TargetInterval(*target))
