"""Model directories: the weights of a trained network and facts on them.

`model.safetensors` has the variables by the names of modules, joined by
slashes: 'params/block0/expand/kernel'. `model.json` has what is needed to use
them (network, classes, preprocessing, the config's section `model`) and where
they come from (recipe, metrics, versions, digests). Reading either runs no
code, except that a space of Flax modules, which model.json names, is imported.
"""

import abc
import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy
from etils import epath
from flax import traverse_util
from ml_collections import config_dict

from layernas import activity
from layernas import installation
from layernas import paths
from layernas.errors import UserError
from layernas.export.preprocessing import Preprocessing
from layernas.networks.network import NetworkLike
from layernas.networks.registry import network_from_dict
from layernas.storage.files import file_store
from layernas.storage.workdir import damage_named
from layernas.storage.workdir import read_json
from layernas.training.programs import create_model
from layernas.training.steps import Variables

WEIGHTS = 'model.safetensors'
"""Name of the file with the variables."""

FACTS = 'model.json'
"""Name of the file with all else; written last, so a model that has it is
complete."""

VERSION = 1
"""Format number of model.json; files of another format are not read."""

_TYPES = {
    'F64': 'f8', 'F32': 'f4', 'F16': 'f2', 'I64': 'i8', 'I32': 'i4',
    'I16': 'i2', 'I8': 'i1', 'U64': 'u8', 'U32': 'u4', 'U16': 'u2', 'U8': 'u1',
    'BOOL': '?', 'C64': 'c8', 'BF16': ml_dtypes.bfloat16,
    'F8_E4M3': ml_dtypes.float8_e4m3fn, 'F8_E5M2': ml_dtypes.float8_e5m2,
}
"""Of arrays, by safetensors' names."""

# What else a model.json must have.
_NEEDED = ('network', 'classes', 'preprocessing', 'metrics', 'config')


class Classifier(abc.ABC):
  """A trained network that classifies images, in any runtime.

  Attributes:
    facts: content of model.json.
    preprocessing: preprocessing of images; None if the network has another
      task.
    batch: largest number of images of a pass.
  """

  batch = 64

  def __init__(self, facts: Mapping[str, Any]):
    """Keeps the facts; runs nothing yet.

    Args:
      facts: content of model.json.

    Raises:
      AttributeError, KeyError, TypeError, ValueError: a fact is damaged.
    """
    self.facts = facts
    images = facts['preprocessing']
    self.preprocessing = images and Preprocessing.from_dict(images)
    if len(self.class_names) != self.num_classes:
      raise ValueError(
          f'{len(self.class_names)} names of {self.num_classes} classes'
      )
    # What is read later is tried now.
    _ = self.takes, self.config

  @property
  def takes(self) -> np.dtype:
    """Type of the images that `run` takes; uint8 images are not scaled."""
    return np.dtype(self.facts.get('input', 'float32'))

  @property
  def num_classes(self) -> int:
    """Width of the classifier."""
    return self.facts['classes']['number']

  @property
  def class_names(self) -> tuple[str, ...]:
    """Names of the classes by label; their numbers if they have none."""
    names = self.facts['classes']['names']
    return tuple(names or map(str, range(self.num_classes)))

  @property
  def metrics(self) -> Mapping[str, float]:
    """Metrics that the training measured on the test images."""
    return self.facts['metrics']

  @functools.cached_property
  def config(self) -> config_dict.ConfigDict:
    """Sections `data`, `model` and `training` of the training, locked."""
    return config_dict.ConfigDict(self.facts['config']).lock()

  def predict(self, images: Any) -> np.ndarray:
    """Probabilities of the classes.

    Args:
      images: an array (height, width, 3) or (n, height, width, 3), a Pillow
        image, or a sequence of these, of any sizes; bytes, or floating-point
        numbers from 0 to 1. They are cropped, resized and scaled as in the
        network's evaluation.

    Returns:
      float32, shape (n, classes).

    Raises:
      UserError: something is not an image, or the network does not classify
        images.
    """
    logits = self.logits(images)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)

  def logits(self, images: Any) -> np.ndarray:
    """Logits of the classes; see `predict`.

    Args:
      images: as in `predict`.

    Returns:
      float32, shape (n, classes).

    Raises:
      UserError: as in `predict`.
    """
    if self.preprocessing is None:
      raise UserError(
          'predict: this network has a task of its own; allowed is'
          ' model.flax.apply(model.variables, inputs, train=False)'
      )
    if self.takes == np.uint8:
      pixels = self.preprocessing.pixels(images)
      return self.run(np.rint(pixels).astype(np.uint8))
    return self.run(self.preprocessing(images))

  def run(self, inputs: np.ndarray) -> np.ndarray:
    """Logits of images that are already preprocessed.

    Args:
      inputs: shape (n, size, size, 3), of the type `takes`; float32 images are
        scaled.

    Returns:
      float32, shape (n, classes).
    """
    return np.concatenate([
        np.zeros((0, self.num_classes), np.float32),
        *(
            self._pass(inputs[start:start + self.batch])
            for start in range(0, len(inputs), self.batch)
        ),
    ])

  @abc.abstractmethod
  def _pass(self, inputs: np.ndarray) -> np.ndarray:
    """Logits of one batch, of `batch` images at most."""


