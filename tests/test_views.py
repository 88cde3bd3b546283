"""What the views of the file show: whole rows of live records, fast, and nothing private where
they say public. Also the search over everything, and what tells of issues that were reopened."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from asking import QUERIES, answer, key_of, parameters
from desk import Desk
from mirroring import DAY, rows, sync

from pylon_to_sqlite.file import inspect
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.workspace import Workspace
from pylon_to_sqlite.views import VIEWS

# What is to be seen by customers, or handed on: no word of a private note may be in it.
PUBLIC_VIEWS = ("public_messages", "issue_feedback", "conversations", "tickets")
# With them, whoever asks asks for private notes too.
NOT_PUBLIC = {"conversation_by_number"}


def everything(path: Path, view: str) -> list[dict[str, Any]]:
    return rows(path, f"SELECT * FROM {view}")


def payloads(desk: Desk) -> Iterator[dict[str, Any]]:
    return iter(sorted(desk.workspace.records("issues"), key=lambda one: int(one["number"])))


def by_number(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda one: int(one["number"]))


def names(desk: Desk, stream: str) -> dict[str | None, str]:
    return {one["id"]: one["name"] for one in desk.workspace.records(stream)}


def said(desk: Desk, issue: str, *, private: bool) -> list[dict[str, Any]]:
    return [one for one in desk.workspace.messages(issue) if one["is_private"] is private]


@pytest.mark.parametrize("view", VIEWS)
def test_columns_are_described_in_their_order(mirror: Path, view: str) -> None:
    there = [row["name"] for row in rows(mirror, f"PRAGMA table_info({view})")]
    assert there == [*VIEWS[view].columns]
    # A trailing comment on each, and none that belongs to nothing.
    assert len(re.findall(r" -- ", VIEWS[view].query)) - VIEWS[view].query.count("   --") >= len(
        there
    )


@pytest.mark.parametrize("view", ["conversations", "tickets"])
def test_conversations_and_tickets(mirror: Path, desk: Desk, view: str) -> None:
    accounts, users, teams = (names(desk, one) for one in ("accounts", "users", "teams"))
    expected = [
        {
            **{name: one[name] for name in ("id", "number", "title", "state", "source")},
            "account_id": key_of(one, "account"),
            "account": accounts[key_of(one, "account")],
            "requester_email": one["requester"]["email"],
            "assignee_id": key_of(one, "assignee"),
            "assignee": users[key_of(one, "assignee")],
            "team_id": desk.team,
            "team": teams[desk.team],
            "tags": f'["{one["tags"][0]}", "{one["tags"][1]}"]',
            **{name: one[name] for name in ("created_at", "updated_at", "latest_message_time")},
            "first_response_seconds": one["first_response_seconds"],
            "resolution_time": None,
            "resolution_seconds": None,
            "link": one["link"],
        }
        for one in payloads(desk)
        if one["type"].lower() == view.removesuffix("s")
    ]
    assert len(expected) == 2
    assert by_number(everything(mirror, view)) == expected


def test_capitals_make_no_difference(mirror: Path) -> None:
    """Old data has Conversation and Ticket."""
    counts = [len(everything(mirror, one)) for one in ("conversations", "tickets")]
    with closing(sqlite3.connect(mirror)) as connection:
        connection.execute("UPDATE issues SET type = upper(type)")
        connection.commit()
    assert [len(everything(mirror, one)) for one in ("conversations", "tickets")] == counts


def listed(urls: list[str] | None) -> str | None:
    """Addresses as the mirror has them: without their queries."""
    return json.dumps([url.partition("?")[0] for url in urls]) if urls else None


def test_public_messages_and_private_notes(mirror: Path, desk: Desk) -> None:
    for view, private in (("public_messages", False), ("private_notes", True)):
        expected = {}
        for issue in payloads(desk):
            for one in said(desk, issue["id"], private=private):
                author = one["author"]
                sides = {"us": key_of(author, "user"), "customer": key_of(author, "contact")}
                row = {
                    "id": one["id"],
                    "issue_id": issue["id"],
                    "number": issue["number"],
                    "title": issue["title"],
                    "timestamp": one["timestamp"],
                    "author": author["name"],
                    "message_text": re.sub("</p><p>|<[^>]+>", " ", one["message_html"]).strip(),
                    "file_urls": listed(one.get("file_urls")),
                }
                if private:
                    row["thread_id"] = one["thread_id"]
                else:
                    row["side"] = next((side for side, key in sides.items() if key), "bot")
                    row["source"] = one["source"]
                expected[one["id"]] = row
        found = everything(mirror, view)
        for row in found:
            row["message_text"] = " ".join(row["message_text"].split())
        assert {row["id"]: row for row in found} == expected
        assert len(found) == len(expected) == (4 if private else 12)


def test_issue_feedback(mirror: Path, desk: Desk) -> None:
    accounts = names(desk, "accounts")
    expected = [
        {
            "issue_id": one["id"],
            **{name: one[name] for name in ("number", "title", "state", "source")},
            "type": one["type"].lower(),
            "account": accounts[key_of(one, "account")],
            "team": "First line",
            "assignee_email": one["assignee"]["email"],
            "tags": f'["{one["tags"][0]}", "{one["tags"][1]}"]',
            "link": one["link"],
            "created_at": one["created_at"],
            "text": f"Why {at}?\n\nIt was fine before.\n\nBecause {at}.\n\nI am a bot.",
        }
        for at, one in enumerate(payloads(desk))
    ]
    found = by_number(everything(mirror, "issue_feedback"))
    for row in found:
        row["text"] = re.sub(r"\n+", "\n\n", row["text"])
    assert found == expected


def test_issue_overview(mirror: Path, desk: Desk) -> None:
    accounts, users = names(desk, "accounts"), names(desk, "users")
    people = {**users, **names(desk, "contacts")}
    labels = {one["slug"]: one["label"] for one in desk.workspace.records("issue_statuses")}
    expected = []
    for one in payloads(desk):
        messages = desk.workspace.messages(one["id"])
        times = [message["timestamp"] for message in messages]
        expected.append(
            {
                **{name: one[name] for name in ("id", "number", "title", "state", "source")},
                "type": one["type"].lower(),
                "status": labels.get(one["state"], one["state"]),
                "is_open": 1,
                "priority": "high",
                "account_id": key_of(one, "account"),
                "account": accounts[key_of(one, "account")],
                "requester": people[key_of(one, "requester")],
                "requester_email": one["requester"]["email"],
                "assignee_id": key_of(one, "assignee"),
                "assignee": users[key_of(one, "assignee")],
                "team_id": desk.team,
                "team": "First line",
                "tags": f'["{one["tags"][0]}", "{one["tags"][1]}"]',
                **{name: one[name] for name in ("created_at", "updated_at", "link")},
                "first_response_time": one["first_response_time"],
                "first_response_seconds": one["first_response_seconds"],
                "resolution_time": None,
                "resolution_seconds": None,
                "public_messages": 3,
                "private_notes": 1,
                "first_message_at": min(times),
                "last_message_at": max(times),
            }
        )
    assert by_number(everything(mirror, "issue_overview")) == expected


def test_a_custom_state_that_counts_as_closed_is_closed(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    desk.workspace.add("issue_statuses", slug="solved", label="Solved", category="closed")
    desk.workspace.change_issue(desk.issues[0], state="solved")
    desk.workspace.change_issue(desk.issues[1], state="closed")
    desk.workspace.change_issue(desk.issues[2], state="unheard_of")
    clock.sleep(DAY)
    sync(path, api, clock)
    overview = by_number(everything(path, "issue_overview"))
    assert [row["is_open"] for row in overview] == [0, 0, 1, 1]
    assert [row["status"] for row in overview][::2] == ["Solved", "unheard_of"]
    for name in ("backlog_by_state_and_age", "agents_load", "issues_by_state_and_assignee"):
        found = answer(path, QUERIES[name])
        assert sum(row.get("issues", row.get("open_issues")) for row in found) == 2
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE issues SET state = NULL")
        connection.commit()
    assert [row["is_open"] for row in everything(path, "issue_overview")] == [1, 1, 1, 1]


def test_surveys_and_calls(mirror: Path, desk: Desk) -> None:
    accounts, contacts = names(desk, "accounts"), names(desk, "contacts")
    workspace = desk.workspace
    expected = [
        {
            "survey_response_id": response["id"],
            "survey_id": survey["id"],
            "survey": survey["name"],
            "survey_type": survey["type"],
            "account_id": response["account_id"],
            "account": accounts[response["account_id"]],
            "contact": contacts[response["contact_id"]],
            "submitted_at": response["submitted_at"],
            "position": position,
            "prompt": one["prompt"],
            "question_type": one["question_type"],
            "value": one.get("value") or None,
        }
        for survey in workspace.records("surveys")
        for response in map(workspace.payload, workspace.children("survey_responses", survey["id"]))
        for position, one in enumerate(response["answers"])
    ]
    found = everything(mirror, "survey_answers_overview")
    key = ("survey_response_id", "position")
    assert sorted(found, key=lambda row: [row[name] for name in key]) == sorted(
        expected, key=lambda row: [row[name] for name in key]
    )
    calls = {row["id"]: row for row in everything(mirror, "calls_overview")}
    assert len(calls) == 2
    for call in workspace.records("call_recordings"):
        row = calls[call["id"]]
        assert row["account"] == accounts[call["account_id"]]
        assert row["minutes"] == pytest.approx(call["duration_ms"] / 60_000, abs=0.05)
        same = ("title", "source", "account_id", "start_time", "end_time", "summary", "url")
        assert {name: row[name] for name in same} == {name: call.get(name) or None for name in same}


def test_only_live_rows_are_shown(path: Path, desk: Desk, api: Api, clock: Any) -> None:
    workspace = desk.workspace
    sync(path, api, clock)
    before = {view: len(everything(path, view)) for view in VIEWS}
    workspace.delete_issue(desk.issues[0])
    workspace.delete_message(said(desk, desk.issues[1], private=False)[1]["id"])
    workspace.delete_message(said(desk, desk.issues[1], private=True)[0]["id"])
    for stream in ("surveys", "call_recordings"):
        workspace.remove(stream, workspace.records(stream)[0]["id"])
    clock.sleep(DAY)
    sync(path, api, clock, reconcile=True, allow_deletes=["surveys", "call_recordings"])
    after = {view: len(everything(path, view)) for view in VIEWS}
    lost = {view: before[view] - after[view] for view in VIEWS}
    assert lost.pop("survey_answers_overview") > 0
    assert lost == {
        "calls_overview": 1,
        "conversations": 1,
        "issue_feedback": 1,
        "issue_overview": 1,
        "private_notes": 2,
        "public_messages": 4,
        "tickets": 0,
    }
    (row,) = rows(path, "SELECT * FROM issue_overview WHERE id = ?", [desk.issues[1]])
    assert (row["public_messages"], row["private_notes"]) == (2, 0)


def test_the_body_stands_in_only_where_there_are_no_messages(
    path: Path, workspace: Workspace, desk: Desk, api: Api, clock: Any
) -> None:
    """Beside private notes it may be the first of them; so may it be where nobody has looked."""
    for issue in desk.issues[:2]:
        for message in workspace.messages(issue):
            workspace.delete_message(message["id"])
    workspace.reply(desk.issues[1], html="Why 1?", author=desk.agents[0], private=True)
    clock.sleep(DAY)
    sync(path, api, clock, "issues")
    assert {row["text"] for row in everything(path, "issue_feedback")} == {None}
    # That an issue has none is believed only when Pylon says so twice.
    for _ in range(2):
        sync(path, api, clock)
        clock.sleep(DAY)
    texts = [row["text"] for row in by_number(everything(path, "issue_feedback"))]
    assert texts[0] == "Why 0?\n\nIt was fine before."
    assert texts[1] is None
    assert all(texts[2:])
    # Nor does it where that note is deleted.
    workspace.delete_message(workspace.messages(desk.issues[1])[0]["id"])
    clock.sleep(DAY)
    for _ in range(2):
        sync(path, api, clock)
        clock.sleep(DAY)
    assert [row["text"] for row in by_number(everything(path, "issue_feedback"))][1] is None


def test_a_body_does_not_stand_in_before_what_is_new_has_been_read(
    path: Path, workspace: Workspace, desk: Desk, api: Api, clock: Any
) -> None:
    """A run may end between issues and messages; what came meanwhile may be a note."""
    issue, note = desk.issues[1], "A kumquat, between us."
    for message in workspace.messages(issue):
        workspace.delete_message(message["id"])
    for _ in range(2):
        clock.sleep(DAY)
        sync(path, api, clock)
    workspace.reply(issue, html=note, author=desk.agents[0], private=True)
    workspace.change_issue(issue, body_html=f"<p>{note}</p>")
    clock.sleep(DAY)
    sync(path, api, clock, "issues")
    search = QUERIES["search_everywhere"]
    told = everything(path, "issue_feedback") + answer(path, search, words="kumquat")
    assert "kumquat" not in repr(told)
    assert answer(path, search, words="kumquat") == []
    assert "kumquat" in repr(answer(path, search, words="kumquat", private="1"))


@pytest.fixture
def planted(path: Path, workspace: Workspace, desk: Desk, api: Api, clock: Any) -> Path:
    """A mirror with one word in private notes alone: beside public messages, and in issues whose
    only messages are private, whose body is the first of them."""
    note = "A kumquat, between us."
    for issue in desk.issues[:2]:
        workspace.reply(issue, html=note, author=desk.agents[0], private=True)
        workspace.reply(issue, html="A pomelo.", author=desk.agents[0])
    for issue in desk.issues[2:]:
        workspace.change_issue(issue, body_html=f"<p>{note}</p>")
        for message in workspace.messages(issue):
            workspace.delete_message(message["id"])
        workspace.reply(issue, html=note, author=desk.agents[0], private=True)
    # And one more, of which nobody knows what it is.
    workspace.reply(desk.issues[0], html=note, author=desk.agents[0], private=True)
    clock.sleep(DAY)
    sync(path, api, clock)
    with closing(sqlite3.connect(path)) as connection:
        last = "SELECT max(rowid) FROM issue_messages WHERE is_private = 1"
        connection.execute(f"UPDATE issue_messages SET is_private = NULL WHERE rowid = ({last})")
        connection.commit()
    return path


def test_a_private_word_is_nowhere_in_what_is_public(planted: Path) -> None:
    public = [query for query in QUERIES.values() if query.name not in NOT_PUBLIC]
    told = [repr(everything(planted, view)) for view in PUBLIC_VIEWS]
    asked = ["", "kumquat", "kumquat between", "a", "1", "2", "3", "4", "quarry"]
    for query in public:
        # Private notes are asked for with private = 1 alone.
        for private in ("", "0", "2", " 1"):
            for text in asked:
                given = {**dict.fromkeys(parameters(query.sql), text), "private": private}
                told.append(
                    repr(answer(planted, query, **{k: given[k] for k in parameters(query.sql)}))
                )
    assert "pomelo" in "".join(told)
    assert "kumquat" not in "".join(told)
    # It is there to be found, where private notes are asked for; one of them nobody knows to be.
    assert len(re.findall("kumquat", repr(everything(planted, "private_notes")))) == 5
    counted = sum(row["private_notes"] for row in everything(planted, "issue_overview"))
    assert counted == len(everything(planted, "private_notes"))
    (unknown,) = rows(planted, "SELECT id FROM issue_messages WHERE is_private IS NULL")
    assert unknown["id"] in {row["id"] for row in everything(planted, "private_notes")}
    for number in "1234":
        found = answer(planted, QUERIES["conversation_by_number"], number=number)
        assert "kumquat" in repr(found)
    private = answer(planted, QUERIES["search_everywhere"], words="kumquat", private="1")
    assert {row["kind"] for row in private} == {"issue", "private note"}
    assert {row["number"] for row in private} == {1, 2, 3, 4}


def test_search_everywhere(
    path: Path, workspace: Workspace, desk: Desk, api: Api, clock: Any
) -> None:
    """One word in each kind of record, found and marked; nothing twice, nothing that is gone."""
    account = workspace.add("accounts", name="Tamarind Traders", domains=["traders.example"])
    workspace.add("contacts", name="Tamsin Tamarind", account=account, email="t@t.example")
    workspace.add_article(
        desk.base, title="On tamarind", current_published_content_html="<p>It is sour.</p>"
    )
    issue = workspace.open_issue(
        title="No tamarínds?", body_html="<p>None came.</p>", requester=desk.contacts[0]
    )
    html = f"<p>{'Well. ' * 100}</p><p>Tamarinds &lt;script&gt;alert(1)&lt;/script&gt; came!</p>"
    workspace.reply(issue, html=html, author=desk.contacts[0])
    gone = workspace.reply(issue, html="Tamarind!", author=desk.contacts[0])
    workspace.delete_message(gone)
    clock.sleep(DAY)
    sync(path, api, clock)

    def find(words: str) -> list[tuple[str, str]]:
        found = answer(path, QUERIES["search_everywhere"], words=words)
        return [(row["kind"], row["found"]) for row in found]

    kinds = dict(find("tamarind"))
    assert [*kinds] == ["issue", "message", "article", "account", "contact"]
    assert kinds["issue"] == "No **tamarínds**?"
    assert "**Tamarinds** <script>alert(1)</script> came!" in kinds["message"]
    assert len(kinds["message"]) < 300
    assert kinds["article"] == "On **tamarind**"
    assert kinds["account"] == "**Tamarind** Traders"
    assert kinds["contact"] == "Tamsin **Tamarind**"
    # All the words, anywhere in a record.
    assert [kind for kind, _ in find("sour TAMA")] == ["article"]
    assert find("tamarind pomelo") == []
    # The body of an issue with messages is found among them.
    assert [kind for kind, _ in find("none came")] == ["message"]
    for words in ('" OR NOT *', "title:", "NEAR(", "^", "-", "\x00", "{zz}", "tamarind AND"):
        assert find(words) == []


def test_a_search_is_not_held_up_by_a_log(
    path: Path, workspace: Workspace, desk: Desk, api: Api, clock: Any
) -> None:
    """SQLite's own snippet of this one takes a minute, and no time limit ends it."""
    lines = "\n".join(f"12:00:{n % 60:02} ERROR worker-{n % 7}" for n in range(20_000))
    log = f"<pre>It began like this. {lines}</pre>"
    workspace.reply(desk.issues[0], html=log, author=desk.contacts[0])
    # Short, but each of many words finds all of it.
    for _ in range(20):
        workspace.reply(desk.issues[1], html="abcdefgh " * 430, author=desk.contacts[0])
    bare = workspace.open_issue(title="A log", body_html=log, requester=desk.contacts[0])
    for message in workspace.messages(bare):
        workspace.delete_message(message["id"])
    for _ in range(2):
        clock.sleep(DAY)
        sync(path, api, clock)
    began = time.process_time()
    found = {
        (row["kind"], row["number"]): row["found"]
        for row in answer(path, QUERIES["search_everywhere"], words="error worker")
    }
    assert time.process_time() - began < 1
    began = time.process_time()
    words = "a ab abc abcd abcde abcdef abcdefg abcdefgh"
    assert len(answer(path, QUERIES["search_everywhere"], words=words)) == 20
    assert time.process_time() - began < 1
    before = "It began like this. 12:00:00 "
    after = " worker-0\n12:00:01 ERROR worker-1\n"
    assert {*found} == {("message", 1), ("issue", 5)}
    for text in found.values():
        assert text.startswith(f"{before}**ERROR**{after}")
        assert len(text) < 300


