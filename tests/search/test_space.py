"""Tests of layernas.search.space."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.errors import UserError
from layernas.search.space import Layer
from layernas.search.space import SearchSpace
from layernas.search.space import architecture_id
from layernas.search.space import parse_architecture_id
from tests.search.problems import architectures
from tests.search.problems import spaces


def _space():
  return SearchSpace([
      Layer('width', [8, 16, 24], 1), Layer('kernel', ['3x3', '5x5'])
  ])


def test_counts_default_and_size():
  space = _space()
  assert len(space) == 2
  assert space.option_counts == (3, 2)
  assert space.default == (1, 0)
  assert space.size == 6


def test_describe_gives_the_options():
  assert _space().describe((2, 1)) == {'width': 24, 'kernel': '5x5'}


def test_equal_spaces_are_equal_and_hashable():
  assert _space() == _space()
  assert hash(_space()) == hash(_space())


@given(spaces())
def test_size_counts_the_architectures_and_all_pass_the_check(space):
  all_of_them = list(architectures(space))
  assert len(all_of_them) == space.size
  for architecture in all_of_them:
    space.check(architecture)


@given(st.lists(st.integers(0, 300), min_size=1).map(tuple))
def test_the_id_comes_back(architecture):
  assert parse_architecture_id(architecture_id(architecture)) == architecture


def test_the_id_is_stable():
  assert architecture_id((0, 13, 1)) == '0-13-1'


@pytest.mark.parametrize(
    'text', ['', '-', '1-', '-1', '1--2', '1 2', 'a', '1.0', '0-1\n', '+1']
)
def test_other_texts_are_no_ids(text):
  with pytest.raises(UserError, match='allowed are option indices') as info:
    parse_architecture_id(text)
  assert repr(text) in str(info.value)


def test_a_layer_needs_options():
  with pytest.raises(UserError, match=r"layer 'w'.*no options.*at least one"):
    Layer('w', ())


@pytest.mark.parametrize('default', [-1, 2])
def test_a_default_is_an_option(default):
  with pytest.raises(UserError, match=rf"'w'.* {default}: allowed .* 0 to 1"):
    Layer('w', (1, 2), default)


def test_a_space_needs_layers():
  with pytest.raises(UserError, match=r'search space.*no layers.*at least one'):
    SearchSpace(())


def test_layer_names_are_unique():
  with pytest.raises(UserError, match=r"search space.*\['b'\].*allowed"):
    SearchSpace([Layer('b', (1,)), Layer('a', (1,)), Layer('b', (2,))])


@pytest.mark.parametrize('architecture', [(), (0,), (0, 0, 0)])
def test_check_names_a_wrong_length(architecture):
  with pytest.raises(UserError, match='allowed: one for each of the 2 layers'):
    _space().check(architecture)


@pytest.mark.parametrize(
    ('architecture', 'message'),
    [
        ((3, 0), "option 3 of layer 'width': allowed is 0 to 2"),
        ((0, -1), "option -1 of layer 'kernel': allowed is 0 to 1"),
    ],
)
def test_check_names_a_wrong_option(architecture, message):
  with pytest.raises(UserError, match=message):
    _space().check(architecture)
