"""A machine that lets anything happen in a workspace and to its mirror, in any order: after a run
that compares and reads all again, the mirror says what Pylon says; and at no time does it claim
to have what it does not.
"""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from changes import CHANGES, SILENT, pick
from conftest import FakeClock
from desk import open_desk
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from mirroring import ALL, DAY, die, errors, live, rows, sync
from oracle import differences

from pylon_to_sqlite import plan
from pylon_to_sqlite.full_text import index_of, shadows
from pylon_to_sqlite.plan import OVERLAP, Checkpoint
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.workspace import Workspace
from pylon_to_sqlite.schema import FULL_TEXT, TABLES
from pylon_to_sqlite.streams import STREAMS

LISTS = [stream.name for stream in STREAMS if not stream.is_by_staleness]
# Beyond what searches lag, children are read twice for, and windows overlap.
SETTLED = 1000.0
# What passes without a doing, in seconds.
TIMES = [0.4, 1.0, 30.0, 130.0, 700.0, 2 * DAY]
EVER = 36500.0

# What only reading the messages again shows.
REWORDING = {"reword", "redact silently", "delete a message silently", "move a message"}
# What only a week shows, or reading all again.
QUIET = {"remove further", "restore", "follow quietly", "merge issues", "merge accounts"}
# What went may come back.
PAIRS = [
    ("delete an issue", "restore an issue"),
    ("remove", "restore"),
    ("remove an article", "restore"),
    ("remove further", "restore"),
    ("tasks", "remove further"),
    ("deactivate", "reactivate"),
    ("remove", "hand over"),
    ("attach", "redact silently"),
    ("attach to an issue", "attach", "delete a message"),
]
TALK = ("open", "reply", "note")
SINGLE = sorted({*CHANGES, *SILENT} - {*TALK} - {one for pair in PAIRS for one in pair})
KINDS = [TALK, *PAIRS, *PAIRS, *PAIRS, *((one,) for one in SINGLE)]

numbers = st.integers(0, 7)


