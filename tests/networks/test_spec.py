"""Specs: filters, counts, and the way to JSON and back.

Counts against Flax: tests/models/test_counts.py.
"""

import copy
import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from layernas.errors import UserError
from layernas.networks.counting import Counts
from layernas.networks.counting import output_size
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.spec import Block
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import Module
from layernas.networks.spec import ModuleInput
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem
from layernas.networks.spec import limited
from layernas.networks.spec import one_of
from layernas.networks.spec import round_filters
from layernas.networks.spec import spec_from_dict
from tests.network_specs import NETWORKS


# By hand from the rule of the MobileNet reference code.
@pytest.mark.parametrize(('filters', 'divisor', 'rounded'), [
    (32, 8, 32),
    (33.6, 8, 32),  # 24 * 1.4: loses 5 %
    (22.4, 8, 24),  # 16 * 1.4
    (44.8, 8, 48),  # 32 * 1.4: loses over 10 % at 40
    (1792, 8, 1792),
    (11, 8, 16),  # 8 would lose 27 %
    (12, 8, 16),  # halves go up
    (1, 8, 8),
    (0.4, 1, 1),
    (6.0, 1, 6),
    (10, 4, 12),
])
def test_rounding(filters: float, divisor: int, rounded: int) -> None:
  assert round_filters(filters, divisor) == rounded


@given(st.floats(0.5, 3000), st.sampled_from([1, 2, 4, 8, 16]))
def test_rounded_filters_are_near_multiples(filters, divisor) -> None:
  rounded = round_filters(filters, divisor)
  assert rounded % divisor == 0
  assert 0.9 * filters <= rounded <= max(divisor, filters + divisor)


def test_filters_of_a_block() -> None:
  assert InvertedResidual(16, 0).depthwise_filters(24) == 24
  assert InvertedResidual(16, 96).depthwise_filters(24) == 96
  assert [
      InvertedResidual(16, 64, stride=stride).has_residual(filters)
      for stride, filters in [(1, 16), (2, 16), (1, 24), (2, 24)]
  ] == [True, False, False, False]
  assert Squeeze().filters(24, 72) == 24  # 18 rounded to 16 would lose 11 %
  assert Squeeze().filters(40, 120) == 32
  assert Squeeze(of='input', divisor=1).filters(24, 72) == 6


@given(st.integers(1, 300), st.integers(1, 4))
def test_output_size_is_the_number_of_window_starts(size, stride) -> None:
  assert output_size(size, stride) == len(range(0, size, stride))


@pytest.mark.parametrize(('module', 'filters', 'size', 'counts'), [
    # MobileNetV2's stem: 3x3x3 taps to 32 filters on 112x112 outputs.
    (Stem(32), 3, 224, Counts(112**2 * 27 * 32, 27 * 32 + 64, 64)),
    # Depthwise 3x3 on 32 filters, projection to 16.
    (InvertedResidual(16, 0), 32, 112, Counts(
        112**2 * (9 * 32 + 32 * 16), (9 * 32 + 64) + (32 * 16 + 32), 64 + 32
    )),
    # Expands at the size of its input.
    (InvertedResidual(24, 96, 5, 2), 16, 15, Counts(
        15**2 * 16 * 96 + 8**2 * (25 * 96 + 96 * 24),
        (16 * 96 + 192) + (25 * 96 + 192) + (96 * 24 + 48), 192 + 192 + 48,
    )),
    # A shortcut costs nothing.
    (InvertedResidual(16, 64), 16, 8, Counts(
        64 * (16 * 64 + 9 * 64 + 64 * 16),
        (16 * 64 + 128) + (9 * 64 + 128) + (64 * 16 + 32), 128 + 128 + 32,
    )),
    (Head(960, 1280, 'hard_swish'), 160, 7, Counts(
        49 * 160 * 960 + 960 * 1280 + 1280 * 1000,
        (160 * 960 + 1920) + (960 * 1280 + 1280) + (1280 * 1000 + 1000), 1920,
    )),
    (Head(0), 64, 4, Counts(64_000, 65_000, 0)),
])
def test_counts_by_hand(
    module: Module, filters: int, size: int, counts: Counts
) -> None:
  assert module.counts(ModuleInput(filters, size, 1000)) == counts


@pytest.mark.parametrize(('squeeze', 'units'), [
    (Squeeze(), 24), (Squeeze(of='input', divisor=1), 6)
])
def test_squeeze_has_two_dense_layers_with_bias(squeeze, units) -> None:
  plain, squeezed = (
      InvertedResidual(40, 72, squeeze=one).counts(ModuleInput(24, 28, 10))
      for one in (None, squeeze)
  )
  assert squeezed == plain + Counts(
      madds=2 * 72 * units, params=2 * 72 * units + units + 72, buffers=0
  )


def test_modules_of_a_network_in_forward_order() -> None:
  spec = NetworkSpec(
      Stem(12),
      (InvertedResidual(16, 0, stride=2), InvertedResidual(24, 64)),
      Head(32),
  )
  assert spec.total_stride == 4
  assert [spec.input_filters(index) for index in range(3)] == [12, 16, 24]
  assert list(spec.modules) == ['stem', 'block0', 'block1', 'head']
  placed = list(spec.module_inputs(30, 10))
  assert [module for module, _ in placed] == [*spec.modules.values()]
  assert [inputs for _, inputs in placed] == [
      ModuleInput(filters, size, 10)
      for filters, size in ((3, 30), (12, 15), (16, 8), (24, 8))
  ]
  assert spec.counts(30, 10) == sum(
      (module.counts(inputs) for module, inputs in placed), Counts()
  )


