"""What a run looks like: a line that moves on a terminal, a line a stream elsewhere."""

from __future__ import annotations

import shutil
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pylon_to_sqlite.endings import MORE_TO_DO
from pylon_to_sqlite.saying import Voice

if TYPE_CHECKING:
    from pathlib import Path

    from pylon_to_sqlite.client import Answer
    from pylon_to_sqlite.estimate import Cost, Estimate
    from pylon_to_sqlite.examine import Finding
    from pylon_to_sqlite.gather import Gathered
    from pylon_to_sqlite.reading import Progress, Result
    from pylon_to_sqlite.rounds import Health
    from pylon_to_sqlite.rows import Drift
    from pylon_to_sqlite.run import Outcome
    from pylon_to_sqlite.status import RunStatus, Status

# Seconds between two lines on what is at work: on a terminal, elsewhere.
REDRAW = 0.1
HEARTBEAT = 60.0
# A rate is not worth telling before it has been seen for so many seconds.
SETTLED = 5.0
# A shorter wait before the first page of a stream needs no line of its own.
LONG_WAIT = 3.0
BAR = 10
LONGEST_NAME = 120
MOST_DRIFT = 50


def shown(text: str) -> str:
    """`text` for a terminal: what strangers typed cannot move the cursor or change colours."""
    return "".join(
        one if one.isprintable() or one == " " else one.encode("unicode_escape").decode()
        for one in text
    )


def table(rows: Sequence[Sequence[object]]) -> str:
    """Rows as lines of aligned columns; numbers to the right, nothing where there is nothing."""
    cells = [["" if one is None else shown(str(one)) for one in row] for row in rows]
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


def stream_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """What there is to choose from."""
    head = ("stream and table", "", "endpoint", "how it is kept up to date", "requests a run")
    lines = [
        (
            one["stream"],
            "" if one["is_on"] else "off",
            one["endpoint"],
            one["kept"],
            one["requests"],
        )
        for one in rows
    ]
    return table([head, *lines])


def status_lines(name: str, status: Status) -> Iterator[str]:
    """What the file of that name holds and how its last runs ended."""
    yield f"{name} mirrors {shown(status.organization)} ({shown(status.organization_id)})"
    if status.issue_type:
        yield f"Of issues it holds only those of type {status.issue_type}."
    if status.custom_objects:
        yield f"Custom objects: {shown(', '.join(status.custom_objects))}."
    yield from map(shown, status.left_out)
    if status.forgotten:
        yield f"Forgotten and kept out: {status.forgotten:,} (forget {name} --list shows them)."
    yield ""
    head = ("stream", "", "rows", "gone", "complete up to", "stale", "last run", "ended")
    rows = [
        (
            *(one.stream, "" if one.is_on else "off", one.rows, one.gone, one.watermark),
            *(one.stale, one.last_run, one.outcome),
        )
        for one in status.streams
    ]
    yield table([head, *rows])
    for one in status.streams:
        if one.error:
            yield f"\n{one.stream}: {shown(one.error)}"


def run_lines(runs: Sequence[RunStatus]) -> Iterator[str]:
    """The runs of a file, one a line, and below it what failed."""
    head = ("began", "took", "ended", "exit", "streams", "new", "changed", "gone", "requests")
    rows = [
        (
            *(one.started_at, _between(one.started_at, one.ended_at), one.outcome),
            *(one.exit_status, one.streams, one.new, one.changed, one.gone, one.requests),
        )
        for one in runs
    ]
    yield table([head, *rows])
    for one in runs:
        if one.failed:
            yield f"{one.started_at}: failed: {', '.join(one.failed)}"
        if one.error:
            yield f"{one.started_at}: {shown(one.error)}"


def finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """What the doctor found, a check a line."""
    width = max(len(one.check) for one in findings)
    for one in findings:
        state = one.state.upper() if one.state == "wrong" else one.state
        todo = f". What to do: {one.remedy}" if one.remedy and one.state == "wrong" else ""
        yield f"{state:<7}  {one.check:<{width}}  {shown(one.message + todo)}"


def cost_lines(estimate: Estimate) -> Iterator[str]:
    """How many requests a run takes, and how long the rate limits make it."""
    head = ("stream", "requests", "at", "takes")
    rows = [
        (
            *(one.name, _least(one), f"{one.per_minute:,.0f} a minute"),
            "unknown" if one.requests is None else _span(one.seconds),
        )
        for one in estimate.costs
    ]
    yield table([head, *rows])
    yield ""
    yield (
        f"At least {estimate.requests:,} requests. The endpoints are asked side by side, so the"
        f" rate limits make it about {_span(estimate.seconds)}, if they are as Pylon's documents"
        f" say. To find this out took {estimate.made:,} requests; nothing was written."
    )
    for error in estimate.errors:
        yield shown(error)


