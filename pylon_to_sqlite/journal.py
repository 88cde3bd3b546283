"""What a run looks like to programs (--log-json): one JSON object a line on stderr.

Of records it tells how many, never what is in them. The names of events and fields are in the
README; they stay as they are.
"""

from __future__ import annotations

import json
import os
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylon_to_sqlite.endings import MORE_TO_DO
from pylon_to_sqlite.saying import Voice

if TYPE_CHECKING:
    from pylon_to_sqlite.client import Answer
    from pylon_to_sqlite.reading import Progress, Result
    from pylon_to_sqlite.rounds import Health
    from pylon_to_sqlite.run import Outcome

# Seconds between two lines on how far a stream is.
SPARING = 1.0


class Journal:
    """Writes events as they come; what a lane reports may come from any thread. Quiet, it tells of
    failures and of what turned; verbose, of each request too."""

    def __init__(self, quiet: bool, verbose: bool) -> None:
        self.quiet = quiet
        self.verbose = verbose and not quiet
        self._lock = threading.Lock()
        self._voice = Voice()
        self._told: dict[str, float] = {}
        self._warned: set[str] = set()

    def began(self, db: Path) -> None:
        """A run begins."""
        from pylon_to_sqlite.run import version_here

        if not self.quiet:
            self._write("run_began", version=version_here(), db=os.fspath(db))

    def close(self) -> None:
        """The run has ended."""
        self._told.clear()

    def progress(self, progress: Progress) -> None:
        """A page, or one parent's children, is in the file."""
        now, name = time.monotonic(), progress.stream.name
        if not self.quiet and now - self._told.get(name, -SPARING) >= SPARING:
            self._told[name] = now
            self._write("progress", stream=name, done=progress.done, total=progress.total)

    def waiting(self, template: str, seconds: float, why: str) -> None:
        """A wait begins: for the rate limit, or before another try."""
        if not self.quiet:
            self._write("wait", endpoint=template, seconds=round(seconds, 1), why=why)

    def answered(self, answer: Answer) -> None:
        """Pylon answered a request."""
        if self.verbose:
            self._write("request", **answer._asdict())

    def result(self, result: Result) -> None:
        """A stream ended."""
        outcome = "failed" if result.error else "not available" if result.missing else "ok"
        if not self.quiet or result.error:
            self._write(
                "stream_ended",
                stream=result.stream.name,
                outcome=outcome,
                read=result.read,
                **vars(result.counts),
                is_cut_off=result.is_cut_off,
                error=result.error or result.missing,
            )

    def summary(self, outcome: Outcome, requests: int, waited: float, took: float) -> None:
        """The run as a whole."""
        ending = outcome.ending
        if self.quiet:
            if outcome.failed and ending.error:
                self._write("error", message=ending.error, exit_status=ending.exit_status)
            return
        for drift in outcome.drift:
            self._write("drift", **drift._asdict())
        found, gathered = outcome.compared, outcome.gathered
        self._write(
            "summary",
            organization=outcome.me.id,
            outcome=ending.outcome,
            exit_status=ending.exit_status,
            **vars(outcome.counts),
            requests=requests,
            seconds=round(took, 1),
            seconds_waited=round(waited, 1),
            failed=[one.stream.name for one in outcome.results if one.error],
            compared={
                name: getattr(found, name)
                for name in ("issues", "gone", "changed", "missing", "error", "failing")
            },
            withdrawn=vars(outcome.withdrawn),
            erased=outcome.erased,
            unpurged=outcome.unpurged or None,
            attachments=gathered
            and {name: getattr(gathered, name) for name in ("files", "size", "failed", "error")},
        )

    def health(self, health: Health) -> None:
        """A round of --every ended."""
        if not self.quiet or health.has_turned:
            told = {name: value for name, value in vars(health).items() if name != "at"}
            self._write("round", **told)

    def warning(self, sentence: str) -> None:
        """Something should be mended, but stops nothing. It is told once."""
        if sentence not in self._warned and not self.quiet:
            self._warned.add(sentence)
            self._write("warning", message=sentence)

    def ended(self, sentence: str, status: int) -> None:
        """The program ends early, or because it was told to."""
        is_error = status not in (0, MORE_TO_DO)
        if is_error or not self.quiet:
            self._write("error" if is_error else "stopped", message=sentence, exit_status=status)

    def _write(self, event: str, **fields: Any) -> None:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        # In ASCII: no control character, and no line end but the last.
        line = json.dumps({"time": now.replace("+00:00", "Z"), "event": event, **fields})
        with self._lock:
            self._voice.say(line + "\n")
