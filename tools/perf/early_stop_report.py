"""The table of what tools/perf/early_stop.py measured."""

from typing import Any


def table(searches: dict[str, Any]) -> str:
  """A Markdown table, a line per search.

  Args:
    searches: as early_stop.json has them.
  """
  lines = [
      '| seed | fraction | margin | trials | stopped | seconds in trials | wall'
      ' time / without | reward | MAdds | same winner |',
      '|---|---|---|---:|---:|---:|---:|---:|---:|---|',
  ]
  for key, one in searches.items():
    seed, fraction, margin = key.split(',')
    plain = searches[f'{seed},0,0']
    reward = '-' if one['reward'] is None else f'{one["reward"]:.4f}'
    cost = '-' if one['cost'] is None else f'{one["cost"]:,}'
    same = 'yes' if one['winner'] == plain['winner'] else 'no'
    if fraction == '0' or not plain['winner']:
      same = '-'
    ratio = one['wall_seconds'] / plain['wall_seconds']
    point = 'off | -' if fraction == '0' else f'{fraction} | {margin}'
    lines.append(
        f'| {seed} | {point} |'
        f' {one["trials"]} | {one["stopped"]} | {one["seconds_in_trials"]:.1f}'
        f' | {ratio:.2f} | {reward} | {cost} | {same} |'
    )
  return '\n'.join(lines)
