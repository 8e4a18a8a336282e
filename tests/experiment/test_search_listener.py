"""What executors report of candidates that still count is recorded."""

from layernas.runs.search_record import NoRecord
from layernas.runs.search_record import SearchListener
from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search.sweep import Sweep
from tests.search import problems


class _Steps(NoRecord):

  def __init__(self):
    self.steps = []

  def stepped(self, candidate, step, metrics):
    del metrics
    self.steps.append((candidate.id, step))


def test_steps_of_withdrawn_candidates_are_dropped():
  search = Search(
      problems.make_problem([(1, 2, 3)]), Sweep(), Budget(seconds=1.0)
  )
  record = _Steps()
  listener = SearchListener(record, search)
  first, second = search.ask(2)
  listener.stepped(second, 1, {})
  search.tell(first.id, Evaluation(0.5, 2.0))
  listener.stepped(second, 2, {})
  assert record.steps == [(1, 1)]
