"""Transactions of the one writer: what reaches the disk, and when."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from mirroring import rows

from pylon_to_sqlite.endings import INTERRUPTED
from pylon_to_sqlite.plan import Checkpoint
from pylon_to_sqlite.rows import rows_of
from pylon_to_sqlite.stale import Parent
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.streams import BY_NAME
from pylon_to_sqlite.transactions import GROUP

NOW = "2026-07-01T00:00:00Z"
TAGS = BY_NAME["tags"]


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(Store(str(path))) as store:
        store.prepare(NOW, organization_id="o", organization_name="O")
        yield store


def write(store: Store, key: str, **fields: Any) -> None:
    store.commit(TAGS, [rows_of(TAGS, {"id": key, **fields})], Checkpoint(cursor=key), NOW)


def keys(path: Path) -> list[str]:
    return [row["id"] for row in rows(path, "SELECT id FROM tags ORDER BY id")]


def test_each_transaction_is_on_the_disk_at_its_end(store: Store, path: Path) -> None:
    write(store, "a")
    assert keys(path) == ["a"]


def test_grouped_transactions_are_on_the_disk_when_settled(store: Store, path: Path) -> None:
    """Rows with their checkpoints, or neither."""
    with store.transactions.grouped():
        write(store, "a")
        write(store, "b")
        assert (keys(path), store.memory.checkpoint(TAGS).cursor) == ([], "b")
        assert rows(path, "SELECT * FROM _pylon_checkpoints") == []
        store.transactions.settle()
        assert keys(path) == ["a", "b"]
        write(store, "c")
    assert keys(path) == ["a", "b", "c"]


def test_a_group_does_not_grow_without_end(store: Store, path: Path) -> None:
    with store.transactions.grouped():
        for number in range(GROUP - 1):
            write(store, f"{number:04}")
        assert 0 < len(keys(path)) < GROUP - 1


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_one_that_fails_takes_nothing_with_it(
    store: Store, path: Path, failure: type[BaseException]
) -> None:
    """Nor leaves anything: of the column that it added not even the memory."""

    class Failing:
        def to_json(self) -> str:
            raise failure

    with store.transactions.grouped():
        write(store, "a")
        torn = [rows_of(TAGS, {"id": "torn", "unheard_of": "x"})]
        with pytest.raises(failure):
            store.commit(TAGS, torn, Failing(), NOW)  # type: ignore[arg-type]
    assert keys(path) == ["a"]
    write(store, "b", unheard_of="y")
    assert rows(path, "SELECT id, unheard_of FROM tags ORDER BY id") == [
        {"id": "a", "unheard_of": None},
        {"id": "b", "unheard_of": "y"},
    ]


def test_what_was_left_half_done_is_not_committed(store: Store, path: Path) -> None:
    """A second Ctrl-C can come while the first is being cleaned up after."""
    with store.transactions.grouped():
        write(store, "a")
        store.transactions.settle()
        transaction = store.transactions.one()
        transaction.__enter__()
        store.db.execute("INSERT INTO tags (id) VALUES ('half')")
    assert keys(path) == ["a"]


def test_a_new_field_named_like_a_column_of_the_users_goes_beside_it(
    store: Store, path: Path
) -> None:
    """Their column is theirs, and Pylon's field is not lost."""
    write(store, "a")
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("ALTER TABLE tags ADD COLUMN Note TEXT")
        theirs.execute("UPDATE tags SET Note = 'mine'")
        theirs.commit()
    with closing(Store(str(path))) as later:
        write(later, "a", note="Pylon's", other="x")
        write(later, "b", note="more")
    assert rows(path, "SELECT id, Note, note_, other FROM tags ORDER BY id") == [
        {"id": "a", "Note": "mine", "note_": "Pylon's", "other": "x"},
        {"id": "b", "Note": None, "note_": "more", "other": None},
    ]


def test_an_interrupt_at_any_line_loses_no_transaction_that_is_whole(tmp_path: Path) -> None:
    """A signal surfaces between any two lines, and in a busy run often between these."""
    instants = 0
    while True:
        path = tmp_path / f"{instants}.db"
        with closing(Store(str(path))) as store:
            store.prepare(NOW, organization_id="o", organization_name="O")
            is_over = _interrupted(store, instants)
        assert keys(path) in (["a"], ["a", "b"])
        (checkpoint,) = rows(path, "SELECT state FROM _pylon_checkpoints")
        assert keys(path)[-1] in checkpoint["state"]
        if is_over:
            break
        instants += 1
    assert instants > 10


