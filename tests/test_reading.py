"""Whoever reads the file while syncs write it sees whole conversations, and is never sent away."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from datasette.app import Datasette
from desk import Desk, open_issue
from mirroring import DAY, rows, sync
from oracle import differences
from surfing import IS_1
from test_end_to_end import COMMAND, environment, run
from test_metadata import SENSIBLE

from pylon_to_sqlite import file
from pylon_to_sqlite.metadata import metadata_for, queries
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import Server

# Messages of each issue that is there itself, all in one question: one state of the file.
MESSAGES = """
    SELECT id, (SELECT count(*) FROM issue_messages AS m
        WHERE m.issue_id = issues.id AND m.deleted_at IS NULL) AS messages
    FROM issues WHERE deleted_at IS NULL AND placeholder = 0
"""
# Enough for any question here on a busy machine: how fast Datasette is, is not asked.
SETTINGS = {"sql_time_limit_ms": 30_000, "max_returned_rows": 5_000}

Counts = dict[str, int]


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what other processes do."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def marks(path: Path) -> int:
    """Sets of children in the file; -1 before it has tables."""
    if not path.exists():
        return -1
    there = rows(path, "SELECT 1 FROM sqlite_master WHERE name = '_pylon_children'")
    return len(rows(path, "SELECT 1 FROM _pylon_children")) if there else -1


def pages(path: Path, counts: Counts) -> Iterator[str]:
    """Addresses that people look at, over and over: tables, canned queries and rows."""
    name = path.stem
    tables = ["issues", "issue_messages", "issue_tags", "accounts", "issues.json", "contacts.json"]
    canned = [f"{one.name}?{urlencode(SENSIBLE.get(one.name, {}))}" for one in queries()]
    for number, page in enumerate(cycle([*tables, *canned, "-"])):
        if page != "-":
            yield f"/{name}/{page}"
        elif counts:
            yield f"/{name}/issues/{sorted(counts)[number % len(counts)]}"


async def watched(path: Path, writing: "Future[None]") -> list[Counts]:
    """What a Datasette shows of the file while others write to it, state after state."""
    datasette = Datasette([str(path)], metadata=metadata_for([path.stem]), settings=SETTINGS)
    await datasette.invoke_startup()
    states: list[Counts] = []
    asked = f"/{path.stem}/-/query.json" if IS_1 else f"/{path.stem}.json"
    question = f"{asked}?{urlencode({'sql': MESSAGES, '_shape': 'array'})}"
    latest: Counts = {}
    addresses = pages(path, latest)
    while not writing.done():
        response = await datasette.client.get(question)
        assert response.status_code == 200, response.text
        states.append({row["id"]: row["messages"] for row in response.json()})
        latest.update(states[-1])
        address = next(addresses)
        response = await datasette.client.get(address)
        assert response.status_code == 200, f"{address}: {response.text}"
        assert "database is locked" not in response.text
    return states


@pytest.mark.slow
def test_a_datasette_shows_whole_conversations_while_syncs_write(
    path: Path, desk: Desk, clock: Any
) -> None:
    """A load, and then runs after each of which every conversation is another one."""
    workspace = desk.workspace
    for number in range(150):
        open_issue(desk, number)
        workspace.reply(desk.issues[-1], html="<p>Thanks.</p>", author=desk.contacts[0])
    clock.sleep(DAY)
    allowed = {issue: {0, len(workspace.messages(issue))} for issue in desk.issues}

    def write(url: str) -> None:
        for turn in range(3):
            for issue in desk.issues if turn else []:
                workspace.delete_message(workspace.messages(issue)[1]["id"])
                for number in range(4):
                    text = f"<p>More {turn}.{number}</p>"
                    workspace.reply(issue, html=text, author=desk.agents[0])
                allowed[issue].add(len(workspace.messages(issue)))
            clock.sleep(DAY)
            done = run(url, path, "-q")
            assert (done.returncode, done.stderr) == (0, "")

    with (
        Server(Api(workspace, allowance=10**6), latency=0.03) as server,
        ThreadPoolExecutor(1) as others,
    ):
        writing = others.submit(write, server.url)
        until(lambda: writing.done() or marks(path) >= 0)
        states = asyncio.run(watched(path, writing))
        writing.result()
    for counts in states:
        halves = {issue: count for issue, count in counts.items() if count not in allowed[issue]}
        assert halves == {}
        # What was there once is never away for a moment.
        for issue, count in counts.items():
            allowed[issue] -= {0} if count else set()
    assert differences(path, workspace) == []
    # Or else there was nothing to be seen: states in the middle of the load, and of later runs.
    loading = {sum(one.values()) for one in states if 0 in one.values()}
    changing = {sum(one.values()) for one in states if one and 0 not in one.values()}
    assert len(loading - {0}) > 3
    assert len(changing) > 3 + 2, "more than what each run ends with"


def test_a_long_look_at_the_mirror_holds_no_sync_up(path: Path, desk: Desk, clock: Any) -> None:
    """One question that lasts as long as a whole sync has its answer as of when it began."""
    with Server(Api(desk.workspace, allowance=None)) as server:
        assert run(server.url, path).returncode == 0
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            before = reader.execute(MESSAGES).fetchall()
            desk.workspace.reply(desk.issues[0], html="<p>Well?</p>", author=desk.contacts[0])
            clock.sleep(DAY)
            assert run(server.url, path).returncode == 0
            assert reader.execute(MESSAGES).fetchall() == before
    assert differences(path, desk.workspace) == []


def test_a_look_of_ours_that_a_sync_overtakes_is_of_one_moment(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """Though nothing but the file was there when it began."""
    for number in range(400):
        desk.workspace.reply(
            desk.issues[0], html=f"<p>{number} {'word ' * 99}", author=desk.agents[0]
        )
    clock.sleep(DAY)
    sync(path, api, clock)
    assert not Path(f"{path}-wal").exists()
    asked = "SELECT id, message_text, is_private FROM issue_messages"
    before = [(one["id"], one["message_text"], one["is_private"]) for one in rows(path, asked)]
    with file.reading(path) as connection:
        cursor = connection.execute(asked)
        seen = cursor.fetchmany(10)
        for message in desk.workspace.messages(desk.issues[0]):
            desk.workspace.edit_message(message["id"], "<p>Another.</p>")
        clock.sleep(DAY)
        sync(path, api, clock, public_only=True)
        assert [*seen, *cursor.fetchall()] == before
    assert rows(path, asked) != before
    # The next sync has the file to itself, and leaves nothing beside it.
    sync(path, api, clock)
    assert {one.name for one in path.parent.iterdir()} == {"pylon.db", "pylon.db.lock"}


def content(path: Path) -> dict[str, bytes]:
    """The file and what lies beside it, but for the index that all readers share."""
    there = [one for one in path.parent.iterdir() if one.is_file()]
    return {one.name: one.read_bytes() for one in there if not one.name.endswith("-shm")}


def test_a_second_sync_leaves_the_file_to_the_first(path: Path, desk: Desk, clock: Any) -> None:
    """Two real processes, the first of which stands still meanwhile, in the middle of its load."""
    for number in range(40):
        open_issue(desk, number)
    clock.sleep(DAY)
    api = Api(desk.workspace, allowance=None)
    with Server(api, latency=0.02) as server:
        first = subprocess.Popen(
            [*COMMAND, "sync", str(path), "-q"],
            env=environment(server.url, path.parent),
            stderr=subprocess.PIPE,
            text=True,
        )
        until(lambda: first.poll() is not None or marks(path) >= 20)
        first.send_signal(signal.SIGSTOP)
        try:
            _, status = os.waitpid(first.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            before = content(path)
            second = run(server.url, path)
            assert content(path) == before
        finally:
            first.send_signal(signal.SIGCONT)
        _, errors = first.communicate(timeout=60)
    assert (first.returncode, errors) == (0, "")
    assert (second.returncode, second.stdout) == (4, "")
    assert second.stderr == f"Error: another sync, or doctor, holds {path}: nothing was done\n"
    assert [row["outcome"] for row in rows(path, "SELECT outcome FROM _pylon_runs")] == ["ok"]
    # Whose token it was is all that the second one asked; the first one, its organisation too.
    assert (api.count("GET /me"), api.count("GET /users")) == (3, 1)
    assert differences(path, desk.workspace) == []
