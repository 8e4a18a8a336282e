"""Tests of layernas.study.run_audit."""

from PIL import Image

from layernas.study.run_audit import audit_markdown
from layernas.study.run_audit import save_audit_plot

LAYERS = [
    {'length': 1, 'prefixes': 1234, 'buckets': 2, 'holds': None, 'kept': 1.0,
     'optimum_kept': False, 'top_dropped': 0.25, 'correlation': -0.5},
    {'length': 2, 'prefixes': 4, 'buckets': 3, 'holds': 2 / 3, 'kept': 0.5,
     'optimum_kept': True, 'top_dropped': 0.0, 'correlation': None},
]
RESULT = {
    'config': {'start': 'default', 'order': 'forward', 'spacing': 'linear',
               'top': 7},
    'audits': [
        {'benchmark': name, 'buckets': 10, 'layers': LAYERS, 'holds': 2 / 3,
         'kept': 0.75, 'optimum_dropped': 1.0, 'top_dropped': 0.25,
         'correlation': -0.5}
        for name in ('first', 'second')
    ],
}


def test_tables():
  text = audit_markdown(RESULT)
  assert '| first | 10 | 67 % | 75 % | 100 % | 25 % | -0.50 |' in text
  assert '## second, H = 10' in text
  assert '| 1 | 1,234 | 2 | - | 100 % | dropped | 25 % | -0.50 |' in text
  assert '| 2 | 4 | 3 | 67 % | 50 % | kept | 0 % | - |' in text
  assert 'the 7 best networks' in text


def test_picture(tmp_path):
  save_audit_plot(RESULT, tmp_path / 'audit.png')
  with Image.open(tmp_path / 'audit.png') as image:
    assert min(image.size) > 200
