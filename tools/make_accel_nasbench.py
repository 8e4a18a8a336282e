"""Fits the packaged surrogate of Accel-NASBench to its authors' trainings.

  .venv/bin/pip install -e .[surrogate]
  .venv/bin/python tools/make_accel_nasbench.py --csv=accel_nasbench.csv.gz

The CSV is described in layernas/study/tables/packaged/README.md. Accuracy:
300 boosted trees of depth 5; what they are worth is measured in five folds of
distinct networks. Multiply-adds, parameters and latencies: sums of one term
for each block's combination of decisions, by least squares. Only a change of
the packaged surrogate needs this program; its result is committed. Takes a
minute on a CPU core.
"""

import hashlib
import json
import math
import pathlib
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np

from layernas.errors import UserError
from layernas.runs import cli
from layernas.storage.csv_file import CsvFile
from layernas.study.tables import accel_nasbench
from layernas.study.tables.accel_nasbench import ACCURACY
from layernas.study.tables.accel_nasbench import DECISIONS
from layernas.study.tables.accel_nasbench import NAME
from layernas.study.tables.boosted_trees import BoostedTrees
from layernas.study.tables.packaged import DIRECTORY
from layernas.study.tables.packaged import archive
from layernas.study.tables.packaged import csv_sha256
from layernas.study.tables.packaged import encode
from layernas.study.tables.table import Oracle

_CSV = cli.define_path('csv', 'The CSV, plain or gzip.', required=True)
_OUTPUT = cli.define_path(
    'output', 'Where the archive and its JSON are written.',
    default=str(DIRECTORY),
)
_RESULTS = cli.define_path(
    'results', 'Where figures.json is written.',
    default=str(
        pathlib.Path(__file__).parent.parent / 'docs/results/accel_nasbench'
    ),
)

BLOCKS = 7
_NAMES = {'e': 'expansion', 'k': 'kernel', 'l': 'layers', 'se': 'squeeze'}

DEPTH = 5
_DECIMALS = 6
"""Of accuracies and latencies."""

# Chosen in the same five folds among nine settings of 300 trees of depth 5.
_BOOSTING = {
    'n_estimators': 300, 'max_depth': DEPTH, 'learning_rate': 0.07,
    'subsample': 0.5, 'max_features': 0.7, 'random_state': 0,
}
_FOLDS = 5

# Column of the table to column of the CSV; a latency is milliseconds of one
# image, also where the CSV has images a second.
_COSTS = {
    'madds': 'macs', 'params': 'params', 'ms_zcu102': 'latency_zcu102',
    'ms_vck190': 'latency_vck190', 'ms_a100': 'throughput_a100',
    'ms_rtx3090': 'throughput_3090', 'ms_tpuv2': 'throughput_tpuv2',
}

# Not packaged: a sum over blocks explains it worst.
_LEFT_OUT = {'ms_tpuv3': 'throughput_tpuv3'}

# (expansion, kernel, layers, squeeze) of MnasNet-A1's blocks, arXiv 1807.11626
# figure 7, with the nearest option where the space has not its own: block 2
# expands by 3 and block 3 has 4 layers.
_MNASNET_A1 = (
    (1, 3, 1, False), (6, 3, 2, False), (4, 5, 3, True), (6, 3, 3, False),
    (6, 3, 2, True), (6, 5, 3, True), (6, 3, 1, False),
)

_RANDOM = 100_000
"""Random networks that medians and means are taken over."""


