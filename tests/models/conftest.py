"""Fixtures of the tests of models."""

import functools

import pytest

from layernas.models import blocks
from layernas.models.depthwise import depthwise_conv


@pytest.fixture
def native_depthwise(monkeypatch: pytest.MonkeyPatch) -> None:
  """Lets a jaxpr show depthwise convolutions as convolutions."""
  monkeypatch.setattr(
      blocks, 'depthwise_conv',
      functools.partial(depthwise_conv, implementation='native'),
  )
