"""Trains a found network to the end, beside a width-scaled reference."""

import contextlib
import dataclasses
import os
import shlex
import statistics
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from etils import epath
from ml_collections import config_dict
from rich.console import Console

from layernas import activity
from layernas import installation
from layernas import paths
from layernas.data.dataset import Dataset
from layernas.data.registry import load_dataset
from layernas.errors import Preempted
from layernas.errors import UserError
from layernas.export.model import save_model
from layernas.export.preprocessing import of_data
from layernas.networks.network import NetworkLike
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.registry import make_space
from layernas.networks.registry import network_from_dict
from layernas.networks.scaling import neighbours_in_width
from layernas.reports.console import Progress
from layernas.reports.console import comparison_table
from layernas.reports.console import new_console
from layernas.reports.hooks import Hook
from layernas.reports.hooks import Training
from layernas.reports.plots import save_comparison
from layernas.reports.result import final_metric
from layernas.reports.result import versions
from layernas.reports.tensorboard import TensorBoard
from layernas.runs.inputs import data_input
from layernas.runs.inputs import training_inputs
from layernas.runs.setup import check_reference
from layernas.runs.setup import check_same_run
from layernas.storage.files import file_store
from layernas.storage.resuming import FINAL
from layernas.storage.storage_errors import in_one_line
from layernas.storage.workdir import Workdir
from layernas.storage.workdir import content_of
from layernas.storage.workdir import read_json
from layernas.training import devices
from layernas.training import hosts
from layernas.training.checks import check_batches
from layernas.training.checks import check_training
from layernas.training.devices import enable_compilation_cache
from layernas.training.hooks import profile_hooks
from layernas.training.train import Job
from layernas.training.train import NonFiniteLossError
from layernas.training.train import train_and_evaluate
from layernas.training.train import training_steps


@dataclasses.dataclass(frozen=True)
class NamedNetwork:
  """The network that --architecture names.

  Attributes:
    name: 'winner', or the name of a published network.
    network: the network.
    config: config recorded beside it, or None.
  """

  name: str
  network: NetworkLike
  config: dict[str, Any] | None


def read_architecture(text: str, limit: float | None = None) -> NamedNetwork:
  """Reads a result.json, or takes a published network by name.

  Args:
    text: path or name.
    limit: limit whose answer is taken, for a search under several limits; None
      takes the answer under the largest.

  Returns:
    The network.

  Raises:
    UserError: there is no such file or name, the file cannot be reached, or the
      search found nothing (under the limit).
  """
  if text in REFERENCE_NETWORKS and limit is None:
    return NamedNetwork(text, REFERENCE_NETWORKS[text], None)
  text = paths.expanded('flag --architecture', text)
  file_store(text).check(epath.Path(text))
  if not epath.Path(text).exists():
    raise UserError(
        f'flag --architecture: {text!r}: allowed are an existing result.json,'
        f' or one of {list(REFERENCE_NETWORKS)}'
    )
  result = read_json(text)
  if not isinstance(result, dict) or not result.get('winner'):
    raise UserError(
        f'file {text}: no winner in it; allowed is the result.json of a search'
        ' that found a network in its target interval'
    )
  with content_of(text):
    return _answer(result, limit)


def _answer(result: Mapping[str, Any], limit: float | None) -> NamedNetwork:
  """The winner of a result.json, or its answer under a limit."""
  answer = result['winner']
  if limit is not None:
    found = {
        one['limit']: one for one in result.get('front', ()) if one['network']
    }
    if limit not in found:
      raise UserError(
          f'flag --limit: {limit:.12g}: allowed with a result.json that has a'
          ' front is a limit under which its search found a network:'
          f' {list(found)}'
      )
    answer = found[limit]
  network = network_from_dict(answer.get('network', {}))
  return NamedNetwork('winner', network, result.get('config'))