class Mirroring(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.directory / "pylon.db"
        self.clock = FakeClock()
        self.desk = open_desk(Workspace(self.clock), issues=4)
        self.workspace = self.desk.workspace
        self.clock.sleep(DAY)
        # Issues of which something changed without a sign since the last whole comparison.
        self.silent: set[str] = set()
        # Whether messages changed so, which only reading them again shows.
        self.is_reworded = False
        self.is_quiet = False

    @initialize(
        lag=st.sampled_from([0.0, 300.0]),
        inclusive=st.booleans(),
        kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=3, unique=True),
        may_erase=st.booleans(),
        may_read_all=st.booleans(),
        everything=st.booleans(),
    )
    def set_up(
        self,
        lag: float,
        inclusive: bool,
        kinds: list[tuple[str, ...]],
        may_erase: bool,
        may_read_all: bool,
        everything: bool,
    ) -> None:
        """Each history has a few kinds of changes only, so that these meet one another."""
        self.api = Api(self.workspace, allowance=None, search_lag=lag, inclusive=inclusive)
        self.kinds = [change for kind in kinds for change in kind]
        self.erase = 0 if may_erase else None
        self.may_read_all = may_read_all
        self.chosen = ALL if everything else {}

    def teardown(self) -> None:
        try:
            if hasattr(self, "api"):
                self.run_clean()
        finally:
            shutil.rmtree(self.directory)

    @rule(changes=st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=4))
    def change(self, changes: list[tuple[int, int, int]]) -> None:
        for change in changes:
            self.happen(*change)

    def happen(self, change: int, issue: int, which: int) -> None:
        kind, chosen = pick(self.kinds, change), pick(self.desk.issues, issue)
        if kind in CHANGES:
            CHANGES[kind](self.desk, chosen, which)
            return
        before = {*self.desk.issues}
        SILENT[kind](self.desk, chosen, which)
        self.is_reworded |= kind in REWORDING
        self.is_quiet |= kind in QUIET
        self.silent |= {chosen} | {*self.desk.issues} ^ before
        if kind == "merge accounts":
            self.silent |= {*self.desk.issues}

    @rule(seconds=st.sampled_from(TIMES))
    def wait(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    @rule(
        names=st.sampled_from([(), (), ("issues",), ("issue_messages",), ("accounts", "contacts")]),
        full=st.booleans(),
        reconcile=st.booleans(),
    )
    def sync(self, names: tuple[str, ...], full: bool, reconcile: bool) -> None:
        sync(
            *(self.path, self.api, self.clock, *names),
            full=full and self.may_read_all,
            reconcile=reconcile,
            erase_deleted=self.erase,
            **self.chosen,
        )

    @rule(
        requests=st.integers(1, 15) | st.integers(1, 60),
        answered=st.booleans(),
        full=st.booleans(),
        reconcile=st.booleans(),
    )
    def die(self, requests: int, answered: bool, full: bool, reconcile: bool) -> None:
        die(
            *(self.path, self.api, self.clock, requests),
            answered=answered,
            full=full and self.may_read_all,
            reconcile=reconcile,
            **self.chosen,
        )

    @rule()
    def run_clean(self) -> None:
        """A run that nothing disturbs makes the mirror equal; the next one changes nothing."""
        self.clock.sleep(SETTLED)
        if not (self.silent or self.is_reworded or self.is_quiet):
            # Nothing but what every run sees.
            assert errors(sync(self.path, self.api, self.clock, **self.chosen)) == {}
            assert differences(self.path, self.workspace) == []
        verify = EVER if self.is_reworded else None
        outcome = sync(
            *(self.path, self.api, self.clock),
            reconcile=True,
            verify=verify,
            full=self.is_quiet and bool(self.chosen),
            allow_deletes=LISTS,
            **self.chosen,
        )
        assert errors(outcome) == {}
        assert outcome.compared.error is None
        assert differences(self.path, self.workspace) == []
        check_full_text(self.path)
        self.silent.clear()
        self.is_reworded = self.is_quiet = False
        before = data(self.path)
        self.clock.sleep(SETTLED)
        sync(self.path, self.api, self.clock, reconcile=True, verify=EVER)
        assert data(self.path) == before

    @invariant()
    def keys_hold(self) -> None:
        if self.path.exists():
            assert rows(self.path, "PRAGMA foreign_key_check") == []

    @invariant()
    def no_checkpoint_is_ahead_of_its_rows(self) -> None:
        """What changed before where the next window begins is there, and children are those of
        the state that they were read for."""
        if not self.path.exists() or not rows(self.path, CHECKPOINTS_THERE):
            return
        here = {row["id"]: row for row in rows(self.path, "SELECT id, updated_at FROM issues")}
        read_for = {
            (row["stream"], row["parent"]): row["read_for"]
            for row in rows(self.path, "SELECT * FROM _pylon_children WHERE again_at IS NULL")
        }
        (state,) = rows(self.path, CHECKPOINT) or [{"state": "{}"}]
        watermark = Checkpoint.from_json(state["state"]).watermark
        complete = plan.iso(plan.moment(watermark) - OVERLAP) if watermark else ""
        children = {
            "issue_messages": (self.workspace.messages, live(self.path, "issue_messages")),
            "issue_threads": (self.workspace.threads, live(self.path, "issue_threads")),
        }
        for issue in self.workspace.records("issues"):
            key, updated_at = issue["id"], issue["updated_at"]
            if key in self.silent:
                continue
            if updated_at < complete:
                assert key in here, key
                assert here[key]["updated_at"] >= updated_at
            for stream, (there, found) in children.items():
                if read_for.get((stream, key)) == updated_at:
                    mine = {one["id"] for one in found if one["issue_id"] == key}
                    assert mine == {one["id"] for one in there(key)}


CHECKPOINTS_THERE = "SELECT 1 FROM sqlite_master WHERE name = '_pylon_checkpoints'"
CHECKPOINT = "SELECT state FROM _pylon_checkpoints WHERE stream = 'issues'"


def check_full_text(path: Path) -> None:
    """Each index holds what it should."""
    with closing(sqlite3.connect(path)) as connection:
        for table in FULL_TEXT:
            index = index_of(table)
            connection.execute(f"INSERT INTO {index}({index}, rank) VALUES ('integrity-check', 1)")


def data(path: Path) -> dict[str, list[Any]]:
    """All that the file holds for its readers, full-text indexes as SQLite keeps them too."""
    indexes = {shadow for table in FULL_TEXT for shadow in shadows(table)} - {
        index_of(table) for table in FULL_TEXT
    }
    with closing(sqlite3.connect(path)) as connection:
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        return {
            name: connection.execute(f"SELECT * FROM {name}").fetchall()
            for name in sorted({*TABLES, *indexes} & there)
        }


TestMirroring = Mirroring.TestCase
TestMirroring.settings = settings(
    max_examples=14,
    stateful_step_count=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestMirroring.pytestmark = [pytest.mark.slow]
