"""Pages of the site's reference, made from the code.

Fields of configs with the comments above them, commands with what their --help
says, and the public names, which mkdocstrings fills in.
"""

import functools
import html
import re
import subprocess
import sys
from collections.abc import Mapping
from concurrent import futures
from typing import Any

from ml_collections import config_dict

import layernas
import layernas.search
from layernas import installation
from layernas.runs import config_flag
from layernas.runs import config_help
from layernas.runs import help_text
from tools.site.sources import ROOT

_CONFIGS = {
    'reference/config.md': ('Fields of a search', 'configs/default.py', """
Every field of `configs/default.py`, which other configs change a few of, with
its default. A field is changed by a flag, as in `--config.search.buckets=20`,
or in a config file of your own; [configs](../configs.md) says how.
"""),
    'reference/study_config.md': (
        'Fields of a study', 'configs/study/default.py', """
Every field of `configs/study/default.py`, with its default. A study has
sections of benchmarks and of methods, each with a name, which stands for
`NAME`: as in `--config.benchmarks.nats_tss_c10.budget.trials=100`.
[Benchmarks](../benchmarks.md) has the studies of this repository.
"""),
    'reference/audit_config.md': (
        'Fields of an audit', 'configs/study/audit.py', """
Every field of `configs/study/audit.py`, with its value. [The method's
assumption](../audit.md) is what an audit examines.
"""),
}
"""Pages by their paths: title, config file, and the text above the fields."""

# Modules whose public names are those that a user calls or extends.
_MODULES = {
    'search': ('The search half', (
        'layernas.search', 'layernas.search.strategy',
        'layernas.search.layer_pass',
    )),
    'networks': ('Networks, spaces and costs', (
        'layernas.networks.space', 'layernas.networks.flax_space',
        'layernas.networks.network', 'layernas.networks.interface',
        'layernas.networks.spec', 'layernas.networks.counting',
        'layernas.networks.costs', 'layernas.models.blocks',
        'layernas.models.initialization',
    )),
    'training': ('Data and training', (
        'layernas.data.dataset', 'layernas.data.table_dataset',
        'layernas.data.registry', 'layernas.training.train',
        'layernas.training.optimizer', 'layernas.training.hooks',
    )),
    'runs': ('Runs and hooks', (
        'layernas.runs.config_flag', 'layernas.runs.run_search',
        'layernas.runs.final', 'layernas.runs.rewards',
        'layernas.reports.hooks', 'layernas.reports.result',
        'layernas.errors',
    )),
    'export': ('Models and export', (
        'layernas.export.model', 'layernas.export.formats',
        'layernas.export.preprocessing', 'layernas.export.validation',
    )),
    'integrations': ('In other frameworks', (
        'layernas.integrations.numbered',
        'layernas.integrations.optuna_sampler',
        'layernas.integrations.optuna_storage',
        'layernas.integrations.pyglove_generator',
    )),
    'study': ('Studies', (
        'layernas.study.tables.table', 'layernas.study.protocol',
        'layernas.study.methods.registry', 'layernas.study.statistics',
    )),
}


@functools.cache
def pages() -> Mapping[str, str]:
  """The pages of the reference.

  Returns:
    Markdown by the path below docs/ that a page would have.
  """
  made = {
      name: _config_page(*about) for name, about in _CONFIGS.items()
  }
  made['reference/commands.md'] = _commands()
  made['reference/layernas.md'] = _package()
  for name, (title, modules) in _MODULES.items():
    blocks = [f'::: {module}\n' for module in modules]
    made[f'reference/{name}.md'] = '\n'.join([f'# {title}\n', *blocks])
  return made


def _config_page(title: str, defaults: str, text: str) -> str:
  """Every field of a config with its default and its comment."""
  config = config_flag.load(str(installation.ROOT / defaults)).unlock()
  comments = help_text.comments_of(config, defaults)
  lines = [f'# {title}', text]
  for section, fields in config_help.sections(config, comments):
    if section:
      about = _escaped(comments.get(section, ''))
      lines += [f'## `{section}` {{ #{section} }}\n', f'{about}\n']
    if fields:
      lines += ['| field and default | what it is |', '|---|---|']
    lines += [
        f'| `{name}={_value(value)}`{{ #{name} }}'
        f' | {_escaped(comments.get(name, ""))} |'
        for name, value in fields
    ]
    lines += ['']
  return '\n'.join(lines)


def _value(value: Any) -> str:
  return '{}' if isinstance(value, config_dict.ConfigDict) else repr(value)


def _escaped(text: str) -> str:
  """Plain text for a cell of a table; paths in it may be divided."""
  text = html.escape(text, quote=False).replace('/', '/<wbr>')
  return re.sub(r'([*_|`\[\]])', r'\\\1', text)


def _package() -> str:
  """The names that `import layernas` gives."""
  exported = layernas.search.__all__
  blocks = [
      f'::: layernas.{name}\n' for name in layernas.__all__
      if name not in exported
  ]
  names = [
      f'- [`layernas.{name}`](search.md#layernas.search.{name})'
      f'{{ #layernas.{name} }}'
      for name in layernas.__all__ if name in exported
  ]
  return '\n'.join(
      ['# layernas\n', *blocks, '## Of the search half\n', *names, '']
  )


def _commands() -> str:
  """What every command says with --help."""
  commands = [
      ['./launch.sh', '--help'],
      *(
          [sys.executable, f'experiments/{name}.py', '--help']
          for name in installation.program_names()
      ),
      ['./launch.sh', 'tpu', '--help'],
  ]
  titles = ['launch.sh', *installation.program_names(), 'tpu']
  with futures.ThreadPoolExecutor() as pool:
    texts = pool.map(_output, commands)
  parts = [
      f'## {title}\n\n{_shown(text)}\n'
      for title, text in zip(titles, texts, strict=True)
  ]
  return '\n'.join(['# Commands\n', *parts])


def _shown(text: str) -> str:
  """A program's help, its fields left to their own pages."""
  own, _, fields = text.partition('\nFields of the config ')
  shown = f'```text\n{own.strip()}\n```'
  for page, (title, defaults, _) in _CONFIGS.items():
    if fields.startswith(defaults):
      name = page.rpartition('/')[2]
      shown += f'\n\n`--config.FIELD=VALUE`: [{title.lower()}]({name}).'
  return shown


def _output(command: list[str]) -> str:
  return subprocess.run(
      command, cwd=ROOT, capture_output=True, text=True, check=True,
  ).stdout