class Model(Classifier):
  """A trained network, in JAX.

  Attributes:
    network: the network.
    variables: collections of arrays, among them 'params'; the moving average if
      the training kept one.
  """

  def __init__(self, facts: Mapping[str, Any], variables: Variables):
    """Keeps facts and variables; builds nothing yet.

    Args:
      facts: content of model.json.
      variables: variables of the network.

    Raises:
      UserError: the facts name no network.
    """
    super().__init__(facts)
    self.network: NetworkLike = network_from_dict(facts['network'])
    self.variables = variables

  @functools.cached_property
  def flax(self) -> nn.Module:
    """The Flax module, called as flax.apply(variables, images, train=False)."""
    return create_model(self.config, self.network, self.num_classes)

  def _pass(self, inputs: np.ndarray) -> np.ndarray:
    """Logits of one batch, padded to a power of two.

    So a handful of programs serves batches of all sizes.
    """
    missing = (1 << (len(inputs) - 1).bit_length()) - len(inputs)
    padded = np.pad(inputs, [(0, missing), (0, 0), (0, 0), (0, 0)])
    return np.asarray(self._apply(self.variables, padded))[:len(inputs)]

  @functools.cached_property
  def _apply(self) -> Any:
    module = self.flax
    return jax.jit(
        lambda variables, images: module.apply(variables, images, train=False)
    )


def save_model(
    directory: epath.PathLike, variables: Variables, facts: Mapping[str, Any]
) -> None:
  """Writes a model directory.

  Args:
    directory: a local path or gs://BUCKET/PATH; created if it does not exist.
    variables: nested dicts of arrays.
    facts: content of model.json without 'format' and the digest of the weights.

  Raises:
    UserError: a variable is not an array.
  """
  directory = epath.Path(directory)
  directory.mkdir(parents=True, exist_ok=True)
  store, flat = file_store(directory), {}
  for name, leaf in traverse_util.flatten_dict(variables, sep='/').items():
    array = np.asarray(leaf)
    if array.dtype == object:
      raise UserError(
          f'variable {name}: {type(leaf).__name__}: allowed are arrays'
      )
    flat[name] = np.require(array, requirements='C')
  weights = safetensors.numpy.save(flat)
  store.write(directory / WEIGHTS, weights)
  digests = {'weights': _digest(weights), **facts.get('digests', {})}
  text = json.dumps(
      {'format': VERSION, **facts, 'digests': digests}, indent=2
  )
  store.write(directory / FACTS, f'{text}\n'.encode())


def load_model(directory: str | os.PathLike[str]) -> Model:
  """Reads a model directory, such as final/winner/seed0/model of a search.

  Args:
    directory: directory that `save_model` wrote; a local path or
      gs://BUCKET/PATH.

  Returns:
    The model.

  Raises:
    UserError: there is no model, or a file of it is damaged.
  """
  text = paths.expanded('model', os.fspath(directory))
  file_store(text).check(epath.Path(text))
  where = epath.Path(text)
  facts = read_facts(where)
  try:
    with activity.doing('reading the model'):
      weights = (where / WEIGHTS).read_bytes()
    flat = _arrays(weights)
  except (OSError, safetensors.SafetensorError) as error:
    raise UserError(
        f'model {text}: {WEIGHTS}: {error}; allowed is the file that was'
        ' written with the model'
    ) from error
  with facts_of(where):
    if _digest(weights) != facts['digests']['weights']:
      raise UserError(
          f'model {text}: {WEIGHTS} is not the file that was written with'
          f' {FACTS}; allowed are the two of one training'
      )
    return Model(facts, traverse_util.unflatten_dict(flat, sep='/'))


def facts_of(
    directory: epath.Path
) -> contextlib.AbstractContextManager[None]:
  """Makes one line of what damaged facts raise.

  Args:
    directory: directory of the model.json that the block makes a model of.

  Returns:
    A context, see `layernas.storage.workdir.damage_named`.
  """
  return damage_named(
      f'model {directory}: {FACTS}', 'the file that was written with the model'
  )


def read_facts(directory: epath.Path) -> dict[str, Any]:
  """Content of a model.json.

  Args:
    directory: directory of the model.

  Returns:
    The facts that `save_model` wrote.

  Raises:
    UserError: there is no such file, another program or version wrote it, or a
      part of it is missing.
  """
  if not (directory / FACTS).exists():
    raise UserError(
        f'model {directory}: no {FACTS} there; allowed is a directory that'
        f' {installation.COMMAND} train wrote, such as final/winner/seed0/model'
    )
  facts = read_json(directory / FACTS)
  if not isinstance(facts, dict) or facts.get('format') != VERSION:
    raise UserError(
        f'model {directory}: {FACTS} is of another program or version; allowed'
        f' is format {VERSION}'
    )
  missing = [name for name in _NEEDED if name not in facts]
  if missing:
    raise UserError(
        f'model {directory}: {FACTS} lacks {", ".join(missing)}; allowed is the'
        ' file that was written with the model'
    )
  return facts


def _arrays(weights: bytes) -> dict[str, np.ndarray]:
  """As `safetensors.numpy.load`, which cannot read bfloat16 and smaller."""
  return {
      name: np.frombuffer(one['data'], _TYPES[one['dtype']]).reshape(
          one['shape']
      )
      for name, one in safetensors.deserialize(weights)
  }


def _digest(data: bytes) -> str:
  return hashlib.sha256(data).hexdigest()
