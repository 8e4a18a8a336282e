"""Tests of layernas.search.space."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search.space import Layer
from layernas.search.space import SearchSpace
from layernas.search.space import architecture_id
from layernas.search.space import parse_architecture_id
from tests.search import problems


def test_what_a_space_says_of_itself():
  space = SearchSpace(
      [Layer('kernel', [3, 5, 7], default=1), Layer('filters', range(4, 6))]
  )
  assert len(space) == 2
  assert space.option_counts == (3, 2)
  assert space.default == (1, 0)
  assert space.size == 6
  assert space.describe((2, 1)) == {'kernel': 7, 'filters': 5}


@given(problems.spaces())
def test_size_counts_the_architectures_and_all_pass_the_check(space):
  every = problems.architectures(space)
  assert space.size == len(every)
  for architecture in every:
    space.check(architecture)


def test_sizes_beyond_machine_integers_are_exact():
  assert problems.make_space(*[10] * 30).size == 10**30


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


def test_ids_are_distinct():
  ids = {architecture_id(a) for a in [(1, 11), (11, 1), (1, 1, 1), (111,)]}
  assert ids == {'1-11', '11-1', '1-1-1', '111'}


@pytest.mark.parametrize('text', ['', '1-', '-1', '1--2', '1,2', '1-2\n', 'a'])
def test_other_texts_are_no_ids(text):
  with problems.refuses(repr(text), '0-3-1'):
    parse_architecture_id(text)
