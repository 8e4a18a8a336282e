"""Steps of a network can be timed."""

from layernas.data.registry import load_dataset
from layernas.training.programs import compile_programs
from layernas.training.train import measured_rate
from tests import tiny


def test_steps_a_second_of_a_small_network(monkeypatch) -> None:
  monkeypatch.setattr('layernas.training.train._SECONDS', 0.0)
  config = tiny.get_config()
  dataset = load_dataset(config.data)
  programs = compile_programs(config, tiny.space().network((0, 0, 0)), dataset)
  assert measured_rate(config, programs, dataset) > 0
