"""A search as a DNA generator of PyGlove.

    search = Search(problem, 'sweep', Budget(trials=100), seed=0)
    for network, feedback in pg.sample(
        hyper_space(problem.space), LayerNASGenerator(search)
    ):
      feedback(train(network))

`train` returns the reward of a network, which is a dict of options by layer.
"""

import threading
from typing import Any

from layernas.errors import UserError
from layernas.errors import not_installed
from layernas.integrations.numbered import DeadlockError
from layernas.integrations.numbered import NumberedSearch
from layernas.search import Architecture
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search import SearchSpace
from layernas.search import Status
from layernas.search.space import architecture_id

try:
  import pyglove as pg
except ImportError as error:
  raise not_installed(
      'layernas.integrations for PyGlove', 'PyGlove', 'pyglove'
  ) from error

_ID = 'layernas_candidate'
"""Metadata key of a DNA: the id of its candidate."""


def hyper_space(space: SearchSpace) -> pg.Dict:
  """A space as a PyGlove space.

  Args:
    space: space of the search.

  Returns:
    A dict with a `pg.oneof` of the options for each layer, by the layer's name.
  """
  return pg.Dict({
      layer.name: pg.oneof(list(layer.options)) for layer in space.layers
  })


class LayerNASGenerator(pg.geno.DNAGenerator):
  """A generator that proposes the candidates of a search, by number.

  The sampled space has a `pg.oneof` for each layer, with the layer's name and
  as many candidates as the layer has options; `hyper_space` makes one. Feedback
  may come in any order and from any thread; a proposal that depends on it
  waits. The proposals are the same as with one thread.

  PyGlove does not notify generators of `feedback.skip()`: a skipped proposal
  counts as failed when its result is needed and all threads that could give
  results wait for proposals. If several threads sample, call
  `feedback(-math.inf)` instead of a skip: it is a failed trial to the search,
  whereas PyGlove holds back a skip while another thread waits for a proposal.
  """

  search: Search

  def _setup(self) -> None:
    """Finds the layers among the decisions that are sampled."""
    self._numbered = NumberedSearch(self.search)
    self._lock = threading.Lock()
    self._next = 0
    space = self.search.problem.space
    points = self.dna_spec.decision_points
    found = {
        point.name or ''.join(map(str, point.id.keys[-1:])): point
        for point in points
    }
    names = [layer.name for layer in space.layers]
    counts = dict(zip(names, space.option_counts, strict=True))
    sampled = {
        name: len(getattr(point, 'candidates', ()))
        for name, point in found.items()
    }
    if sampled != counts or len(self.dna_spec.elements) != len(counts):
      raise UserError(
          f'sampled space: decisions and their numbers of options {sampled}:'
          f' allowed is one pg.oneof for each layer, {counts}, see'
          ' layernas.integrations.pyglove_generator.hyper_space'
      )
    # Place in the space of the layer that each decision decides.
    self._places = [names.index(name) for name in found]

  def _propose(self) -> pg.DNA:
    """The next candidate; ends where the search does."""
    with self._lock:
      number = self._next
      self._next += 1
    candidate = self._candidate(number)
    if candidate is None:
      raise StopIteration(self.search.stop_reason)
    dna = pg.DNA.from_numbers(
        [candidate.architecture[place] for place in self._places],
        self.dna_spec,
    )
    for key, value in (
        (_ID, number), ('cost', candidate.cost), ('seed', candidate.seed)
    ):
      dna.set_metadata(key, value)
    return dna

  def _feedback(self, dna: pg.DNA, reward: float) -> None:
    """Tells the search."""
    number = dna.metadata.get(_ID)
    if number is None or not self._numbered.waits(number):
      if number is not None and self.search.stop_reason:
        return  # Withdrawn, when the budget was spent.
      raise UserError(
          f'feedback for {dna}: it is no proposal that waits for a result:'
          ' allowed is one feedback for each, before its thread asks for a'
          ' proposal that depends on it'
      )
    self._numbered.tell(number, Evaluation(reward))

  def _replay(self, trial_id: int, dna: pg.DNA, reward: Any) -> None:
    """Has the search ask again for what was proposed, and tells its result."""
    candidate = self._candidate(trial_id)
    self._next = trial_id + 1
    if candidate is None or self._architecture(dna) != candidate.architecture:
      asked = candidate and architecture_id(candidate.architecture)
      raise UserError(
          f'history: proposal {trial_id}, {dna}, but this search proposes'
          f' {asked}: allowed is the history of the same search, with the same'
          ' settings and seed'
      )
    if reward is not None:
      self._numbered.tell(trial_id, Evaluation(reward))

  def _candidate(self, number: int) -> Candidate | None:
    """Waits for a candidate; what nobody gives a result for was skipped."""
    while True:
      try:
        return self._numbered.candidate(number)
      except DeadlockError as missing:
        # Their threads have come back for more without a word.
        for skipped in missing.numbers:
          self._numbered.tell(
              skipped, Evaluation(None, 0.0, Status.FAILED, 'skipped')
          )

  def _architecture(self, dna: pg.DNA) -> Architecture:
    """Options of a DNA in the order of the layers."""
    numbers = dict(zip(self._places, dna.to_numbers(), strict=True))
    return tuple(numbers[place] for place in range(len(numbers)))
