"""A study's report as one HTML page that needs no other file."""

import base64
from collections.abc import Mapping
from typing import Any

import jinja2
from etils import epath

from layernas.study import document
from layernas.study.protocol import COST_RULE


def page(summary: Mapping[str, Any], directory: epath.PathLike) -> str:
  """Text of report.html.

  Args:
    summary: of the study.
    directory: where the pictures are.

  Returns:
    HTML with the pictures inside.
  """
  environment = jinja2.Environment(
      loader=jinja2.PackageLoader('layernas.study'), autoescape=True,
      trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
  )
  return environment.get_template('report.html').render(
      title=summary['title'] or 'Study',
      cost_rule=COST_RULE,
      chapters=document.chapters(summary),
      about=document.about(summary),
      data_uri=lambda file: data_uri(epath.Path(directory) / file),
  )


def data_uri(path: epath.PathLike) -> str:
  """A PNG file as the address of an image."""
  code = base64.b64encode(epath.Path(path).read_bytes()).decode('ascii')
  return f'data:image/png;base64,{code}'
