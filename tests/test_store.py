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

from pylon_to_sqlite.plan import Checkpoint
from pylon_to_sqlite.rows import rows_of
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.streams import BY_NAME
from pylon_to_sqlite.transactions import GROUP

NOW = "2026-07-01T00:00:00Z"
TAGS = BY_NAME["tags"]


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(Store(str(path))) as store:
        store.prepare(schema_version="1", organization_id="o", organization_name="O")
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
        assert (keys(path), store.checkpoint(TAGS).cursor) == ([], "b")
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
            store.prepare(schema_version="1", organization_id="o", organization_name="O")
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
