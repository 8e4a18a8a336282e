"""One candidate at a time, here."""

import pytest

from layernas.executors.inline import Inline
from layernas.search import Candidate
from layernas.search import Status
from tests.executors.evaluators import Faulty
from tests.executors.evaluators import Heard

ONE, OTHER = (Candidate(number, 1, (number, 2), 1, 0) for number in range(2))


def inline(tmp_path, heard, retries=0, **settings):
  made = []

  def make():
    settings['markers'] = tmp_path
    made.append(Faulty(settings, heard.stepped))
    return made[0]

  return Inline(make, heard, retries), made[0]


def test_results_come_in_the_order_of_the_candidates(tmp_path):
  heard = Heard()
  executor, evaluator = inline(tmp_path, heard)
  with executor:
    executor.submit(ONE)
    executor.submit(OTHER)
    executor.prepare([(5, 5)])
    results = [executor.next_result() for _ in range(2)]
  assert [one.candidate for one in results] == [ONE, OTHER]
  assert [one.evaluation.reward for one in results] == [0.2, 0.3]
  assert results[0].seconds == {'train': 1.0}
  assert evaluator.prepared == [(0, 2), (1, 2), (5, 5)]
  assert heard.of('began') == [(0, ''), (1, '')]


@pytest.mark.parametrize(('retries', 'status'), [
    (1, Status.FAILED), (2, Status.OK),
])
def test_a_failure_is_tried_again(tmp_path, retries, status):
  heard = Heard()
  faults = {'0': ['fail', 'fail']}
  executor, _ = inline(tmp_path, heard, retries, faults=faults)
  with executor:
    executor.submit(ONE)
    evaluation = executor.next_result().evaluation
  assert evaluation.status is status
  assert heard.of('trouble') == [(0, 'no luck')] * retries
