"""The record of runs: when each began and ended, and what became of its streams."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlite_utils import Database

from pylon_to_sqlite.endings import Ending
from pylon_to_sqlite.transactions import Transactions

# So many runs are remembered whole: three weeks of one each quarter of an hour. Of those before
# only what they changed, or why they failed, for in a year a million rows would say "nothing new".
REMEMBERED = 2000
# How far behind that is looked, so that no run looks through all there ever were.
BEHIND = 200

_IDLE_STREAMS = """
    DELETE FROM _pylon_run_streams
    WHERE run BETWEEN :first AND :last AND outcome = 'ok'
      AND rows_new = 0 AND rows_changed = 0 AND rows_gone = 0
      AND EXISTS (SELECT 1 FROM _pylon_run_streams AS later
                  WHERE later.run > _pylon_run_streams.run
                    AND later.stream = _pylon_run_streams.stream)
"""
_IDLE_RUNS = """
    DELETE FROM _pylon_runs WHERE id BETWEEN :first AND :last AND outcome = 'ok'
      AND NOT EXISTS (SELECT 1 FROM _pylon_run_streams WHERE run = _pylon_runs.id)
"""


@dataclass
class Counts:
    """What a stream's records did to its table."""

    new: int = 0
    changed: int = 0
    gone: int = 0

    def add(self, other: "Counts") -> None:
        self.new += other.new
        self.changed += other.changed
        self.gone += other.gone


@dataclass(frozen=True)
class Runs:
    """The runs that `_pylon_runs` and `_pylon_run_streams` tell of. Times are UTC."""

    db: Database
    transactions: Transactions

    def begin(self, version: str, now: str) -> int:
        """A new run; gives its id. Those of long ago in which nothing happened are forgotten."""
        with self.transactions.one():
            run = self.db.execute(
                "INSERT INTO _pylon_runs (version, started_at) VALUES (?, ?)", [version, now]
            ).lastrowid
            last = (run or 0) - REMEMBERED
            for sql in (_IDLE_STREAMS, _IDLE_RUNS):
                self.db.execute(sql, {"first": last - BEHIND, "last": last})
        assert run is not None
        return run

    def end(
        self,
        run: int,
        ending: Ending,
        unfinished: Mapping[str, Counts],
        requests: int,
        waited: float,
        now: str,
    ) -> None:
        """`unfinished` is what was done of streams that did not come to their end."""
        told = (ending.outcome, ending.exit_status, ending.error, requests, round(waited, 1))
        with self.transactions.one(is_patient=ending.outcome != "interrupted"):
            self.db.execute(
                "UPDATE _pylon_runs SET ended_at = ?, outcome = ?, exit_status = ?, error = ?,"
                " requests = ?, seconds_waited = ? WHERE id = ?",
                [now, *told, run],
            )
            self.db.conn.executemany(
                "UPDATE _pylon_run_streams SET rows_new = ?, rows_changed = ?, rows_gone = ?"
                " WHERE run = ? AND stream = ? AND outcome IS NULL",
                [
                    (one.new, one.changed, one.gone, run, stream)
                    for stream, one in unfinished.items()
                ],
            )

    def begin_stream(self, run: int, stream: str, now: str) -> None:
        with self.transactions.one():
            self.db.execute(
                "INSERT INTO _pylon_run_streams (run, stream, started_at) VALUES (?, ?, ?)",
                [run, stream, now],
            )

    def add(self, run: int, stream: str, more: Counts) -> None:
        """What was found of a stream after its end."""
        with self.transactions.one():
            self.db.execute(
                "UPDATE _pylon_run_streams SET rows_new = rows_new + ?,"
                " rows_changed = rows_changed + ?, rows_gone = rows_gone + ?"
                " WHERE run = ? AND stream = ?",
                [more.new, more.changed, more.gone, run, stream],
            )

    def end_stream(
        self,
        run: int,
        stream: str,
        error: str | None,
        missing: str | None,
        counts: Counts,
        now: str,
    ) -> None:
        """`error` tells why it failed, `missing` why Pylon does not have it."""
        outcome = "failed" if error else "not available" if missing else "ok"
        with self.transactions.one():
            self.db.execute(
                "UPDATE _pylon_run_streams SET ended_at = ?, outcome = ?, error = ?,"
                " rows_new = ?, rows_changed = ?, rows_gone = ? WHERE run = ? AND stream = ?",
                [
                    *(now, outcome, error or missing),
                    *(counts.new, counts.changed, counts.gone, run, stream),
                ],
            )
