"""The sample workspace: complete, in order, and readable."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any

import pytest

from pylon_to_sqlite.sandbox.sample import fill
from pylon_to_sqlite.sandbox.workspace import Workspace

NOW = 1_795_300_000.0  # Saturday, 2026-11-21
LISTS = (
    "accounts", "contacts", "users", "teams", "tags", "custom_fields", "knowledge_bases",
    "ticket_forms", "user_roles", "activity_types", "issue_statuses",
)  # fmt: skip
AROUND = (
    "call_recordings", "surveys", "survey_responses", "collections", "macros", "macro_groups",
    "training_data", "projects", "milestones", "tasks", "task_comments", "feature_requests",
    "issue_followers", "issue_voice_calls", "account_relationships", "audit_logs",
    "custom_objects",
)  # fmt: skip
TIMES = {
    "created_at", "updated_at", "last_edited_at", "last_published_at",
    "latest_customer_activity_time", "submitted_at", "action_happened_at", "start_time",
    "end_time", "archived_at", "last_scraped_at",
}  # fmt: skip
MARKUP = re.compile(r"\[\[|\]\]|\*\*|^\? |<p>(- |> |# |@)")

Records = list[dict[str, Any]]


@lru_cache
def workspace(now: float = NOW, seed: int = 7) -> Workspace:
    filled = Workspace(lambda: now)
    fill(filled, now=now, seed=seed)
    return filled


def everything(of: Workspace) -> dict[str, Any]:
    found: dict[str, Any] = {name: of.records(name) for name in (*LISTS, *AROUND, "issues")}
    issues = [issue["id"] for issue in found["issues"]]
    found["messages"] = {issue: of.messages(issue) for issue in issues}
    found["threads"] = {issue: of.threads(issue) for issue in issues}
    found["articles"] = [
        article for base in found["knowledge_bases"] for article in of.articles(base["id"])
    ]
    return found


@pytest.fixture(scope="module")
def sample() -> dict[str, Any]:
    return everything(workspace())


def ids(records: Records) -> set[str]:
    return {record["id"] for record in records}


def texts(sample: dict[str, Any]) -> list[str]:
    """All that somebody has written."""
    messages = [m["message_html"] for found in sample["messages"].values() for m in found]
    articles = [article["current_draft_content_html"] for article in sample["articles"]]
    titles = [record["title"] for record in (*sample["issues"], *sample["articles"])]
    around = [
        value
        for name in AROUND
        for record in sample[name]
        for value in _strings(record)
        if value and not value.startswith("https://")
    ]
    comments = [
        answer["comment"]
        for issue in sample["issues"]
        for answer in issue.get("csat_responses") or []
    ]
    return [*messages, *articles, *titles, *comments, *around]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def test_the_same_seed_and_time_give_the_same_workspace(sample: dict[str, Any]) -> None:
    again = Workspace(lambda: NOW)
    fill(again, now=NOW)
    assert everything(again) == sample


def test_another_seed_gives_another_workspace(sample: dict[str, Any]) -> None:
    other = workspace(seed=8)
    titles = [issue["title"] for issue in other.records("issues")]
    assert titles != [issue["title"] for issue in sample["issues"]]


def test_it_is_as_large_as_a_small_support_desk(sample: dict[str, Any]) -> None:
    counts = {name: len(sample[name]) for name in sample}
    assert 400 <= counts["issues"] <= 450
    assert 27 <= counts["accounts"] <= 30
    assert 80 <= counts["contacts"] <= 95
    assert 24 <= counts["articles"] <= 30
    assert counts["teams"] == 4
    assert counts["issue_statuses"] == 8
    assert sum(len(found) for found in sample["messages"].values()) > 2000
    assert all(sample[name] for name in LISTS)
    assert all(1 < counts[name] <= 40 for name in AROUND)


@pytest.mark.parametrize("now", [NOW, NOW - 86_400 * 40.3, 1_719_830_000.0, 1_893_456_000.0])
def test_conversations_are_in_order_and_end_by_now(now: float) -> None:
    """Whatever the weekday and hour at which the demo is started."""
    filled = everything(workspace(now))
    around = [record for name in AROUND for record in filled[name]]
    listed = [*filled["accounts"], *filled["custom_fields"], *filled["articles"]]
    for record in (*listed, *around):
        for name in TIMES & record.keys():
            assert not record[name] or _seconds(record[name]) <= now
    for issue in filled["issues"]:
        times = [message["timestamp"] for message in filled["messages"][issue["id"]]]
        assert times == sorted(times)
        assert times[0] == issue["created_at"]
        assert _seconds(issue["created_at"]) <= _seconds(issue["updated_at"]) <= now
        assert _seconds(times[-1]) <= now
    opened = [(issue["created_at"], issue["number"]) for issue in filled["issues"]]
    assert opened == sorted(opened, reverse=True)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_it_spans_half_a_year_with_quiet_weekends(sample: dict[str, Any]) -> None:
    created = [_seconds(issue["created_at"]) for issue in sample["issues"]]
    assert 170 < (max(created) - min(created)) / 86_400 <= 182
    weekdays = Counter(int(at // 86_400 + 3) % 7 for at in created)
    assert weekdays[5] + weekdays[6] < 0.12 * len(created)
    assert any(_hour(at) < 5 for at in created)
    assert sum(7 <= _hour(at) < 18 for at in created) > 0.6 * len(created)


def _hour(at: float) -> float:
    return at % 86_400 / 3600


def test_nothing_is_left_to_fill_in(sample: dict[str, Any]) -> None:
    for text in texts(sample):
        assert "{" not in text
        assert "}" not in text
        assert not MARKUP.search(text), text


def test_messages_look_like_real_ones(sample: dict[str, Any]) -> None:
    written = " ".join(texts(sample))
    for tag in ("<p>", "<ul>", "<ol>", "<code>", "<pre>", "<a href=", "<blockquote>", "<br>"):
        assert tag in written
    assert "&nbsp;" in written
    assert "&gt;" in written
    links = re.findall(r'href="https://([^/"]+)', written)
    assert all(host.endswith(".example") for host in links)


def test_all_ways_of_an_issue_occur(sample: dict[str, Any]) -> None:
    issues = sample["issues"]
    statuses = {status["slug"] for status in sample["issue_statuses"] if not status["is_archived"]}
    types = Counter(issue["type"].lower() for issue in issues)
    assert {issue["state"] for issue in issues} == statuses
    assert 0.55 < types["conversation"] / len(issues) < 0.75
    assert set(types) == {"conversation", "ticket"}
    assert {"slack", "email", "chat_widget", "form", "microsoft_teams"} <= {
        issue["source"] for issue in issues
    }
    assert any(issue.get("snoozed_until_time") for issue in issues)
    assert any(not issue.get("account") for issue in issues)
    assert any(not issue.get("assignee") for issue in issues)
    linked = [link for issue in issues for link in issue.get("external_issues") or []]
    assert {link["source"] for link in linked} == {"linear", "jira", "github"}
    users = ids(sample["users"])
    assert any((issue.get("requester") or {}).get("id") in users for issue in issues)


@pytest.mark.parametrize("now", [1_719_830_000.0, 1_893_456_000.0])
def test_all_states_occur_whenever_the_demo_is_started(now: float) -> None:
    states = Counter(issue["state"] for issue in workspace(now).records("issues"))
    assert set(states) >= {"new", "waiting_on_you", "waiting_on_customer", "on_hold", "closed"}
    assert states["closed"] < sum(states.values()) - 30


def test_some_answers_are_quick_and_some_are_late(sample: dict[str, Any]) -> None:
    first = [issue.get("first_response_seconds") for issue in sample["issues"]]
    waits = sorted(seconds for seconds in first if seconds)
    assert waits[0] < 15 * 60
    assert 3600 < waits[len(waits) // 2] < 6 * 3600
    assert waits[-1] > 86_400
    reopened = [
        issue
        for issue in sample["issues"]
        if "closed" in (issue.get("time_in_status_seconds") or {})
    ]
    assert len(reopened) >= 3


def test_notes_are_internal_and_never_by_a_customer(sample: dict[str, Any]) -> None:
    messages = [m for found in sample["messages"].values() for m in found]
    notes = [message for message in messages if message.get("is_private")]
    assert len(notes) > 100
    assert all((note["author"].get("user") or {}).get("id") for note in notes)
    said = {message["message_html"] for message in messages if not message.get("is_private")}
    assert not said & {note["message_html"] for note in notes}


def test_a_bot_answers_and_files_are_attached(sample: dict[str, Any]) -> None:
    messages = [m for found in sample["messages"].values() for m in found]
    bots = [m for m in messages if not (m["author"].get("user") or m["author"].get("contact"))]
    assert len(bots) > 30
    urls = [url for message in messages for url in message.get("file_urls") or []]
    assert len(urls) > 30
    assert all(url.startswith("https://assets.usepylon.com/") for url in urls)


def test_customers_rate(sample: dict[str, Any]) -> None:
    answers = [a for issue in sample["issues"] for a in issue.get("csat_responses") or []]
    scores = Counter(answer["score"] for answer in answers)
    assert set(scores) == {1, 2, 3, 4, 5}
    assert scores.most_common(1)[0][0] == 5
    assert sum(bool(answer["comment"]) for answer in answers) > 50


def test_an_incident_gathers_its_children(sample: dict[str, Any]) -> None:
    parents = [issue for issue in sample["issues"] if issue.get("child_issues")]
    assert [len(issue["child_issues"]) for issue in parents] == [7, 24]
    children = [issue for issue in sample["issues"] if issue.get("parent_issue_group")]
    assert len(children) == 31
    days = Counter(issue["created_at"][:10] for issue in sample["issues"])
    (busiest, most), (_, second) = days.most_common(2)
    assert busiest == parents[1]["created_at"][:10]
    assert most > 1.5 * second


def test_no_conversation_is_told_again_and_again(sample: dict[str, Any]) -> None:
    told = Counter(
        tuple(message["message_html"] for message in found) for found in sample["messages"].values()
    )
    assert told.most_common(1)[0][1] <= 2
    titles = Counter(issue["title"] for issue in sample["issues"])
    assert titles.most_common(1)[0][1] <= 8
    bodies = Counter(issue["body_html"] for issue in sample["issues"])
    assert bodies.most_common(1)[0][1] <= 3


def test_every_reference_resolves(sample: dict[str, Any]) -> None:
    left = {user.key for user in workspace().listed("users", deactivated=True)}
    users, contacts = ids(sample["users"]) | left, ids(sample["contacts"])
    accounts, teams, issues = (ids(sample[name]) for name in ("accounts", "teams", "issues"))
    assert len(left) == len(sample["users"]) + 1  # one has left
    for issue in sample["issues"]:
        assert _one(issue, "account") <= accounts
        assert _one(issue, "assignee") <= users
        assert _one(issue, "team") <= teams
        assert _one(issue, "requester") <= users | contacts
        assert _one(issue, "parent_issue_group") <= issues
        threads = ids(sample["threads"][issue["id"]])
        for message in sample["messages"][issue["id"]]:
            assert _one(message["author"], "user") <= users
            assert _one(message["author"], "contact") <= contacts
            assert not message.get("thread_id") or message["thread_id"] in threads
    assert all(_one(contact, "account") <= accounts for contact in sample["contacts"])
    assert all(_one(account, "owner") <= users for account in sample["accounts"])
    assert all({u["id"] for u in team["users"]} <= users for team in sample["teams"])
    assert {article["author_user_id"] for article in sample["articles"]} <= users


def test_what_lies_around_refers_to_what_is_there(sample: dict[str, Any]) -> None:
    left = {user.key for user in workspace().listed("users", deactivated=True)}
    people = ids(sample["contacts"]) | ids(sample["users"]) | left
    accounts, groups = ids(sample["accounts"]), ids(sample["macro_groups"])
    projects, milestones, tasks = (ids(sample[n]) for n in ("projects", "milestones", "tasks"))
    collections, surveys = ids(sample["collections"]), ids(sample["surveys"])
    assert len(surveys) == 3
    placed = {one.get("collection_id") or "" for one in sample["articles"]}
    assert "" in placed
    assert placed - {""} < collections  # one of them only holds others
    above = {one.get("parent_collection_id") or "" for one in sample["collections"]}
    assert len(above) == 2
    assert above <= collections | {""}
    assert {one["account_id"] for one in sample["call_recordings"]} <= accounts
    assert any(not one.get("summary") for one in sample["call_recordings"])
    for response in sample["survey_responses"]:
        assert response["account_id"] in accounts
        assert response["contact_id"] in people
    assert {macro["macro_group_id"] for macro in sample["macros"]} == groups
    assert all(_one(project, "account") <= accounts for project in sample["projects"])
    assert all(_one(milestone, "project") <= projects for milestone in sample["milestones"])
    for task in sample["tasks"]:
        assert _one(task, "project") <= projects
        assert _one(task, "milestone") <= milestones
        assert _assigned(task["assignee"]) <= people
        assert {task.get("parent_task_id") or ""} <= tasks | {""}
    assert sum(len(task.get("subtask_ids") or []) for task in sample["tasks"]) == 3
    assert {comment["task_id"] for comment in sample["task_comments"]} <= tasks
    for wish in sample["feature_requests"]:
        assert {*(wish.get("account_ids") or [])} <= accounts
    assert ids(sample["issue_followers"]) <= people
    assert {one["type"] for one in sample["issue_followers"]} == {"user", "contact"}
    for tie in sample["account_relationships"]:
        assert {tie["child_account_id"], tie["parent_account_id"]} <= accounts
    assert {one.get("actor_user_id") or "" for one in sample["audit_logs"]} <= people | {""}


def _assigned(actor: dict[str, Any]) -> set[str]:
    return _one(actor, "user") | _one(actor, "contact")


def _one(record: dict[str, Any], name: str) -> set[str]:
    found = record.get(name)
    return {found["id"]} if found else set()


def test_custom_fields_are_declared_and_their_options_exist(sample: dict[str, Any]) -> None:
    options = {
        (field["object_type"], field["slug"]): [
            option["slug"] for option in (field.get("select_metadata") or {}).get("options", [])
        ]
        for field in sample["custom_fields"]
    }
    for kind in ("account", "contact", "issue", "project", "task", "call_recording"):
        for record in sample[f"{kind}s"]:
            for slug, value in (record.get("custom_fields") or {}).items():
                allowed = options[kind, slug]
                given = value.get("values") or [value["value"]]
                assert not allowed or set(given) <= {*allowed, ""}, (slug, given)


def test_some_tags_are_in_no_list(sample: dict[str, Any]) -> None:
    listed = {tag["value"] for tag in sample["tags"] if tag["object_type"] == "issue"}
    used = {tag for issue in sample["issues"] for tag in issue.get("tags") or []}
    assert {"bug", "how-to", "billing", "feature-request"} <= listed & used
    assert used - listed


def test_articles_are_published_drafted_and_internal(sample: dict[str, Any]) -> None:
    articles = sample["articles"]
    assert {article["is_published"] for article in articles} == {True, False}
    visible = {article["visibility_config"]["visibility"] for article in articles}
    assert visible == {"public", "internal_only"}
    assert len({article["slug"] for article in articles}) == len(articles)


def test_customers_are_imagined(sample: dict[str, Any]) -> None:
    for contact in sample["contacts"]:
        assert contact["email"].endswith(".example")
        assert re.fullmatch(r"[a-z0-9.]+@[a-z0-9.-]+", contact["email"])
    assert all(account["domain"].endswith(".example") for account in sample["accounts"])
