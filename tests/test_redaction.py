"""Words that were redacted, edited or deleted are nowhere in the file any more."""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from desk import Desk
from mirroring import DAY, errors, live, rows, sync
from oracle import differences

from pylon_to_sqlite.plan import Checkpoint
from pylon_to_sqlite.rows import rows_of
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.stale import Parent
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.streams import BY_NAME

THEN = "2026-07-01T00:00:00Z"
MESSAGES = BY_NAME["issue_messages"]

SECRET = "My password is xylophone-kumquat-42 and must never be read by anybody."
TRACES = [b"xylophone", b"kumquat", b"password is"]


def traces(path: Path) -> list[bytes]:
    """What of the secret can be found in any file of the mirror, as with grep -a."""
    files = [one.read_bytes() for one in path.parent.iterdir() if one.name.startswith(path.name)]
    return [trace for trace in TRACES if any(trace in content for content in files)]


@pytest.fixture
def told(path: Path, desk: Desk, api: Api, clock: Any) -> str:
    """A secret that a customer wrote in a long message, in the mirror among many other words."""
    long = f"<p>{'Some words before. ' * 400}</p><p>{SECRET}</p><p>{'And after. ' * 400}</p>"
    author = desk.contacts[0]
    message = desk.workspace.reply(desk.issues[0], html=long, author=author)
    desk.workspace.change_issue(desk.issues[1], title=SECRET, body_html=f"<p>{SECRET}</p>")
    for number in range(30):
        html = f"<p>Other words {number}.</p>"
        desk.workspace.reply(desk.issues[2], html=html, author=author)
    clock.sleep(DAY)
    sync(path, api, clock)
    assert traces(path) == TRACES
    assert len(rows(path, "SELECT rowid FROM issue_messages_fts('xylophone')")) == 1
    return message


def redact(desk: Desk, message: str, *, touch: bool = True) -> None:
    desk.workspace.redact_message(message, touch=touch)
    desk.workspace.change_issue(desk.issues[1], title="Redacted", body_html="<p>Redacted.</p>")
    for one in desk.workspace.messages(desk.issues[1]):
        desk.workspace.redact_message(one["id"])


def test_redacted_words_are_nowhere_in_the_file(
    path: Path, desk: Desk, api: Api, clock: Any, told: str
) -> None:
    redact(desk, told)
    clock.sleep(DAY)
    outcome = sync(path, api, clock)
    assert outcome.unpurged == ""
    assert differences(path, desk.workspace) == []
    assert traces(path) == []
    assert rows(path, "SELECT * FROM _pylon_unpurged") == []


def test_what_only_the_comparison_finds_is_gone_in_the_same_run(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    desk.workspace.change_issue(desk.issues[1], title=SECRET)
    clock.sleep(DAY)
    sync(path, api, clock)
    desk.workspace.change_issue(desk.issues[1], title="Redacted", touch=False)
    clock.sleep(DAY)
    assert sync(path, api, clock).compared.changed == 1
    assert rows(path, "SELECT * FROM _pylon_unpurged") == []
    assert traces(path) == []


def test_while_another_program_reads_it_is_said_and_done_next_time(
    path: Path, desk: Desk, api: Api, clock: Any, told: str
) -> None:
    redact(desk, told)
    clock.sleep(DAY)
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM issues").fetchone()
        assert sync(path, api, clock).unpurged == "another program reads it"
    assert sync(path, api, clock).unpurged == ""
    assert traces(path) == []


@pytest.mark.slow
def test_of_thousands_of_rows_nothing_is_left_either(path: Path) -> None:
    """SQLite moves rows from page to page as they grow, and leaves copies where they were."""
    random = Random(7)
    conversations = {
        f"i{number}": [
            {"id": f"{random.getrandbits(128):032x}", "message_html": f"<p>zq{number}z word</p>"}
            for _ in range(3)
        ]
        for number in range(2000)
    }
    with closing(Store(str(path))) as store:
        store.prepare(THEN)

        def write(issues: Iterable[str]) -> None:
            with store.transactions.grouped():
                for issue in issues:
                    batch = [rows_of(MESSAGES, one, {"issue_id": issue}) for one in there(issue)]
                    store.commit_children(MESSAGES, Parent(issue, THEN), batch, THEN, THEN)

        def there(issue: str) -> list[dict[str, str]]:
            return conversations[issue]

        issues = [rows_of(BY_NAME["issues"], {"id": issue}) for issue in conversations]
        store.commit(BY_NAME["issues"], issues, Checkpoint(), THEN)
        write(conversations)
        grown = random.sample(sorted(conversations), 700)
        for message in (message for issue in grown for message in there(issue)):
            message["message_html"] += f"<p>{'more ' * random.randrange(1, 200)}</p>"
        write(grown)
        redacted = random.sample(sorted(conversations), 500)
        for message in (message for issue in redacted for message in there(issue)):
            message["message_html"] = "<p>Redacted.</p>"
        write(redacted)
        assert store.purge(THEN) == ""
        check_index(store)
    content = b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))
    found = {f"i{number.decode()}" for number in re.findall(rb"zq(\d+)z", content)}
    assert found == {*conversations} - {*redacted}