def main() -> None:
  """Writes the archive, its description and figures.json."""
  file = CsvFile(_CSV.value)
  boosting = _import_boosting()
  layers = _layers(file)
  networks = _networks(file, layers)
  accuracy = np.array(file.numbers(ACCURACY))
  trees = _fitted(boosting, networks, accuracy)
  arrays = {'base': np.array(trees.base), 'layers': trees.layers,
            'thresholds': trees.thresholds, 'leaves': trees.leaves}
  costs, fits = {}, {}
  for name, column in _COSTS.items():
    arrays[name], decimals, fits[name] = _cost(file, column, networks, layers)
    costs[name] = {'decimals': decimals}
  output = pathlib.Path(_OUTPUT.value)
  output.mkdir(parents=True, exist_ok=True)
  data = archive(arrays)
  (output / f'{NAME}.npz').write_bytes(data)
  counts = [len(layer['options']) for layer in layers]
  described = {
      'sha256': hashlib.sha256(data).hexdigest(),
      'csv_sha256': csv_sha256(pathlib.Path(_CSV.value)),
      'decimals': _DECIMALS,
      'layers': layers,
      'starts': {
          'middle': [(count - 1) // 2 for count in counts],
          'mnasnet_a1': [
              layer['options'].index(option) for layer, option in zip(
                  layers, sum(_MNASNET_A1, ()), strict=True
              )
          ],
      },
      'costs': costs,
  }
  _write(output / f'{NAME}.json', described)
  results = pathlib.Path(_RESULTS.value)
  results.mkdir(parents=True, exist_ok=True)
  tables = {
      start: accel_nasbench.make(described, arrays, start)
      for start in described['starts']
  }
  _write(results / 'figures.json', {
      'rows': len(networks),
      'networks': len(np.unique(networks, axis=0)),
      'boosting': _BOOSTING,
      'accuracy': _folds(boosting, networks, accuracy),
      'seed_noise': _seed_noise(networks, accuracy),
      'costs': fits,
      'left_out': {
          name: _cost(file, column, networks, layers)[2]
          for name, column in _LEFT_OUT.items()
      },
      'starts': {start: _figures(table) for start, table in tables.items()},
      'random': _random(tables['middle'], trees),
  })
  print(f'wrote {NAME} to {output} and figures.json to {results}')


def _import_boosting() -> Callable[..., Any]:
  """scikit-learn's boosted trees."""
  try:
    from sklearn import ensemble  # noqa: PLC0415
  except ImportError as error:
    raise UserError(
        'package scikit-learn: not installed; allowed where it is:'
        ' .venv/bin/pip install -e .[surrogate]'
    ) from error
  return ensemble.GradientBoostingRegressor


def _write(path: pathlib.Path, content: dict[str, Any]) -> None:
  path.write_text(json.dumps(content, indent=1) + '\n')


def _layers(file: CsvFile) -> list[dict[str, Any]]:
  """Name and options of every decision."""
  layers = []
  for block in range(BLOCKS):
    for short, name in _NAMES.items():
      found = set(file.texts(f'block{block}_{short}'))
      options = [False, True] if short == 'se' else sorted(map(int, found))
      layers.append({'name': f'block{block} {name}', 'options': options})
  return layers


def _networks(
    file: CsvFile, layers: Sequence[dict[str, Any]]
) -> np.ndarray:
  """Option indices of all rows, shape (rows, layers)."""
  columns = []
  for index, layer in enumerate(layers):
    block, decision = divmod(index, DECISIONS)
    texts = file.texts(f'block{block}_{list(_NAMES)[decision]}')
    known = [str(option) for option in layer['options']]
    columns.append([known.index(text) for text in texts])
  return np.array(columns).T


def _fitted(
    boosting: Callable[..., Any], networks: np.ndarray, accuracy: np.ndarray
) -> BoostedTrees:
  """Boosted trees in integers: an accuracy times a power of ten."""
  model = boosting(**_BOOSTING).fit(networks, accuracy)
  trees = [_complete(tree) for tree in model.estimators_[:, 0]]
  layers, thresholds, values = map(np.stack, zip(*trees, strict=True))
  unit = 10**_DECIMALS
  made = BoostedTrees(
      round(model.init_.constant_.item() * unit), layers, thresholds,
      np.rint(values * model.learning_rate * unit).astype(np.int32),
  )
  error = made.sums(networks) / unit - model.predict(networks)
  assert np.abs(error).max() < 1e-3, 'the trees were not converted exactly'
  return made


def _complete(fitted: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """A fitted tree as a complete one: layers, thresholds, leaf values."""
  inner = 2**DEPTH - 1
  layers = np.zeros(inner, np.uint8)
  # Where a branch ends early, everything goes left.
  thresholds = np.full(inner, 255, np.uint8)
  values = np.zeros(inner + 1)
  tree = fitted.tree_

  def fill(node: int, place: int) -> None:
    left, right = tree.children_left[node], tree.children_right[node]
    if place >= inner:
      values[place - inner] = tree.value[node].item()
    elif left < 0:
      fill(node, 2 * place + 1)
    else:
      layers[place] = tree.feature[node]
      thresholds[place] = math.floor(tree.threshold[node])
      fill(left, 2 * place + 1)
      fill(right, 2 * place + 2)

  fill(0, 0)
  return layers, thresholds, values


def _folds(
    boosting: Callable[..., Any], networks: np.ndarray, accuracy: np.ndarray
) -> dict[str, float]:
  """How well networks are predicted that the trees have not seen."""
  distinct, of = np.unique(networks, axis=0, return_inverse=True)
  fold = np.random.default_rng(0).permutation(len(distinct))[of] % _FOLDS
  predicted = np.empty(len(accuracy))
  for each in range(_FOLDS):
    seen = fold != each
    model = boosting(**_BOOSTING)
    model.fit(networks[seen], accuracy[seen])
    predicted[~seen] = model.predict(networks[~seen])
  error = accuracy - predicted
  from scipy import stats  # noqa: PLC0415 - `--help` does without it

  return {
      'folds': _FOLDS,
      'r2': round(1 - (error**2).mean() / accuracy.var(), 4),
      'rmse': round(math.sqrt((error**2).mean()), 4),
      'kendall': round(stats.kendalltau(accuracy, predicted).statistic, 4),
  }


def _seed_noise(
    networks: np.ndarray, accuracy: np.ndarray
) -> dict[str, float]:
  """Standard deviation between two trainings of one network."""
  _, of, counts = np.unique(
      networks, axis=0, return_inverse=True, return_counts=True
  )
  pairs = [accuracy[of == each] for each in np.flatnonzero(counts == 2)]
  apart = np.array([first - second for first, second in pairs])
  return {
      'pairs': len(pairs), 'sd': round(math.sqrt((apart**2).mean() / 2), 4)
  }


def _cost(
    file: CsvFile, column: str, networks: np.ndarray,
    layers: Sequence[dict[str, Any]],
) -> tuple[np.ndarray, int, dict[str, Any]]:
  """Fits a cost: its encoded terms, their decimals, and how good they are."""
  texts = np.array(file.texts(column))
  known = texts != ''
  values = texts[known].astype(float)
  if column.startswith('throughput'):
    values = 1000 / values
  decimals = _DECIMALS
  if column in ('macs', 'params'):  # Of millions.
    values, decimals = np.rint(values * 1e6), 0
  counts = [len(layer['options']) for layer in layers]
  blocks = []
  for first in range(0, len(counts), DECISIONS):
    shape = counts[first:first + DECISIONS]
    chosen = networks[known, first:first + DECISIONS]
    index = np.ravel_multi_index(tuple(chosen.T), shape)
    blocks.append(np.eye(math.prod(shape))[index])
  matrix = np.concatenate(blocks, axis=1)
  assert matrix.any(axis=0).all(), 'a combination occurs in no row'
  terms = np.linalg.lstsq(matrix, values, rcond=None)[0]
  # A block's cheapest combination costs nothing; the constant holds the rest.
  sizes = np.cumsum([block.shape[1] for block in blocks])[:-1]
  parts = np.split(terms, sizes)
  constant = sum(part.min() for part in parts)
  shifted = np.concatenate(
      [[constant], *(part - part.min() for part in parts)]
  )
  encoded = encode(shifted, decimals)
  whole = encoded.astype(np.int64)
  fitted = (whole[0] + matrix.astype(np.int64) @ whole[1:]) / 10.0**decimals
  error = values - fitted
  return encoded, decimals, {
      'rows': int(known.sum()),
      'r2': round(1 - (error**2).mean() / values.var(), 6),
      'rmse': float(f'{math.sqrt((error**2).mean()):.4g}'),
      'largest_error': float(f'{np.abs(error).max():.4g}'),
  }


def _figures(table: Oracle) -> dict[str, float]:
  """Accuracy and costs of a table's default network."""
  names = (ACCURACY, *(cost.name for cost in table.costs))
  default = table.space.default
  return {name: table.column(name).item(default) for name in names}


def _random(table: Oracle, trees: BoostedTrees) -> dict[str, Any]:
  """Medians of the costs; accuracies below the limit of multiply-adds."""
  networks = np.random.default_rng(0).integers(
      table.space.option_counts, size=(_RANDOM, len(table.space))
  )
  accuracy = trees.sums(networks) / 10**_DECIMALS
  inside = table.cost('madds').costs(networks) <= accel_nasbench.LIMIT
  return {
      'networks': _RANDOM,
      'medians': {
          cost.name: float(np.median(cost.costs(networks)))
          for cost in table.costs
      },
      'limit': accel_nasbench.LIMIT,
      'share_in_limit': round(inside.mean().item(), 4),
      'mean': round(accuracy[inside].mean().item(), 3),
      'sd': round(accuracy[inside].std().item(), 3),
  }


if __name__ == '__main__':
  cli.run(main)
