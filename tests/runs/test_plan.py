"""What a plan counts is what a search and its final training do."""

import math

import pytest

from configs import cifar10_small
from configs import imagenet
from layernas.data.registry import load_dataset
from layernas.errors import UserError
from layernas.networks.registry import make_space
from layernas.reports.console import Counting
from layernas.runs import plan
from layernas.training.train import training_steps
from tests import tiny
from tests.search import problems

_IMAGENET = (imagenet.TRAIN_IMAGES, imagenet.HELD_OUT_IMAGES, 50_000, 1000)


@pytest.fixture(scope='module', name='embedded')
def _embedded() -> dict:
  config = cifar10_small.get_config()
  dataset = load_dataset(config.data)
  return plan.make_plan(config, dataset, plan.Speed(500.0, 4, 30.0))


def test_steps_and_images_are_those_of_the_trainings(embedded):
  config = cifar10_small.get_config()
  candidate, final = embedded['candidate'], embedded['final']
  assert candidate['steps'] == training_steps(config.training, 8000) == 250
  assert final['steps'] == training_steps(config.final, 10_000)
  # The held-out images count as a third of their number.
  assert candidate['images'] == 250 * 64 + round(2000 / 3)
  assert final['trainings'] == 2 * config.reference.seeds
  hours = (candidate['images'] / 500 + 30) / 3600
  assert candidate['hours'] == pytest.approx(hours)
  assert embedded['search']['trials'] == config.budget.trials
  assert embedded['search']['hours'] == pytest.approx(
      hours * math.ceil(config.budget.trials / 4)
  )


def test_a_checkpoint_holds_parameters_slots_and_statistics(embedded):
  space = make_space('cifar10_large')
  network = space.network(space.search_space.default)
  parameters = network.counts(32, 10).params
  # Parameters and momentum; statistics and a few counters are small beside.
  least = 2 * 4 * parameters
  assert least < embedded['candidate']['checkpoint_bytes'] < 1.2 * least


def test_sweeps_with_more_buckets_train_more(embedded):
  trials = [sweep['trials'] for sweep in embedded['sweeps']]
  assert trials == sorted(trials, reverse=True)
  # One bucket: each option of each layer once, and the start network.
  space = make_space('cifar10_large').search_space
  assert trials[-1] <= 1 + sum(count - 1 for count in space.option_counts)


def test_sizes_stand_in_for_data_that_are_not_here(embedded):
  config = cifar10_small.get_config()
  sizes = plan.sizes_of(config, 10_000, 2000, 2000, 10)
  again = plan.make_plan(config, sizes, plan.Speed(500.0, 4, 30.0))
  assert again == embedded
  assert list(plan.plan_tables(again))


@pytest.mark.long
@pytest.mark.parametrize(('name', 'rate'), [
    ('v3-8, one host', 3000), ('v3-32, four hosts', 12_000),
    ('8 GPUs, one box', 8000),
])
def test_the_hours_of_the_docs_are_those_of_a_plan(name, rate):
  config = imagenet.get_config('v3_small_60m,paper').unlock()
  config.budget.trials = 1000
  config.lock()
  text = (tiny.ROOT / 'docs' / 'reproduce.md').read_text()
  found = plan.make_plan(
      config, plan.sizes_of(config, *_IMAGENET), plan.Speed(rate)
  )
  candidate, final = found['candidate'], found['final']
  minutes = 60 * candidate['hours']
  days = found['search']['hours'] / 24
  hours = final['hours'] / final['trainings']
  assert (
      f'| {name} | {rate:,} | {minutes:.0f} min | {days:.0f} days |'
      f' {hours:.0f} h |\n'
  ) in text
  assert f'takes {found["sweeps"][-1]["trials"]} trainings' in text
  assert found['search']['trials'] == 1000


@pytest.mark.parametrize('sizes', [
    (10, 0, 5, 2), (10, 10, 5, 2), (10, 2, 0, 2), (10, 2, 5, 0),
])
def test_wrong_sizes_are_one_line(sizes):
  with problems.refuses('--held_out', '--classes', 'at least one'):
    plan.sizes_of(cifar10_small.get_config(), *sizes)


def test_data_that_are_not_here_are_asked_for():
  config = imagenet.get_config('v3_small_60m').unlock()
  config.data.directory = '/nowhere'
  with problems.refuses("'/nowhere'", '--images, --held_out'):
    plan.sizes_of(config.lock(), 0, 0, 0, 0)


def test_a_plan_shows_what_it_counts(monkeypatch) -> None:
  """A space of Flax modules whose costs have no formula takes minutes."""
  config, space = tiny.changed(), tiny.space()
  monkeypatch.setattr(plan, 'make_space', lambda name: space)
  plan.make_plan(
      config, plan.sizes_of(config, 100, 20, 20, 10), plan.Speed(1.0)
  )
  assert isinstance(space.progress, Counting)


@pytest.mark.parametrize('field', ['reward', 'executor.name'])
def test_a_plan_misses_a_part_that_is_not_there(field) -> None:
  config = tiny.changed(**{field: 'acuracy'})
  with pytest.raises(UserError, match=f"{field}: 'acuracy'"):
    plan.make_plan(
        config, plan.sizes_of(config, 100, 20, 20, 10), plan.Speed(1.0)
    )
