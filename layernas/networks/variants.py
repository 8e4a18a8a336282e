"""Variants of a network: with and without squeeze-and-excite, activations."""

import dataclasses
from typing import Any

from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze


def with_squeeze(
    network: NetworkSpec, squeeze: Squeeze | None
) -> NetworkSpec:
  """A network with the same squeeze-and-excite in every block.

  Args:
    network: to change.
    squeeze: for all blocks; None takes it out of those that have one.

  Returns:
    The changed network.
  """
  return _with_blocks(network, squeeze=squeeze)


def with_activation(network: NetworkSpec, activation: str) -> NetworkSpec:
  """A network with one activation in stem, blocks and head.

  Args:
    network: to change; gates and activations inside its squeezes stay.
    activation: one of `spec.ACTIVATIONS`.

  Returns:
    The changed network.
  """
  return dataclasses.replace(
      _with_blocks(network, activation=activation),
      stem=dataclasses.replace(network.stem, activation=activation),
      head=dataclasses.replace(network.head, activation=activation),
  )


def squeezed(network: NetworkSpec) -> NetworkSpec:
  """A network with MobileNetV3's squeeze in every block, and hard-swish."""
  return with_activation(with_squeeze(network, Squeeze()), 'hard_swish')


def plain(network: NetworkSpec) -> NetworkSpec:
  """A network without squeeze-and-excite, with ReLU everywhere."""
  return with_activation(with_squeeze(network, None), 'relu')


def _with_blocks(network: NetworkSpec, **fields: Any) -> NetworkSpec:
  blocks = tuple(
      dataclasses.replace(block, **fields) for block in network.blocks
  )
  return dataclasses.replace(network, blocks=blocks)
