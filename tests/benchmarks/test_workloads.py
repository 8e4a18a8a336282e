"""Workloads are what their names say."""

import pytest

from configs import cifar10_small
from layernas.networks.reference import mobilenet_v3_large
from layernas.training.checks import check_training
from layernas.training.train import training_steps
from tools.perf import workloads


def test_the_first_workload_is_the_config() -> None:
  config = workloads.make_config('cifar10_small')
  assert config.to_dict() == cifar10_small.get_config().to_dict()


def test_the_second_is_mobilenet_v3_large_at_224_pixels() -> None:
  config = workloads.make_config('mobilenet_v3_large_224', 2, 1)
  check_training(config)
  assert (config.budget.trials, config.compile_ahead) == (2, 1)
  assert (config.data.image_size, config.training.batch_size) == (224, 8)
  space = workloads.mobilenet_v3_space()
  assert space.network(space.search_space.default) == mobilenet_v3_large()
  assert space.search_space.size == 3


@pytest.mark.parametrize(('workload', 'steps', 'expected'), [
    ('cifar10_small', 3, 3), ('mobilenet_v3_large_224', 0, 49),
])
def test_trainings_have_the_steps_that_are_asked_for(
    workload: str, steps: int, expected: int
) -> None:
  config = workloads.make_config(workload, steps=steps)
  check_training(config)
  images = workloads.training_images(config.data)
  assert training_steps(config.training, images) == expected
