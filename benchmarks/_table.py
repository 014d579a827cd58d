"""What benchmarks share: a markdown table, and the interval of a proportion."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["table", "wilson"]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table, its columns as wide as their widest cell; the first column to the left, figures to the right.

    Raises ValueError for a row that has not one cell a column.
    """
    if any(len(row) != len(head) for row in rows):
        raise ValueError("every row of a table has one cell a column")
    widths = [max(3, *(len(line[i]) for line in (head, *rows))) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *figures = zip(cells, widths, strict=True)
        return "| " + " | ".join((first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in figures))) + " |"

    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join((line(head), rule, *map(line, rows)))


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """The Wilson score interval of a proportion (Wilson 1927), 95 % by default; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share, square = successes / trials, z * z
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = z / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    return max(0.0, middle - half), min(1.0, middle + half)