def test_reopened_issues(
    path: Path, workspace: Workspace, desk: Desk, api: Api, clock: Any
) -> None:
    """By what syncs saw, by a customer's later words, or by the times that Pylon counts."""
    first, second, third, fourth = desk.issues
    for issue in (first, second, fourth):
        workspace.change_issue(issue, state="closed")
    clock.sleep(DAY)
    sync(path, api, clock)
    assert answer(path, QUERIES["reopened_issues"]) == []
    workspace.change_issue(first, state="waiting_on_you")
    workspace.reply(second, html="Still broken.", author=desk.contacts[0])
    workspace.reply(fourth, html="Noted.", author=desk.agents[0], private=True)
    workspace.change_issue(third, state="closed")
    clock.sleep(DAY)
    workspace.change_issue(third, state="new")
    workspace.change_issue(third, state="closed")
    clock.sleep(DAY)
    sync(path, api, clock)
    found = {
        row["number"]: set(row["signs"].split(","))
        for row in answer(path, QUERIES["reopened_issues"])
    }
    assert found == {
        1: {"a sync saw it", "time as closed before"},
        2: {"customer wrote after the resolution"},
        3: {"time as closed before"},
    }


def test_views_are_no_tables_of_somebody_else(mirror: Path) -> None:
    """Else the demo would take its own sample for a file with other things in it."""
    mirror = inspect(mirror)
    assert mirror is not None
    assert mirror.other_tables == frozenset()


