"""Tests of layernas.study.methods.registry."""

import pytest

from layernas.study.methods.evolution import RegularizedEvolution
from layernas.study.methods.registry import BASELINES
from layernas.study.methods.registry import make_baseline
from tests.search import problems


def test_settings_reach_the_class():
  evolution = make_baseline('evolution', population=7)
  assert isinstance(evolution, RegularizedEvolution)
  assert (evolution.population, evolution.sample) == (7, 3)


@pytest.mark.parametrize('name', list(BASELINES))
def test_every_name_makes_a_baseline_with_defaults(name):
  assert make_baseline(name).infeasible == 0


def test_unknown_baseline():
  with problems.refuses("'bohb'", 'evolution'):
    make_baseline('bohb')