class Display:
    """Prints to stderr what a run reports; what a lane reports may come from any thread.

    On a terminal one line moves; elsewhere each stream has a line when it ends, and those still at
    work have one a minute. Where it is to be `brief`, a run has no lines but these and those of
    what is new: whoever stays has one line for each run.
    """

    def __init__(self, quiet: bool, verbose: bool, *, brief: bool = False) -> None:
        self.quiet = quiet
        self.brief = brief and not verbose
        self.verbose = verbose and not quiet
        self.moves = bool(sys.stderr and sys.stderr.isatty()) and not quiet
        self._lock = threading.Lock()
        self._voice = Voice()
        self._said = time.monotonic()
        self._drawn = 0.0
        self._working: dict[str, tuple[Progress, float]] = {}
        self._waits: dict[str, tuple[float, str]] = {}
        self._warned: set[str] = set()

    def began(self, db: Path) -> None:
        """A run begins, which nobody needs to be told who started it."""

    def close(self) -> None:
        """The run has ended: no line moves any more."""
        with self._lock:
            self._clear()
            self._working.clear()
            self._waits.clear()

    def progress(self, progress: Progress) -> None:
        """A page, or one parent's children, is in the file."""
        with self._lock:
            name = progress.stream.name
            _, began = self._working.get(name, (progress, time.monotonic()))
            self._working[name] = (progress, began)
            self._refresh()

    def waiting(self, template: str, seconds: float, why: str) -> None:
        """A wait begins: for the rate limit, or before another try."""
        with self._lock:
            now = time.monotonic()
            self._waits[template] = (now + seconds, why)
            is_at_work = any(one.stream.path == template for one, _ in self._working.values())
            is_silent = self.quiet or self.brief
            if seconds >= LONG_WAIT and not is_at_work and not is_silent:
                # Nothing else would tell why nothing happens.
                self._line(f"{template}: waits {_span(seconds)}: {why}")
            self._refresh()

    def answered(self, answer: Answer) -> None:
        """Pylon answered a request."""
        if self.verbose:
            with self._lock:
                self._line(f"{answer.method} {answer.path} {answer.status}")

    def result(self, result: Result) -> None:
        """A stream ended."""
        with self._lock:
            name = result.stream.name
            self._working.pop(name, None)
            if self.brief:
                return
            if result.error:
                self._line(f"{name}: failed: {result.error}")
            elif self.quiet:
                return
            elif result.missing:
                self._line(f"{name}: not available: {result.missing}")
            else:
                more = f"; Pylon gives {result.stream.limit:,} only" if result.is_cut_off else ""
                self._line(f"{name}: {counted(result.counts.new, result.counts.changed)}{more}")

    def summary(self, outcome: Outcome, requests: int, waited: float, took: float) -> None:
        """The run as a whole."""
        found = outcome.compared
        if self.quiet:
            if outcome.gathered and outcome.gathered.error and not self.brief:
                self._line(_gathered(outcome.gathered))
            if found.failing and found.told and not self.brief:
                self._line(found.told)
            return
        for drift in outcome.drift[:MOST_DRIFT]:
            self._line(_drifted(drift))
        if len(outcome.drift) > MOST_DRIFT:
            self._line(f"… and {len(outcome.drift) - MOST_DRIFT:,} more, in _pylon_fields")
        if self.brief:
            return
        total = outcome.counts
        self._line(
            f"{outcome.me.name}: {counted(total.new, total.changed)}, {total.gone:,} gone;"
            f" {requests:,} requests in {_span(took)},"
            f" {_span(waited)} of waiting for the rate limit"
        )
        if found.told:
            self._line(found.told)
        elif found.issues:
            self._line(
                f"Compared {found.issues:,} issues: {found.gone:,} gone, {found.changed:,} had"
                f" changed without a sign, {found.missing:,} missing"
            )
        if taken := outcome.withdrawn.told():
            self._line(f"Taken out of the file: {taken}")
        if outcome.erased:
            self._line(f"Erased for good: {outcome.erased:,} records")
        if outcome.gathered:
            self._line(_gathered(outcome.gathered))
        if outcome.unpurged:
            self._line(
                "Words that were changed, deleted or left out may still be in the file"
                f" ({outcome.unpurged}): the next run removes them."
            )
        failed = [result for result in outcome.results if result.error]
        if failed:
            names = ", ".join(result.stream.name for result in failed)
            # What Pylon does not know is asked for no more.
            more = "" if all(result.unknown for result in failed) else " Run it again to go on."
            self._line(f"Failed: {names}.{more}")

    def health(self, health: Health) -> None:
        """A round of --every ended."""
        if self.quiet and not health.has_turned:
            return
        state: str = health.state
        if health.has_turned and state == "well":
            state = "well again"
        elif health.failures > 1:
            state = f"failing, {health.failures:,} times in a row"
        self._line(f"{health.at} {state}: {health.detail}; next at {health.next_at.split('T')[1]}")

    def warning(self, sentence: str) -> None:
        """Something should be mended, but stops nothing. It is told once."""
        if sentence not in self._warned and not self.quiet:
            self._warned.add(sentence)
            self._line(f"Warning: {sentence}")

    def ended(self, sentence: str, status: int) -> None:
        """The program ends early, or because it was told to."""
        if status not in (0, MORE_TO_DO):
            self._line(f"Error: {sentence}")
        elif not (status == 0 and self.quiet):
            self._line(sentence)

    def _refresh(self) -> None:
        now = time.monotonic()
        if self.moves and now - self._drawn > REDRAW:
            self._drawn = now
            width = shutil.get_terminal_size().columns
            text = shown("  ".join(self._lanes(now, brief=True)))
            self._voice.say(f"\r\x1b[K{text[: width - 1]}")
        elif not self.moves and not self.quiet and now - self._said > HEARTBEAT:
            self._said = now
            for line in self._lanes(now, brief=False):
                self._line(line)

    def _lanes(self, now: float, *, brief: bool) -> list[str]:
        """What each stream at work has done, has to do, and why it waits."""
        return [
            _state(progress, now - began, self._why(progress, now), brief)
            for progress, began in self._working.values()
        ]

    def _why(self, progress: Progress, now: float) -> str:
        until, why = self._waits.get(progress.stream.path, (now, ""))
        return f"{shown(why)} for {_span(until - now)}" if until - now >= 1 else ""

    def _line(self, text: str) -> None:
        self._clear()
        # Whatever was put into it, and whoever forgot that it is a stranger's.
        self._voice.say(shown(text) + "\n")

    def _clear(self) -> None:
        if self.moves and self._drawn:
            self._voice.say("\r\x1b[K")
            self._drawn = 0.0