def _interrupted(store: Store, instant: int) -> bool:
    """Write "a", and "b" with an interrupt before the n-th line; whether it was over by then."""
    left = [instant]

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.endswith("transactions.py"):
            return None
        if event == "line":
            left[0] -= 1
            if left[0] < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    try:
        with store.transactions.grouped():
            write(store, "a")
            sys.settrace(trace)
            try:
                write(store, "b")
            finally:
                sys.settrace(None)
    except KeyboardInterrupt:
        return False
    return True


def test_no_field_of_a_record_takes_the_place_of_another(store: Store, path: Path) -> None:
    """Beside a column of the user's, a field may be named like the next one of the same record;
    and columns that are generated are the user's too."""
    write(store, "a")
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("ALTER TABLE tags ADD COLUMN priority TEXT")
        theirs.execute("ALTER TABLE tags ADD COLUMN loud TEXT GENERATED ALWAYS AS (upper(value))")
    with closing(Store(str(path))) as later:
        write(later, "b", priority="high", priority_="other", loud="yes", value="x")
    (row,) = rows(path, "SELECT * FROM tags WHERE id = 'b'")
    assert row["priority"] is None
    assert sorted(name for name, value in row.items() if value in ("high", "other", "yes")) == [
        "loud_",
        "priority_",
        "priority__",
    ]


@pytest.mark.parametrize(
    "harm",
    [
        "DROP TABLE issues_fts",
        "DROP VIEW _pylon_live_issues",
        "DROP TRIGGER issues_fts_insert",
        "CREATE TRIGGER other AFTER INSERT ON issues BEGIN SELECT 1; END",
    ],
)
def test_an_index_that_was_harmed_is_made_anew(store: Store, path: Path, harm: str) -> None:
    issues = BY_NAME["issues"]
    store.commit(issues, [rows_of(issues, {"id": "1", "title": "Kumquat"})], Checkpoint(), NOW)
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute(harm)
    with closing(Store(str(path))) as later:
        later.prepare(NOW)
        later.commit(issues, [rows_of(issues, {"id": "2", "title": "Kumquats"})], Checkpoint(), NOW)
    assert len(rows(path, "SELECT rowid FROM issues_fts('kumquat')")) == 2
    with closing(sqlite3.connect(path)) as connection:
        check = "INSERT INTO issues_fts(issues_fts, rank) VALUES ('integrity-check', 1)"
        connection.execute(check)


@pytest.mark.parametrize(
    "theirs", ["CREATE VIEW issues_fts AS SELECT 1 AS x", "CREATE TABLE Issues_FTS (note TEXT)"]
)
def test_an_index_of_somebody_else_stays(path: Path, theirs: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(theirs)
    with closing(Store(str(path))) as store:
        store.prepare(NOW)
        write(store, "a")
    assert keys(path) == ["a"]
    assert rows(path, "SELECT sql FROM sqlite_master WHERE lower(name) = 'issues_fts'") == [
        {"sql": theirs}
    ]


def test_what_is_whole_is_committed_though_a_group_never_ended(path: Path) -> None:
    """As where a signal comes at the very end of it."""
    with closing(Store(str(path))) as store:
        store.prepare(NOW)
        store.transactions.grouped().__enter__()
        write(store, "a")
    assert keys(path) == ["a"]


def test_a_signal_ends_the_wait_for_another_program_once_and_for_all(path: Path) -> None:
    with closing(Store(str(path))) as store, closing(sqlite3.connect(path)) as other:
        store.prepare(NOW)
        run = store.runs.begin("1", NOW)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            store.runs.end(run, INTERRUPTED, {}, 0, 0.0, NOW)


def test_children_that_come_after_their_parent_has_gone_are_not_live(
    store: Store, path: Path
) -> None:
    """Their answer was under way when another said so."""
    issues, messages = BY_NAME["issues"], BY_NAME["issue_messages"]
    store.commit(issues, [rows_of(issues, {"id": "i"})], Checkpoint(), NOW)
    batch = [rows_of(messages, {"id": "m", "message_html": "x"}, {"issue_id": "i"})]
    store.commit_children(messages, Parent("i", NOW), batch, NOW, NOW)
    store.parent_gone(issues, "i", NOW)
    store.commit_children(messages, Parent("i", NOW), batch, NOW, NOW)
    assert rows(path, "SELECT deleted_at FROM issue_messages") == [{"deleted_at": NOW}]
    assert rows(path, "SELECT * FROM _pylon_children") == []
