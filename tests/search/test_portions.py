"""A strategy's proposals, a part at a time."""

from layernas.search.strategy import Portions
from layernas.search.trial import Proposal


def _generations():
  yield [Proposal((0,), 1), Proposal((1,), 1), Proposal((2,), 1)]
  yield []
  yield [Proposal((3,), 1)]
  return 'at its end'


def _taken(portions, rooms):
  """Options of the parts for so much room each; then why it ended."""
  rooms = iter(rooms)
  found, walk = [], portions.while_affordable(lambda: next(rooms))
  while True:
    try:
      found.append([one.architecture[0] for one in next(walk)])
    except StopIteration as stop:
      return found, stop.value


def test_what_finds_no_room_is_kept():
  portions = Portions(_generations())
  assert _taken(portions, [2, 0]) == ([[0, 1]], '')
  assert _taken(portions, [5, 0.5]) == ([[2]], '')
  assert _taken(portions, [float('inf')]) == ([[3]], 'at its end')


def test_a_generation_without_proposals_ends_nothing():
  assert _taken(Portions(_generations()), [9, 9]) == (
      [[0, 1, 2], [3]], 'at its end'
  )
