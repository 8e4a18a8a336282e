"""What goes through a pipe comes out the same."""

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from layernas.executors import connection
from layernas.executors.executor import Evaluated
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Status

_CANDIDATES = st.builds(
    Candidate, st.integers(0, 10**6), st.integers(0, 99),
    st.lists(st.integers(0, 30), min_size=1).map(tuple),
    st.integers(0, 10**12) | st.floats(0, 1e12), st.integers(0, 2**31 - 1),
)
_EVALUATIONS = st.builds(
    Evaluation, st.floats(-1e6, 1e6), st.floats(0, 1e6),
    st.sampled_from(Status), st.text(),
    st.dictionaries(st.text(), st.floats(-1e6, 1e6)),
)


@settings(max_examples=30)
@given(_CANDIDATES, _EVALUATIONS, st.booleans())
def test_a_line_holds_a_result(candidate, evaluation, retriable):
  evaluated = Evaluated(evaluation, {'train': 0.1}, retriable, 'a\nb')
  line = connection.encode(
      'done', **connection.evaluated_to_json(candidate, evaluated)
  )
  assert line.count(b'\n') == 1
  message = connection.decode(line)
  assert message['kind'] == 'done'
  assert connection.evaluated_from_json(message) == evaluated


@settings(max_examples=30)
@given(_CANDIDATES)
def test_a_line_holds_a_candidate(candidate):
  line = connection.encode(
      'train', candidate=connection.candidate_to_json(candidate)
  )
  values = connection.decode(line)['candidate']
  assert connection.candidate_from_json(values) == candidate