@hosts.together()
def run_final(
    config: config_dict.ConfigDict, architecture: NamedNetwork,
    workdir: epath.PathLike, hooks: Sequence[Hook] = (),
) -> list[dict[str, Any]]:
  """Trains and tests to the end; resumes an interrupted run.

  The winner of a search is trained with every seed. With the same recipe and
  seeds, its space's default network is trained at the width that gives the
  winner's MAdds. A published network, and the winner of a space that cannot
  scale, are trained alone.

  Args:
    config: config of the search; its section `final` is the recipe.
    architecture: network to train.
    workdir: workdir of this run.
    hooks: further hooks, called after those that every final training has.

  Returns:
    One row per network: name, MAdds, parameters, and test accuracies by seed,
    or losses if the task has no accuracy.

  Raises:
    UserError: something in config or workdir is wrong, or a training diverges.
    StorageError: its disk is full or gone.
  """
  devices.prepare(config.model.deterministic)
  console = new_console(quiet=not hosts.is_first())
  with activity.shown(console.print):
    return _run(config, architecture, workdir, hooks, console)


def _run(
    config: config_dict.ConfigDict, architecture: NamedNetwork,
    workdir: epath.PathLike, hooks: Sequence[Hook], console: Console,
) -> list[dict[str, Any]]:
  """As `run_final`, with a console that shows what goes on."""
  dataset, networks = hosts.on_all(lambda: _prepared(config, architecture))
  check_same_run(config, dataset)
  recorded = {name: spec.to_dict() for name, spec in networks.items()}
  hosts.agree('networks', recorded)
  recipe = config.copy_and_resolve_references()
  with recipe.unlocked():
    recipe.training = config.final
  directory = Workdir(workdir, FINAL)
  hosts.on_first(lambda: directory.open(
      config, [data_input(dataset), *training_inputs(config, 'final')]
  ))
  with contextlib.ExitStack() as stack:
    stack.enter_context(in_one_line(workdir))
    stack.callback(directory.close)
    hosts.on_first(lambda: _keep_networks(directory, recorded))
    stack.enter_context(hosts.listening())
    enable_compilation_cache(directory.path / 'compilation_cache')
    hooks = [
        TensorBoard(directory.path / 'tensorboard'), Progress(console), *hooks
    ] if hosts.is_first() else []
    for hook in hooks:
      stack.callback(hook.close)
    trainer = _Trainer(recipe, dataset, directory, hooks, console)
    rows = [trainer.row(name, spec) for name, spec in networks.items()]
    for row in rows:
      row['mean'] = statistics.fmean(final_metric(row)[1])
    if hosts.is_first():
      _report(rows, config, directory, console)
  return rows


def _prepared(
    config: Any, architecture: NamedNetwork
) -> tuple[Dataset, dict[str, NetworkLike]]:
  """Data set and networks by name; writes nothing."""
  check_training(config, 'final')
  check_reference(config.reference)
  dataset = load_dataset(config.data)
  check_batches(config, dataset, 'all_train', 'final')
  dataset.check_images()
  shape = dataset.image_size, dataset.num_classes
  architecture.network.check_images(dataset.image_size)
  networks = {architecture.name: architecture.network}
  if architecture.name == 'winner':
    # At least as many: the reference is never at a disadvantage.
    madds = architecture.network.counts(*shape).madds
    _, scaled = neighbours_in_width(
        make_space(config.space),
        lambda network: network.counts(*shape).madds >= madds,
        config.reference,
    )
    if scaled is not None:
      networks['width-scaled reference'] = scaled
  return dataset, networks


def _keep_networks(directory: Workdir, networks: dict[str, Any]) -> None:
  """Records whose trainings a workdir holds; others are refused."""
  recorded = directory.read_json('networks.json')
  if recorded is None:
    directory.write_json('networks.json', networks)
  elif recorded != networks:
    same = [name for name in networks if recorded.get(name) == networks[name]]
    if same:
      raise UserError(
          f'workdir {directory.path}: the default network of space, from which'
          ' the reference is scaled, is not what its run began with; allowed is'
          ' the same space, or another workdir'
      )
    raise UserError(
        f'workdir {directory.path}: belongs to the training of another network'
        ' than --architecture names; allowed is the same network, or another'
        ' workdir'
    )