def check_index(store: Store) -> None:
    sql = "INSERT INTO issue_messages_fts(issue_messages_fts, rank) VALUES ('integrity-check', 1)"
    store.db.execute(sql)
    store.db.conn.commit()


def test_titles_wait_a_day(path: Path, desk: Desk, api: Api, clock: Any, told: str) -> None:
    """They change all the time, and a large file takes its time to be written anew."""

    def written() -> list[dict[str, Any]]:
        return rows(path, "SELECT value FROM _pylon_meta WHERE key = 'written_anew_at'")

    redact(desk, told)
    clock.sleep(3600)
    sync(path, api, clock)
    first = written()
    desk.workspace.change_issue(desk.issues[0], title="A new title")
    clock.sleep(3600)
    assert sync(path, api, clock).unpurged == ""
    assert written() == first
    clock.sleep(DAY)
    assert sync(path, api, clock).unpurged == ""
    assert written() != first
    assert rows(path, "SELECT * FROM _pylon_unpurged") == []


def test_an_edit_without_a_sign_is_found_when_it_is_looked_for(
    path: Path, desk: Desk, api: Api, clock: Any, told: str
) -> None:
    """Whether Pylon counts a redaction as a change of its issue, nobody knows."""
    redact(desk, told, touch=False)
    clock.sleep(DAY)
    sync(path, api, clock)
    assert len(rows(path, "SELECT rowid FROM issue_messages_fts('xylophone')")) == 1
    before = api.count("GET /issues/.*/messages")
    outcome = sync(path, api, clock, verify=1)
    assert api.count("GET /issues/.*/messages") == before
    outcome = sync(path, api, clock, verify=3)
    assert errors(outcome) == {}
    assert api.count("GET /issues/.*/messages") == before + 4
    changed = {one.stream.name: one.counts.changed for one in outcome.results}
    assert changed["issue_messages"] == 1
    assert traces(path) == []


def test_nothing_is_purged_where_no_word_has_changed(
    path: Path, desk: Desk, api: Api, clock: Any, told: str
) -> None:
    """An index is rewritten for it, which takes its time in a large file."""
    desk.workspace.change_issue(desk.issues[0], state="closed")
    desk.workspace.reply(desk.issues[0], html="<p>More.</p>", author=desk.agents[0])
    clock.sleep(DAY)
    sync(path, api, clock)
    assert rows(path, "SELECT * FROM _pylon_unpurged") == []


def test_an_index_without_its_triggers_is_made_true_again(
    mirror: Path, api: Api, clock: Any
) -> None:
    """Tools that rebuild a table to change a column drop them, and say nothing."""
    with closing(sqlite3.connect(mirror)) as theirs:
        theirs.execute("DROP TRIGGER issues_fts_update")
        theirs.execute("UPDATE issues SET title = 'Kumquat' WHERE number = 1")
        theirs.commit()
    assert rows(mirror, "SELECT rowid FROM issues_fts('kumquat')") == []
    sync(mirror, api, clock)
    assert len(rows(mirror, "SELECT rowid FROM issues_fts('kumquat')")) == 1
    assert len(live(mirror, "issues")) == 4
    with closing(sqlite3.connect(mirror)) as connection:
        check = "INSERT INTO issues_fts(issues_fts, rank) VALUES ('integrity-check', 1)"
        connection.execute(check)


def test_an_index_that_only_another_program_can_use_is_told(
    mirror: Path, api: Api, clock: Any
) -> None:
    with closing(sqlite3.connect(mirror)) as connection:
        connection.create_collation("mine", lambda one, other: (one > other) - (one < other))
        connection.execute("CREATE TABLE my_notes (note TEXT COLLATE mine)")
        connection.execute("CREATE INDEX my_index ON my_notes (note)")
        connection.execute("INSERT INTO _pylon_unpurged VALUES ('erased')")
        connection.commit()
    clock.sleep(DAY)
    told = sync(mirror, api, clock).unpurged
    assert told.endswith(": mine: remove the index of your own that needs it")
