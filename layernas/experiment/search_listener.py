"""What an executor reports, on its way to the record of a search."""

from collections.abc import Mapping

from layernas.experiment.search_record import NoRecord
from layernas.search import Candidate
from layernas.search import Search


class SearchListener:
  """Shows what goes on; see `executors.executor.Listener`."""

  def __init__(self, record: NoRecord, search: Search):
    """Joins the two.

    Args:
      record: of the search.
      search: knows what is hopeless.
    """
    self._record = record
    self._search = search

  def began(self, candidate: Candidate, worker: str) -> None:
    """Shows it."""
    self._record.began(candidate, worker)

  def stepped(
      self, candidate: Candidate, step: int, metrics: Mapping[str, float]
  ) -> None:
    """Shows and writes it, unless the candidate was withdrawn."""
    if candidate in self._search.waiting:
      self._record.stepped(candidate, step, metrics)

  def trouble(self, candidate: Candidate | None, message: str) -> None:
    """Shows it."""
    self._record.trouble(candidate, message)

  def hopeless(self, candidate: Candidate, early_reward: float) -> bool:
    """Asks the search."""
    return self._search.hopeless(candidate.id, early_reward)
