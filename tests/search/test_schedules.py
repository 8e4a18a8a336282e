"""Tests of layernas.search.schedules."""

import pytest

from layernas.search.interleaved import Interleaved
from layernas.search.interleaved import VisitSettings
from layernas.search.layer_pass import TableSettings
from layernas.search.model_based import GuidedSettings
from layernas.search.model_guided import ModelGuided
from layernas.search.schedules import SCHEDULES
from layernas.search.schedules import make_schedule
from layernas.search.sweep import PassSettings
from layernas.search.sweep import Recentred
from layernas.search.sweep import Sweep
from tests.search import problems


@pytest.mark.parametrize(
    ('name', 'kind'),
    [('sweep', Sweep), ('interleaved', Interleaved), ('recentred', Recentred)],
)
def test_schedules_by_name(name, kind):
  settings = PassSettings(order='backward')
  schedule = make_schedule(name, settings)
  assert type(schedule) is kind
  assert schedule.settings is settings


def test_tables_and_rounds_reach_the_model_guided_schedule():
  settings = PassSettings(TableSettings(buckets=7))
  guided = GuidedSettings(batch=3)
  schedule = make_schedule('model_guided', settings, guided=guided)
  assert type(schedule) is ModelGuided
  assert schedule.tables is settings.tables
  assert schedule.guided is guided


def test_visits_reach_the_interleaved_schedule():
  visit = VisitSettings(entries=3)
  assert make_schedule('interleaved', visit=visit).visit is visit


def test_the_default_is_one_sweep():
  assert type(make_schedule()) is Sweep


def test_an_unknown_schedule():
  with problems.refuses('search.schedule', "'swep'", *map(repr, SCHEDULES)):
    make_schedule('swep')