@pytest.mark.parametrize("view", VIEWS)
def test_counting_reads_indexes_alone(mirror: Path, view: str) -> None:
    """At a million messages nothing else is fast."""
    plan = rows(mirror, f"EXPLAIN QUERY PLAN SELECT count(*) FROM {view}")
    steps = [row["detail"] for row in plan if re.match(r"(SCAN|SEARCH) [im]\b", row["detail"])]
    small = view in ("calls_overview", "survey_answers_overview")
    assert small or steps
    for step in steps:
        assert "COVERING INDEX" in step


@pytest.mark.parametrize(
    ("view", "column"),
    [
        *((view, "number") for view in ("conversations", "issue_feedback", "issue_overview")),
        *((view, "issue_id") for view in ("public_messages", "private_notes", "issue_feedback")),
    ],
)
def test_filters_use_an_index(mirror: Path, view: str, column: str) -> None:
    sql = f"EXPLAIN QUERY PLAN SELECT * FROM {view} WHERE {column} = ?"
    (plan, *_) = rows(mirror, sql, ["1"])
    assert re.match(r"SEARCH [im] USING (INDEX|COVERING INDEX) ", plan["detail"])


def test_freshness_tells_what_failed_what_is_stale_and_what_was_never_read(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    sync(path, api, clock, "issues", "issue_threads", "teams")
    first = "2026-07-02T00:00:00Z"
    clock.sleep(DAY)
    desk.workspace.change_issue(desk.issues[0], title="Another")
    api.misbehave("400", "/teams", times=-1)
    outcome = sync(path, api, clock, "issues", "teams")
    assert [one.stream.name for one in outcome.results if one.error] == ["teams"]
    found = {row["stream"]: row for row in answer(path, QUERIES["data_freshness"])}
    assert found["issues"]["outcome"] == "ok"
    assert found["teams"]["outcome"] == "failed"
    assert "400" in found["teams"]["error"]
    assert (found["teams"]["last_read_whole"], found["teams"]["live_rows"]) == (first, 2)
    assert found["issue_messages"]["outcome"] == "never read"
    assert found["issue_messages"]["stale_issues"] == 4
    assert found["issue_threads"]["stale_issues"] == 1
    assert found["teams"]["last_sync"] > found["issue_threads"]["last_sync"]
