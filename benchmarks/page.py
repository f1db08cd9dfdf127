"""``docs/performance.md``: what is measured goes between marks, the rest stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks import machine
from benchmarks.rows import HEADINGS, Row, table

NAME: Final = "docs/performance.md"
PATH: Final = Path(__file__).parent.parent / NAME

RATIOS: Final = "ratios"
PROCESSORS: Final = "processors"
WHEN: Final = "measured"
"""The last column: each line keeps its own date."""


def put(block: str, text: str) -> None:
    """Replace what stands between a block's marks. Raises ``KeyError`` where there are none."""
    page = PATH.read_text(encoding="utf-8")
    begins, ends = f"<!-- {block} -->\n", f"\n<!-- end of {block} -->"
    before, found, rest = page.partition(begins)
    _, found_too, after = rest.partition(ends)
    if not found or not found_too:
        raise KeyError(f"{NAME} has no place for {block!r}")
    PATH.write_text(f"{before}{begins}{text}{ends}{after}", encoding="utf-8")


def has(block: str) -> bool:
    """Whether there is such a block."""
    return f"<!-- {block} -->\n" in PATH.read_text(encoding="utf-8")


def read(block: str) -> str:
    """What stands there."""
    page = PATH.read_text(encoding="utf-8")
    return page.partition(f"<!-- {block} -->\n")[2].partition(f"\n<!-- end of {block} -->")[0]


def put_rows(rows: Sequence[Row]) -> None:
    """Put new lines into the tables, in the place of those for the same path and shape."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    _merge(RATIOS, (*HEADINGS, WHEN), [(*row.cells(), today) for row in rows])
    _merge(PROCESSORS, PROCESSOR_HEADINGS, [processors_of(row) for row in rows if row.took])
    put("machine", machine.told())


PROCESSOR_HEADINGS: Final = ("path", "shape", "microseconds of processor time for each")


def processors_of(row: Row) -> tuple[str, ...]:
    """What each process took, as a line."""
    took = ", ".join(f"{who} {us:,.0f}" for who, us in row.took.items())
    return row.path, row.shape, took


def _merge(block: str, headings: Sequence[str], lines: Sequence[tuple[str, ...]]) -> None:
    kept = {line[:2]: line for line in _lines(read(block))}
    kept |= {line[:2]: line for line in lines}
    put(block, table(headings, list(kept.values())))


def _lines(text: str) -> Iterator[tuple[str, ...]]:
    for line in text.splitlines()[2:]:
        yield tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1])