def test_specs_are_values() -> None:
  make = lambda: NetworkSpec(  # noqa: E731
      Stem(), (InvertedResidual(8, 16, squeeze=Squeeze()),), Head()
  )
  assert {make(): 1}[make()] == 1
  with pytest.raises(dataclasses.FrozenInstanceError):
    make().stem = Stem(16)


@dataclasses.dataclass(frozen=True)
class Padding:
  """A part of a block."""

  side: int
  mode: str = limited(one_of(('zero', 'edge')), default='zero')


@dataclasses.dataclass(frozen=True)
class OwnBlock(Block):
  """With a field of every sort."""

  flax_module = 'nowhere:Module'
  filters: int
  stride: int = 1
  rate: float = 0.5
  biased: bool = False
  note: str = ''
  padding: Padding | None = None

  def counts(self, inputs: ModuleInput) -> Counts:
    return Counts(inputs.input_filters * self.filters)


_OWN = NetworkSpec(
    Stem(), (InvertedResidual(8, 0), OwnBlock(24, padding=Padding(2))), Head()
)
_TYPE = f'{__name__}:OwnBlock'


def test_own_block_type_is_named_in_json() -> None:
  values = json.loads(json.dumps(_OWN.to_dict()))
  assert values['blocks'][1] == {
      'type': _TYPE, 'filters': 24, 'stride': 1, 'rate': 0.5, 'biased': False,
      'note': '', 'padding': {'side': 2, 'mode': 'zero'},
  }
  assert spec_from_dict(values) == _OWN
  # An inverted residual has no such key, but may have.
  assert 'type' not in values['blocks'][0]
  values['blocks'][0]['type'] = 'inverted_residual'
  assert spec_from_dict(values) == _OWN


def test_own_block_type_needs_no_more_than_counts() -> None:
  block = OwnBlock(24)
  assert block.scaled(lambda filters: 2 * filters) == OwnBlock(48)
  assert block.kind == _TYPE
  assert block.signature(ModuleInput(8, 4, 10)) == {
      'filters': 24, 'stride': 1, 'rate': 0.5, 'biased': False, 'note': '',
      'padding': None,
  }
  with pytest.raises(TypeError, match='abstract'):
    Block()


@settings(max_examples=30)
@given(NETWORKS)
def test_json_round_trip(spec) -> None:
  assert spec_from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize('name', REFERENCE_NETWORKS)
def test_json_round_trip_of_reference_networks(name: str) -> None:
  spec = REFERENCE_NETWORKS[name]
  assert spec_from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


_SPEC = NetworkSpec(
    Stem(),
    (InvertedResidual(16, 0), InvertedResidual(16, 48, squeeze=Squeeze())),
    Head(64, 32),
)


def _changed(path, value, spec=_SPEC):
  """The spec's dict with another value at a path of keys."""
  values = copy.deepcopy(spec.to_dict())
  parent = values
  for key in path[:-1]:
    parent = parent[key]
  parent[path[-1]] = value
  return values


@pytest.mark.parametrize(('path', 'value', 'field'), [
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
    (('blocks', 1, 'type'), 'residual', 'network.blocks[1].type'),
    (('blocks', 1, 'type'), 3, 'network.blocks[1].type'),
    (('blocks', 1, 'type'), 'nowhere:Block', 'network.blocks[1].type'),
    (('blocks', 1, 'type'), f'{__name__}:Padding', 'network.blocks[1].type'),
    (('blocks', 1, 'type'), 'layernas.networks.spec:round_filters',
     'network.blocks[1].type'),
    (('head', 'filters'), -8, 'network.head.filters'),
    (('head', 'hidden'), -1, 'network.head.hidden'),
    (('heads',), {}, 'network'),
])
def test_wrong_field_is_named_with_what_is_allowed(path, value, field) -> None:
  with pytest.raises(UserError) as caught:
    spec_from_dict(_changed(path, value))
  message = str(caught.value)
  assert f'{field}: ' in message
  assert 'allowed' in message
  assert '\n' not in message
  if len(path) > 1 and path[-1] != 'padding':
    assert repr(value) in message or value == {}


@pytest.mark.parametrize(('field', 'value', 'allowed'), [
    ('rate', 'half', 'a number'), ('rate', math.inf, 'a number'),
    ('rate', False, 'a number'), ('biased', 1, 'true or false'),
    ('note', 3, 'a text'), ('padding', {'side': 1, 'mode': 'wrap'}, "'edge'"),
])
def test_fields_of_an_own_block_type_are_checked(field, value, allowed) -> None:
  with pytest.raises(UserError, match=allowed) as caught:
    spec_from_dict(_changed(('blocks', 1, field), value, _OWN))
  assert f'network.blocks[1].{field}' in str(caught.value)


@pytest.mark.parametrize('path', [
    ('stem',), ('blocks',), ('head',), ('blocks', 0, 'squeeze'),
    ('blocks', 0, 'kernel'),
])
def test_missing_field_is_an_error(path) -> None:
  values = _SPEC.to_dict()
  parent = values
  for key in path[:-1]:
    parent = parent[key]
  del parent[path[-1]]
  where = r'network.blocks\[0\]' if len(path) > 1 else 'network'
  with pytest.raises(UserError, match=where + r': fields \['):
    spec_from_dict(values)


@pytest.mark.parametrize('values', [None, [], 'network', {1: 2, 'stem': 3}])
def test_anything_but_a_network_is_an_error(values) -> None:
  with pytest.raises(UserError, match='network: '):
    spec_from_dict(values)


def test_zero_means_none_only_where_it_may() -> None:
  spec = spec_from_dict(
      _changed(('head',), {'filters': 0, 'hidden': 0, 'activation': 'relu'})
  )
  assert spec.head == Head(0, 0, 'relu')
  assert spec.blocks[0].expanded == 0