@dataclasses.dataclass(frozen=True)
class _Trainer:
  """Trains networks with every seed.

  Attributes:
    recipe: config whose section `training` is that of the final training.
    dataset: to train and test on.
    directory: of the run.
    hooks: of the run.
    console: to print on.
  """

  recipe: Any
  dataset: Dataset
  directory: Workdir
  hooks: Sequence[Hook]
  console: Console

  def row(self, name: str, network: NetworkLike) -> dict[str, Any]:
    """Trains a network with every seed.

    Args:
      name: of the network.
      network: the network.

    Returns:
      What final.json says of it, but for the mean.
    """
    counts = network.counts(self.dataset.image_size, self.dataset.num_classes)
    metrics = [
        self._metrics(name, network, seed)
        for seed in range(self.recipe.reference.seeds)
    ]
    return {
        'name': name,
        'madds': counts.madds,
        'params': counts.params,
        **(
            {'accuracies': [values['accuracy'] for values in metrics]}
            if 'accuracy' in metrics[0]
            else {'losses': [values['loss'] for values in metrics]}
        ),
        'metrics': metrics,
        'network': network.to_dict(),
    }

  def _metrics(
      self, name: str, network: NetworkLike, seed: int
  ) -> dict[str, float]:
    """Metrics of one training, read back where it is finished."""
    run = _run_of(name, seed)
    file = f'{run}/metrics.json'
    done = hosts.on_first(lambda: self.directory.read_json(file))
    if done is not None:
      return done
    if hosts.noticed():
      raise Preempted(f'{run} has not begun')
    training = Training(run, f'{name}, seed {seed}', training_steps(
        self.recipe.training, self.dataset.num_examples('all_train')
    ))

    def logged(step: int, metrics: Mapping[str, float]) -> None:
      for hook in self.hooks:
        hook.after_step(training, step, metrics)

    for hook in self.hooks:
      hook.before_training(training, '')
    path = self.directory.path
    try:
      result = train_and_evaluate(
          Job(self.recipe, network, self.dataset, seed, 'all_train', 'test'),
          path / run,
          hooks=[
              logged,
              *profile_hooks(self.recipe.profile, path / 'profile' / run),
          ],
      )
    except NonFiniteLossError as error:
      raise UserError(
          f'final training of the {training.title}: {error}; allowed are'
          ' recipes that do not diverge: try a smaller final.learning_rate in'
          ' another --workdir'
      ) from error
    for hook in self.hooks:
      hook.after_test(training, result.metrics)
      hook.after_training(training)
    metric = 'accuracy' if 'accuracy' in result.metrics else 'loss'
    self.console.print(
        f'{training.title}: test {metric} {result.metrics[metric]:.4f},'
        f' {result.seconds:.0f} s'
    )
    metrics = hosts.shared(dict(result.metrics))
    if hosts.is_first():
      save_model(
          path / run / 'model', result.variables,
          self._facts(network, seed, metrics),
      )
      self.directory.write_json(file, metrics)
    return metrics

  def _facts(
      self, network: NetworkLike, seed: int, metrics: Mapping[str, float]
  ) -> dict[str, Any]:
    """What model.json says of a training."""
    recipe, dataset = self.recipe, self.dataset
    return {
        'network': network.to_dict(),
        'classes': {
            'number': dataset.num_classes,
            'names': dataset.class_names and list(dataset.class_names),
        },
        'preprocessing': (
            None if network.task else of_data(recipe.data).to_dict()
        ),
        'metrics': dict(metrics),
        'average': recipe.training.ema_decay > 0,
        'seed': seed,
        'config': {
            name: recipe[name].to_dict()
            for name in ('data', 'model', 'training')
        },
        'versions': versions(),
        'digests': {'data': data_input(dataset).digest},
    }


def _run_of(name: str, seed: int) -> str:
  """Directory of a training in the workdir."""
  return f'{name.replace(" ", "_")}/seed{seed}'


def _report(
    rows: list[dict[str, Any]], config: Any, directory: Workdir,
    console: Console,
) -> None:
  directory.write_json(
      'final.json',
      {'networks': rows, 'versions': versions(), 'config': config.to_dict()},
  )
  save_comparison(rows, directory.path / 'final.png')
  console.print(comparison_table(rows))
  model = directory.path / _run_of(rows[0]['name'], 0) / 'model'
  console.print(f'results: {directory.path}/final.json')
  console.print(f'picture: {directory.path}/final.png')
  console.print(
      f'next: {installation.COMMAND} export {shlex.quote(os.fspath(model))}'
  )
