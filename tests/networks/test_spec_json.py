"""Tests of layernas.networks.spec."""

import copy
import json
import math

import pytest
from hypothesis import given

from layernas.errors import UserError
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem
from layernas.networks.spec import spec_from_dict
from tests.network_specs import NETWORKS

_SPEC = NetworkSpec(
    Stem(), (InvertedResidual(16, 0), InvertedResidual(16, 48, squeeze=Squeeze())), Head(64, 32)
)


@given(NETWORKS)
def test_json_round_trip(spec):
  assert spec_from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize('name', REFERENCE_NETWORKS)
def test_json_round_trip_of_reference_networks(name):
  spec = REFERENCE_NETWORKS[name]
  assert spec_from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def _changed(path, value):
  """The spec's dict with another value at a path of keys."""
  values = copy.deepcopy(_SPEC.to_dict())
  parent = values
  for key in path[:-1]:
    parent = parent[key]
  parent[path[-1]] = value
  return values


@pytest.mark.parametrize(
    ('path', 'value', 'field'),
    [
        (('stem',), 3, 'network.stem'),
        (('stem',), {}, 'network.stem'),
        (('stem', 'filters'), 0, 'network.stem.filters'),
        (('stem', 'filters'), 16.0, 'network.stem.filters'),
        (('stem', 'filters'), True, 'network.stem.filters'),
        (('stem', 'filters'), None, 'network.stem.filters'),
        (('stem', 'kernel'), 4, 'network.stem.kernel'),
        (('stem', 'stride'), 0, 'network.stem.stride'),
        (('stem', 'padding'), 1, 'network.stem'),
        (('blocks',), [], 'network.blocks'),
        (('blocks',), {'0': {}}, 'network.blocks'),
        (('blocks',), 'block', 'network.blocks'),
        (('blocks', 1), None, 'network.blocks[1]'),
        (('blocks', 1), 'block', 'network.blocks[1]'),
        (('blocks', 0, 'expanded'), -1, 'network.blocks[0].expanded'),
        (('blocks', 0, 'filters'), 0, 'network.blocks[0].filters'),
        (('blocks', 0, 'filters'), '16', 'network.blocks[0].filters'),
        (('blocks', 1, 'activation'), 'gelu', 'network.blocks[1].activation'),
        (('blocks', 1, 'activation'), ['relu'], 'network.blocks[1].activation'),
        (('blocks', 1, 'squeeze'), {}, 'network.blocks[1].squeeze'),
        (('blocks', 1, 'squeeze'), 0.25, 'network.blocks[1].squeeze'),
        (('blocks', 1, 'squeeze', 'of'), 'output', 'squeeze.of'),
        (('blocks', 1, 'squeeze', 'gate'), 'relu', 'squeeze.gate'),
        (('blocks', 1, 'squeeze', 'ratio'), 0, 'squeeze.ratio'),
        (('blocks', 1, 'squeeze', 'ratio'), 1.5, 'squeeze.ratio'),
        (('blocks', 1, 'squeeze', 'ratio'), math.nan, 'squeeze.ratio'),
        (('blocks', 1, 'squeeze', 'ratio'), 'all', 'squeeze.ratio'),
        (('blocks', 1, 'squeeze', 'ratio'), True, 'squeeze.ratio'),
        (('head', 'filters'), -8, 'network.head.filters'),
        (('head', 'hidden'), -1, 'network.head.hidden'),
        (('heads',), {}, 'network'),
    ],
)
def test_wrong_field_is_named_with_what_is_allowed(path, value, field):
  with pytest.raises(UserError) as caught:
    spec_from_dict(_changed(path, value))
  message = str(caught.value)
  assert f'{field}: ' in message
  assert 'allowed' in message
  assert '\n' not in message
  if len(path) > 1 and path[-1] != 'padding':
    assert repr(value) in message or value == {}


@pytest.mark.parametrize('name', ['stem', 'blocks', 'head'])
def test_missing_part_is_an_error(name):
  values = _SPEC.to_dict()
  del values[name]
  with pytest.raises(UserError, match=r'network: fields \['):
    spec_from_dict(values)


@pytest.mark.parametrize('name', ['squeeze', 'kernel'])
def test_missing_field_of_a_block_is_an_error(name):
  values = _SPEC.to_dict()
  del values['blocks'][0][name]
  with pytest.raises(UserError, match=r'network.blocks\[0\]: fields'):
    spec_from_dict(values)


@pytest.mark.parametrize('values', [None, [], 'network', {1: 2, 'stem': 3}])
def test_anything_but_a_network_is_an_error(values):
  with pytest.raises(UserError, match='network: '):
    spec_from_dict(values)


def test_zero_means_none_only_where_it_may():
  spec = spec_from_dict(
      _changed(('head',), {'filters': 0, 'hidden': 0, 'activation': 'relu'})
  )
  assert spec.head == Head(0, 0, 'relu')
  assert spec.blocks[0].expanded == 0