def _least(cost: Cost) -> str:
    if cost.requests is None:
        return "unknown"
    return ("" if cost.is_known else "at least ") + f"{cost.requests:,}"


def _state(progress: Progress, took: float, why: str, brief: bool) -> str:
    """Such as: issue_messages: 1,240 of 9,800, rate limited for 17 s, about 1 h 12 min left."""
    done, total = progress.done, progress.total
    parts = [f"{progress.stream.name}: {done:,}" + (f" of {total:,}" if total else "")]
    if brief and total:
        full = BAR * done // max(total, done)
        parts[0] += f" [{'#' * full}{'.' * (BAR - full)}]"
    if why:
        parts.append(why)
    if total and done and took > SETTLED and total > done:
        parts.append(f"about {_span(took / done * (total - done))} left")
    return ", ".join(parts)


def _drifted(drift: Drift) -> str:
    """Such as: Changed in Pylon: issues.number is text where a number was; it is kept as it is."""
    field = shown(f"{drift.table}.{drift.column}"[:LONGEST_NAME])
    if drift.change == "new":
        return f"New in Pylon: {field}"
    if drift.change == "type":
        return f"Changed in Pylon: {field} is {drift.detail}; it is kept as it comes"
    return f"Gone from Pylon, it seems: {field}, {drift.detail}"


def _gathered(gathered: Gathered) -> str:
    """Such as: Attachments: 12 files fetched (3.4 MB), 1 failed; the next run tries them again."""
    text = f"Attachments: {gathered.files:,} files fetched ({gathered.size / 10**6:,.1f} MB)"
    text += f", {gathered.failed:,} failed"
    if gathered.error:
        return f"{text}; stopped: {shown(gathered.error)}"
    return f"{text}; the next run tries them again" if gathered.failed else text


def counted(new: int, changed: int) -> str:
    """Such as: 3 new, 1 changed."""
    return f"{new:,} new, {changed:,} changed"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _between(start: str, end: str | None) -> str:
    try:
        took = datetime.fromisoformat(str(end)[:19]) - datetime.fromisoformat(start[:19])
    except ValueError:
        return ""
    return _span(max(0.0, took.total_seconds()))


def _width(text: str) -> int:
    """Columns that `text` takes on a terminal."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)
