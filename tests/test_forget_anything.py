"""Whatever happens in a workspace before and after somebody is forgotten, by any runs: the mirror
is the workspace without them, and no address of theirs is on the disk.

A long form by hand: FORGET_EXAMPLES=300 .venv/bin/python -m pytest tests/test_forget_anything.py
"""

import os
import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from changes import CHANGES, SILENT, pick
from conftest import FakeClock
from desk import Desk, open_desk
from forgetful import Less, forget_it, forgotten, words
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mirroring import ALL, DAY, errors, rows, sync
from oracle import differences
from test_machine import EVER, LISTS, SETTLED, check_full_text, data

from pylon_to_sqlite.errors import Unusable
from pylon_to_sqlite.forgetting import undo
from pylon_to_sqlite.forgotten import hashed
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.workspace import Workspace

EXAMPLES = int(os.environ.get("FORGET_EXAMPLES", "2"))
THEN = "2026-07-05T00:00:00Z"
ADDRESS = re.compile(rb"[\w.+-]+@(?:[\w-]+\.)+[\w-]+")
FORGETTING = ("contact", "address", "account", "issue")
KINDS = [*FORGETTING, *FORGETTING, "undo", "sync", "sync", *CHANGES, *SILENT]

# Calls that came with a merge are told by a message that came with it, which may be deleted.
CHOSEN = {**ALL, "skip": ["issue_voice_calls"]}

numbers = st.integers(0, 7)
events = st.lists(st.tuples(st.sampled_from(KINDS), numbers, numbers), min_size=3, max_size=14)


class History:
    """What happens to a desk and its mirror."""

    def __init__(self, directory: str) -> None:
        self.path = Path(directory) / "pylon.db"
        self.clock = FakeClock()
        self.desk: Desk = open_desk(Workspace(self.clock), issues=4)
        self.api = Api(self.desk.workspace, allowance=None)
        self.addresses: set[str] = set()
        self.clock.sleep(DAY)
        self.sync(0)

    def sync(self, which: int) -> None:
        self.note_addresses()
        options = pick([{}, {"full": True}, {"reconcile": True}, {"verify": EVER}], which)
        self.clock.sleep(SETTLED)
        sync(self.path, self.api, self.clock, allow_deletes=LISTS, **options, **CHOSEN)
        self.note_addresses()

    def note_addresses(self) -> None:
        contacts = self.desk.workspace.records("contacts")
        self.addresses |= {one["email"].lower() for one in contacts if one.get("email")}

    def happen(self, kind: str, first: int, second: int) -> None:
        desk = self.desk
        if kind == "sync":
            self.sync(first)
        elif kind == "undo":
            self.undo(first)
        elif kind in FORGETTING:
            self.forget(kind, first)
        else:
            change: Any = CHANGES.get(kind) or SILENT[kind]
            change(desk, pick(desk.issues, first), second)

    def forget(self, kind: str, which: int) -> None:
        desk = self.desk
        keys = {"contact": desk.contacts, "account": desk.accounts, "issue": desk.issues}
        who = pick(sorted(self.addresses) if kind == "address" else keys[kind], which)
        # It may have come, and gone, between two syncs.
        with suppress(Unusable):
            forget_it(self.path, "contact" if kind == "address" else kind, who)

    def undo(self, which: int) -> None:
        sql = "SELECT stream, key FROM _pylon_forgotten WHERE because = key AND stream IN"
        roots = rows(self.path, f"{sql} ('contacts', 'accounts', 'issues') ORDER BY key")
        if roots:
            root = pick(roots, which)
            undo(self.path, root["stream"].removesuffix("s"), root["key"], THEN)

    def less(self) -> Less:
        known = forgotten(self.path)
        (salt,) = [
            row["value"]
            for row in rows(self.path, "SELECT * FROM _pylon_meta WHERE key = 'forgotten_salt'")
        ] or [""]
        theirs = {one for one in self.addresses if hashed(salt, one) in known.get("addresses", ())}
        return Less(self.desk.workspace, known, theirs)


def found(path: Path, addresses: Iterable[str]) -> set[str]:
    on_disk = {one.decode().lower() for one in ADDRESS.findall(words(path))}
    return on_disk & {*addresses}


@given(history=events)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES < 10,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@pytest.mark.slow
def test_the_mirror_is_the_workspace_without_them(history: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        one = History(directory)
        for event in history:
            one.happen(*event)
            assert rows(one.path, "PRAGMA foreign_key_check") == []
        one.clock.sleep(8 * DAY)
        options: dict[str, Any] = {"reconcile": True, "verify": EVER, "full": True}
        one.note_addresses()
        # Where nearly all accounts are gone, or forgotten, the first takes that for a fault.
        for _ in range(2):
            outcome = sync(one.path, one.api, one.clock, allow_deletes=LISTS, **options, **CHOSEN)
        assert errors(outcome) == {}
        assert differences(one.path, one.desk.workspace, one.less()) == []
        assert found(one.path, one.less().addresses) == set()
        check_full_text(one.path)
        before = data(one.path)
        one.clock.sleep(SETTLED)
        sync(one.path, one.api, one.clock, **options, **CHOSEN)
        assert data(one.path) == before
