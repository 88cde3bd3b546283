"""What a run looks like: a line that moves on a terminal, a line a stream elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
import unicodedata
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pylon_to_sqlite.client import Answer
    from pylon_to_sqlite.run import Outcome
    from pylon_to_sqlite.sync import Progress, Result

# Off a terminal, waits shorter than this are not worth a line.
LONG_WAIT = 10.0
# A terminal needs no more than ten lines a second.
REDRAW = 0.1
BAR = 24


def shown(text: str) -> str:
    """`text` for a terminal: what strangers typed cannot move the cursor or change colours."""
    return "".join(
        one if one.isprintable() or one == " " else one.encode("unicode_escape").decode()
        for one in text
    )


def table(rows: Sequence[Sequence[object]]) -> str:
    """Rows as lines of aligned columns; numbers to the right, nothing where there is nothing."""
    cells = [["" if one is None else str(one) for one in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row, values in zip(cells, rows, strict=True):
        padded = [
            " " * (width - _width(cell)) + cell
            if isinstance(value, int)
            else cell + " " * (width - _width(cell))
            for cell, value, width in zip(row, values, widths, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


class Display:
    """Prints to stderr what a run reports."""

    def __init__(self, quiet: bool, verbose: bool) -> None:
        self.quiet = quiet
        self.verbose = verbose and not quiet
        self.moves = sys.stderr.isatty() and not quiet
        self._drawn = 0.0
        self._last: Progress | None = None

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clear()

    def progress(self, progress: Progress) -> None:
        """A page, or one parent's children, is in the file."""
        self._last = progress
        if self.moves and time.monotonic() - self._drawn > REDRAW:
            self._draw(_moving(progress))

    def waiting(self, template: str, seconds: float) -> None:
        """A wait for the rate limit begins."""
        why = f"rate limited for {seconds:.0f} s"
        if self.moves:
            self._draw(f"{_moving(self._last)}  {why}" if self._last else why)
        elif not self.quiet and seconds >= LONG_WAIT:
            self._line(f"{template}: {why}")

    def answered(self, answer: Answer) -> None:
        """Pylon answered a request."""
        if self.verbose:
            self._line(f"{answer.method} {shown(answer.path)} {answer.status}")

    def result(self, result: Result) -> None:
        """A stream ended."""
        name = result.stream.name
        if result.error:
            self._line(f"{name}: failed: {shown(result.error)}")
        elif not self.quiet:
            self._line(f"{name}: {_counted(result.counts.new, result.counts.changed)}")
        self._last = None

    def summary(self, outcome: Outcome, requests: int, waited: float, took: float) -> None:
        """The run as a whole."""
        if self.quiet:
            return
        for column in outcome.new_columns:
            self._line(f"New in Pylon: {shown(column)}")
        counts = [result.counts for result in outcome.results]
        new, changed, gone = (
            sum(getattr(one, name) for one in counts) for name in ("new", "changed", "gone")
        )
        self._line(
            f"{shown(outcome.me.name)}: {_counted(new, changed)}, {gone:,} gone;"
            f" {requests:,} requests in {_span(took)},"
            f" {_span(waited)} of it waiting for the rate limit"
        )
        failed = [result.stream.name for result in outcome.results if result.error]
        if failed:
            self._line(f"Failed: {', '.join(failed)}. Run it again to go on.")

    def _line(self, text: str) -> None:
        self._clear()
        click.echo(text, err=True)

    def _draw(self, text: str) -> None:
        self._drawn = time.monotonic()
        width = shutil.get_terminal_size().columns
        click.echo(f"\r\x1b[K{text[: width - 1]}", err=True, nl=False)

    def _clear(self) -> None:
        if self.moves and self._drawn:
            click.echo("\r\x1b[K", err=True, nl=False)
            self._drawn = 0.0


def _moving(progress: Progress) -> str:
    name, done, total = progress.stream.name, progress.done, progress.total
    if not total:
        return f"{name}: {done:,} read"
    full = BAR * done // total
    bar = "#" * full + "." * (BAR - full)
    return f"{name}: [{bar}] {done:,} of {total:,}"


def _counted(new: int, changed: int) -> str:
    return f"{new:,} new, {changed:,} changed"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _width(text: str) -> int:
    """Columns that `text` takes on a terminal."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)
