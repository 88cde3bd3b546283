"""The sandbox behaves as Pylon does, rule by rule and fault by fault."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.faults import ELSEWHERE, FAULTS
from pylon_to_sqlite.sandbox.server import SandboxTransport, Server
from pylon_to_sqlite.sandbox.timeline import Timeline
from pylon_to_sqlite.sandbox.times import business_seconds, read, written
from pylon_to_sqlite.sandbox.workspace import Workspace

NOW = 1_782_864_000.0  # 2026-07-01T00:00:00Z, a Wednesday
HOUR, DAY = 3600, 86_400
AUTHORIZED = {"Authorization": "Bearer pylon_api_sandbox"}


class Clock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workspace(clock: Clock) -> Workspace:
    return Workspace(clock)


@pytest.fixture
def api(workspace: Workspace) -> Api:
    return Api(workspace, allowance=None)


def client_of(api: Api, **headers: str) -> httpx.Client:
    transport = SandboxTransport(api)
    given = {**AUTHORIZED, **headers}
    return httpx.Client(base_url="https://api.usepylon.com", transport=transport, headers=given)


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with client_of(api) as client:
        yield client


@pytest.fixture(params=["in process", "http"])
def either(request: pytest.FixtureRequest, api: Api) -> Iterator[httpx.Client]:
    """A client over each of the two transports."""
    if request.param == "in process":
        with client_of(api) as client:
            yield client
        return
    with Server(api) as server, httpx.Client(base_url=server.url, headers=AUTHORIZED) as client:
        yield client


def opened(workspace: Workspace, count: int = 1, **fields: Any) -> list[str]:
    """Issues opened one second after the other."""
    start = workspace.clock() - count
    return [
        workspace.open_issue(
            **{"title": f"Issue {n}", "body_html": "<p>Hello</p>", "at": start + n, **fields}
        )
        for n in range(count)
    ]


def search(client: httpx.Client, filter: Any = None, **body: Any) -> list[str]:
    """The titles on one page of a search."""
    answer = client.post("/issues/search", json={"filter": filter, **body})
    assert answer.status_code == 200, answer.text
    return [issue["title"] for issue in answer.json()["data"]]


def updated(operator: str, *times: str) -> dict[str, Any]:
    value = {"values": list(times)} if len(times) > 1 else {"value": times[0]}
    return {"field": "updated_at", "operator": operator, **value}


def walk(client: httpx.Client, between: Callable[[int], None], limit: int = 2) -> list[str]:
    """The ids of all pages of a search; `between` runs after each page."""
    ids: list[str] = []
    cursor, pages = "", 0
    while True:
        answer = client.post("/issues/search", json={"limit": limit, "cursor": cursor}).json()
        ids += [issue["id"] for issue in answer["data"]]
        if not answer["pagination"]["has_next_page"]:
            assert answer["pagination"]["cursor"] == ""
            return ids
        cursor, pages = answer["pagination"]["cursor"], pages + 1
        between(pages)


class TestWorkspace:
    def test_same_seed_gives_the_same_ids(self, clock: Clock) -> None:
        first, second = Workspace(clock, seed=7), Workspace(clock, seed=7)
        assert first.add("accounts") == second.add("accounts")
        assert first.organization == second.organization
        assert Workspace(clock, seed=8).add("accounts") != Workspace(clock, seed=7).add("accounts")

    def test_times_are_kept_in_milliseconds_and_given_in_seconds(
        self, workspace: Workspace
    ) -> None:
        workspace.add("accounts", at=NOW + 0.999, name="Acme")
        (account,) = workspace.records("accounts")
        assert account["created_at"] == account["updated_at"] == "2026-07-01T00:00:00Z"

    def test_change_moves_updated_at(self, workspace: Workspace, clock: Clock) -> None:
        key = workspace.add("accounts", custom_fields={"plan": "gold"})
        clock.now += 60
        workspace.change("accounts", key, name="Other", custom_fields={"seats": "4"})
        (account,) = workspace.records("accounts")
        assert account["name"] == "Other"
        assert account["updated_at"] == "2026-07-01T00:01:00Z"
        assert {slug: field["value"] for slug, field in account["custom_fields"].items()} == {
            "plan": "gold",
            "seats": "4",
        }

    def test_what_follows_from_a_given_field_is_filled_in(self, workspace: Workspace) -> None:
        workspace.add("accounts", name="Blue Whale")
        workspace.add("custom_fields", label="Support Tier", type="select")
        (account,), (field,) = workspace.records("accounts"), workspace.records("custom_fields")
        assert account["domains"] == ["blue-whale.example"]
        assert field["slug"] == "support_tier"
        assert len(field["select_metadata"]["options"]) == 2

    def test_references_are_given_in_their_short_form(self, workspace: Workspace) -> None:
        role = workspace.add("user_roles", name="Admin")
        user = workspace.add("users", role=role, email="ada@northwind.example")
        account = workspace.add("accounts", owner=user, external_ids=[])
        workspace.add("contacts", account=account)
        workspace.add("teams", users=[user])
        short = {"id": user, "email": "ada@northwind.example"}
        assert workspace.records("accounts")[0]["owner"] == short
        assert workspace.records("contacts")[0]["account"] == {
            "id": account,
            "external_ids": None,
        }
        assert workspace.records("teams")[0]["users"] == [short]
        assert workspace.records("users")[0]["role"]["slug"] == "admin"

    def test_statuses_are_known_by_their_slug(self, workspace: Workspace) -> None:
        assert workspace.add("issue_statuses", slug="escalated") == "escalated"
        assert "id" not in workspace.records("issue_statuses")[0]

    def test_ids_of_custom_fields_are_unique_within_an_object_type_only(
        self, workspace: Workspace
    ) -> None:
        workspace.add("custom_fields", id="field-1", object_type="issue", label="Same id")
        key = workspace.add("custom_fields", id="field-1", object_type="account")
        assert [field["id"] for field in workspace.records("custom_fields")] == ["field-1"] * 2
        workspace.change("custom_fields", key, label="Of accounts")
        assert [field["label"] for field in workspace.records("custom_fields")] == [
            "Same id",
            "Of accounts",
        ]

    def test_the_first_message_is_the_body(self, workspace: Workspace) -> None:
        contact = workspace.add("contacts", name="Ada")
        issue = workspace.open_issue(title="Help", body_html="<p>Hi</p>", requester=contact)
        (message,) = workspace.messages(issue)
        assert message["message_html"] == "<p>Hi</p>"
        assert message["author"]["name"] == "Ada"
        assert message["author"]["contact"]["id"] == contact
        assert not message["author"].get("user")

    def test_replies_move_what_they_should(self, workspace: Workspace) -> None:
        contact, user = workspace.add("contacts"), workspace.add("users")
        issue = workspace.open_issue(title="A", body_html="B", requester=contact, at=NOW)
        workspace.reply(issue, html="note", author=user, private=True, at=NOW + 60)
        workspace.reply(issue, html="Hello", author=user, at=NOW + 14 * HOUR)
        workspace.reply(issue, html="More", author=user, at=NOW + 15 * HOUR)
        (payload,) = workspace.records("issues")
        assert payload["number_of_touches"] == 3
        assert payload["updated_at"] == payload["latest_message_time"] == "2026-07-01T15:00:00Z"
        assert payload["first_response_time"] == "2026-07-01T14:00:00Z"
        assert payload["first_response_seconds"] == 14 * HOUR
        assert payload["business_hours_first_response_seconds"] == 5 * HOUR

    def test_only_private_notes_belong_to_a_thread(self, workspace: Workspace) -> None:
        user = workspace.add("users")
        (issue,) = opened(workspace)
        slack = workspace.add_thread(issue, name="triage")
        workspace.reply(issue, html="public", author=user)
        workspace.reply(issue, html="one", author=user, private=True)
        workspace.reply(issue, html="two", author=user, private=True)
        workspace.reply(issue, html="three", author=user, private=True, thread=slack)
        named = {thread["id"]: thread["name"] for thread in workspace.threads(issue)}
        messages = workspace.messages(issue)
        assert [named.get(message.get("thread_id") or "") for message in messages] == [
            None,
            None,
            "Internal notes",
            "Internal notes",
            "triage",
        ]
        assert all(thread["issue_id"] == issue for thread in workspace.threads(issue))

    def test_a_bot_has_a_name_only(self, workspace: Workspace) -> None:
        (issue,) = opened(workspace)
        workspace.reply(issue, html="Beep", author_name="Assistant")
        assert workspace.messages(issue)[-1]["author"] == {"name": "Assistant"}

    def test_authors_must_be_somebody(self, workspace: Workspace) -> None:
        (issue,) = opened(workspace)
        with pytest.raises(ValueError, match="neither a contact nor a user"):
            workspace.reply(issue, html="?", author="nobody")

    def test_messages_keep_their_order_while_the_clock_stands(self, workspace: Workspace) -> None:
        (issue,) = opened(workspace, at=NOW)
        for n in range(20):
            workspace.reply(issue, html=str(n), author_name="bot")
        texts = [message["message_html"] for message in workspace.messages(issue)]
        assert texts[1:] == [str(n) for n in range(20)]

    def test_closing_and_reopening(self, workspace: Workspace) -> None:
        issue = workspace.open_issue(title="A", body_html="B", at=NOW)
        workspace.change_issue(issue, state="closed", at=NOW + 14 * HOUR)
        (closed,) = workspace.records("issues")
        assert closed["resolution_seconds"] == 14 * HOUR
        assert closed["business_hours_resolution_seconds"] == 5 * HOUR
        assert closed["time_in_status_seconds"] == {"new": 14 * HOUR}
        assert closed["business_hours_time_in_status_seconds"] == {"new": 5 * HOUR}
        assert not closed.get("resolution_breach_time")
        workspace.change_issue(issue, state="new", at=NOW + 15 * HOUR)
        (reopened,) = workspace.records("issues")
        assert not reopened.get("resolution_time")
        assert reopened.get("resolution_seconds") is None
        assert reopened["time_in_status_seconds"] == {"new": 14 * HOUR, "closed": HOUR}

    def test_custom_fields_are_merged_and_none_unsets(self, workspace: Workspace) -> None:
        slug = "account.salesforce.Support_Tier__c"
        (issue,) = opened(workspace, custom_fields={slug: "gold", "areas": ["api", "web"]})
        workspace.change_issue(issue, custom_fields={"priority": "high", slug: None})
        (payload,) = workspace.records("issues")
        fields = payload["custom_fields"]
        assert not fields.get(slug, {}).get("value")
        assert fields["areas"]["values"] == ["api", "web"]
        assert fields["priority"]["value"] == "high"

    def test_a_quiet_change_leaves_updated_at_alone(
        self, workspace: Workspace, clock: Clock
    ) -> None:
        (issue,) = opened(workspace)
        (message,) = workspace.messages(issue)
        before = workspace.records("issues")[0]["updated_at"]
        clock.now += HOUR
        workspace.change_issue(issue, title="New", touch=False)
        workspace.edit_message(message["id"], "<p>edited</p>", touch=False)
        assert workspace.records("issues")[0]["updated_at"] == before
        assert workspace.records("issues")[0]["title"] == "New"
        assert workspace.messages(issue)[0]["message_html"] == "<p>edited</p>"
        workspace.edit_message(message["id"], "<p>again</p>")
        assert workspace.records("issues")[0]["updated_at"] == "2026-07-01T01:00:00Z"

    def test_redaction_and_deletion_of_messages(self, workspace: Workspace) -> None:
        (issue,) = opened(workspace)
        secret = workspace.reply(issue, html="hunter2", author_name="bot", file_urls=["https://f"])
        gone = workspace.reply(issue, html="oops", author_name="bot")
        latest = workspace.records("issues")[0]["latest_message_time"]
        workspace.redact_message(secret)
        workspace.delete_message(gone)
        _, redacted = workspace.messages(issue)
        assert "hunter2" not in json.dumps(redacted)
        assert not redacted.get("file_urls")
        assert workspace.records("issues")[0]["latest_message_time"] == latest

    def test_issue_groups(self, workspace: Workspace) -> None:
        parent, child = opened(workspace, 2)
        workspace.change_issue(child, parent_issue_group=parent)
        of_child, of_parent = workspace.records("issues")
        assert of_child["parent_issue_group"] == {"id": parent, "number": 1}
        assert of_parent["child_issues"] == [{"id": child, "number": 2}]
        workspace.delete_issue(child)
        assert not workspace.records("issues")[0].get("child_issues")

    def test_deleting_an_issue_leaves_no_trace(
        self, workspace: Workspace, client: httpx.Client
    ) -> None:
        first, second = opened(workspace, 2)
        workspace.delete_issue(first)
        assert [issue["id"] for issue in workspace.records("issues")] == [second]
        assert client.get(f"/issues/{first}").status_code == 404
        assert client.get("/issues/1/messages").status_code == 404
        opened(workspace)
        assert sorted(issue["number"] for issue in workspace.records("issues")) == [2, 3]

    def test_merging_accounts_moves_quietly(self, workspace: Workspace, clock: Clock) -> None:
        kept, merged = workspace.add("accounts"), workspace.add("accounts")
        contact = workspace.add("contacts", account=merged)
        opened(workspace, account=merged, requester=contact)
        before = workspace.records("issues")[0]["updated_at"]
        clock.now += HOUR
        workspace.merge_accounts(kept, [merged])
        assert [account["id"] for account in workspace.records("accounts")] == [kept]
        assert workspace.records("contacts")[0]["account"]["id"] == kept
        assert workspace.records("issues")[0]["account"]["id"] == kept
        assert workspace.records("issues")[0]["updated_at"] == before

    def test_merging_issues_moves_messages_and_threads(self, workspace: Workspace) -> None:
        into, other = opened(workspace, 2)
        workspace.reply(other, html="moved", author_name="bot")
        thread = workspace.add_thread(other, name="triage")
        workspace.merge_issues(into, other)
        assert [message["message_html"] for message in workspace.messages(into)][-1] == "moved"
        assert workspace.threads(into)[0]["id"] == thread
        assert workspace.threads(into)[0]["issue_id"] == into
        assert len(workspace.records("issues")) == 1

    def test_articles(self, workspace: Workspace, clock: Clock) -> None:
        base, empty = workspace.add("knowledge_bases"), workspace.add("knowledge_bases")
        article = workspace.add_article(base, title="Getting started")
        clock.now += HOUR
        workspace.change_article(article, current_published_content_html="<p>new</p>")
        (payload,) = workspace.articles(base)
        assert payload["slug"] == "getting-started"
        assert payload["created_at"] == "2026-07-01T00:00:00Z"
        assert payload["last_edited_at"] == payload["last_published_at"] == "2026-07-01T01:00:00Z"
        assert workspace.articles(empty) == []
        workspace.remove_article(article)
        assert workspace.articles(base) == []

    def test_unset_comes_in_three_ways(self, workspace: Workspace) -> None:
        for _ in range(30):
            workspace.add("users", avatar_url="")
        ways = {repr(user.get("avatar_url", "absent")) for user in workspace.records("users")}
        assert ways == {"None", "''", "'absent'"}
        assert workspace.records("users") == workspace.records("users")

    def test_some_types_are_capitalised(self, workspace: Workspace) -> None:
        opened(workspace, 100)
        kinds = [issue["type"] for issue in workspace.records("issues")]
        assert set(kinds) == {"conversation", "Conversation"}

    def test_empty_lists_of_some_fields_are_null(self, workspace: Workspace) -> None:
        workspace.add("teams")
        workspace.add("accounts", tags=[], external_ids=[])
        assert workspace.records("teams")[0]["users"] is None
        assert workspace.records("accounts")[0]["tags"] is None
        assert workspace.records("accounts")[0]["external_ids"] is None

    def test_payloads_share_nothing_with_the_workspace(self, workspace: Workspace) -> None:
        workspace.add("accounts", tags=["vip"])
        opened(workspace, tags=["bug"], external_issues=[{"source": "linear"}])
        for stream in ("accounts", "issues"):
            payload = workspace.records(stream)[0]
            payload["tags"].append("spoilt")
            payload.get("external_issues", [{}])[0]["source"] = "spoilt"
            assert "spoilt" not in json.dumps(workspace.records(stream))

    def test_unknown_streams_are_refused(self, workspace: Workspace) -> None:
        with pytest.raises(ValueError, match="unknown stream"):
            workspace.add("acounts")
        with pytest.raises(ValueError, match="add_article"):
            workspace.add("articles")


def test_timeline_agrees_with_a_plain_sort() -> None:
    """Whether moves are carried out one by one or all at once."""
    timeline = Timeline()
    plain: dict[str, int] = {}
    for n in range(2000):
        key, ms = str(n * 7919 % 300), n * 104_729 % 1000
        if key in plain and n % 5 == 0:
            timeline.drop(key)
            del plain[key]
        else:
            timeline.put(key, ms)
            plain[key] = ms
        if n % 3 == 0 or n > 1500:
            expected = sorted(((ms, key) for key, ms in plain.items()), reverse=True)
            assert list(timeline.newest()) == expected
            half = [position for position in reversed(expected) if 200 <= position[0] <= 500]
            assert timeline.between(200, 500) == half
    assert len(timeline) == len(plain)


def test_business_hours_agree_with_counting_them() -> None:
    start = 1_782_864_000 - 3 * DAY + 1234
    for hours in (0, 1, 9, 30, 24 * 5, 24 * 16 + 3):
        minutes = range(start, start + hours * HOUR, 60)
        counted = sum(
            60 for s in minutes if (s // DAY + 3) % 7 < 5 and 9 * HOUR <= s % DAY < 17 * HOUR
        )
        assert abs(business_seconds(start * 1000, minutes.stop * 1000) - counted) <= 60


def test_times_are_read_as_they_are_written() -> None:
    assert written(read("2026-07-01T00:00:00Z")) == "2026-07-01T00:00:00Z"
    assert read("2026-07-01T02:00:00.250+02:00") - read("2026-07-01T00:00:00Z") == 250
    with pytest.raises(ValueError, match="time zone"):
        read("2026-07-01T00:00:00")


class TestTokens:
    @pytest.mark.parametrize(
        ("header", "code"),
        [
            ("", "invalid_authorization_header"),
            ("pylon_api_sandbox", "invalid_authorization_header"),
            ("Bearer wrong", "invalid_api_token"),
            ("Bearer pylon_api_eu_x", "wrong_region_token"),
        ],
    )
    def test_refused(self, client: httpx.Client, header: str, code: str) -> None:
        answer = client.get("/me", headers={"Authorization": header})
        assert answer.status_code == 401
        assert answer.json()["code"] == code
        assert answer.json()["request_id"]

    def test_the_other_region_is_named(self, workspace: Workspace) -> None:
        api = Api(workspace, token="pylon_api_eu_sandbox", region="eu")
        with client_of(api) as client:
            answer = client.get("/me")
            assert "https://api.usepylon.com" in answer.json()["errors"][0]
            right = {"Authorization": "Bearer pylon_api_eu_sandbox"}
            assert client.get("/me", headers=right).status_code == 200

    def test_me(self, workspace: Workspace, client: httpx.Client) -> None:
        assert client.get("/me").json()["data"] == workspace.organization


class TestRoutes:
    def test_unknown_paths(self, client: httpx.Client) -> None:
        for path in ("/nothing", "/issues/search", "/issues/99", "/users/x", "/accounts/x/y"):
            answer = client.get(path)
            assert answer.status_code == 404
            assert answer.json()["code"] == "not_found"
        assert client.post("/nothing/search").status_code == 404

    def test_writes_are_refused_and_remembered(self, api: Api, either: httpx.Client) -> None:
        for method in ("POST", "PATCH", "PUT", "DELETE"):
            assert either.request(method, "/issues/1").status_code == 405
        assert [entry.method for entry in api.writes] == ["POST", "PATCH", "PUT", "DELETE"]

    def test_lists(self, workspace: Workspace, client: httpx.Client) -> None:
        for stream in ("users", "teams", "tags", "ticket_forms", "user_roles", "activity_types"):
            workspace.add(stream)
            answer = client.get("/" + stream.replace("_", "-")).json()
            assert answer["data"] == workspace.records(stream)
            assert "pagination" not in answer

    def test_deactivated_users(self, workspace: Workspace, client: httpx.Client) -> None:
        user = workspace.add("users")
        opened(workspace, assignee=user)
        workspace.deactivate_user(user)
        assert client.get("/users").json()["data"] == []
        assert len(client.get("/users?include_deactivated=true").json()["data"]) == 1
        assert client.get(f"/users/{user}").json()["data"]["id"] == user
        assert workspace.records("issues")[0]["assignee"]["id"] == user

    def test_custom_fields_need_a_known_object_type(
        self, workspace: Workspace, client: httpx.Client
    ) -> None:
        workspace.add("custom_fields", object_type="account")
        assert client.get("/custom-fields").status_code == 400
        assert client.get("/custom-fields?object_type=nonsense").status_code == 400
        assert client.get("/custom-fields?object_type=issue").json()["data"] == []
        assert len(client.get("/custom-fields?object_type=account").json()["data"]) == 1

    def test_limits(self, workspace: Workspace, client: httpx.Client) -> None:
        base, (issue,) = workspace.add("knowledge_bases"), opened(workspace)
        assert client.get("/accounts").status_code == 400
        day = "start_time=2026-07-01T00:00:00Z&end_time=2026-07-02T00:00:00Z"
        for path, fine, wrong in (
            ("/accounts?", (1, 999), ("0", "1000", "x", "1.5", "-1")),
            ("/contacts?", (1, 999), ("0", "1000")),
            (f"/knowledge-bases/{base}/articles?", (1, 999), ("0", "1000")),
            (f"/issues/{issue}/messages?", (1, 1000), ("0", "1001")),
            (f"/issues?{day}&", (0, 20_000), ("-1", "20001")),
        ):
            for limit in fine:
                assert client.get(f"{path}limit={limit}").status_code == 200
            for text in wrong:
                answer = client.get(f"{path}limit={text}")
                assert answer.status_code == 400
                assert "data" not in answer.json()
        for value in (0, 1000, True, "x", "10"):
            answer = client.post("/issues/search", json={"limit": value})
            assert answer.status_code == 400

    def test_pages_of_accounts_and_articles(
        self, workspace: Workspace, client: httpx.Client
    ) -> None:
        base = workspace.add("knowledge_bases")
        for n in range(5):
            workspace.add("accounts", at=NOW + n)
            workspace.add_article(base, at=NOW + n)
        for path, expected in (
            ("/accounts", workspace.records("accounts")),
            (f"/knowledge-bases/{base}/articles", workspace.articles(base)),
        ):
            first = client.get(path, params={"limit": 3}).json()
            cursor = first["pagination"]["cursor"]
            second = client.get(path, params={"limit": 3, "cursor": cursor}).json()
            assert first["data"] + second["data"] == expected
            assert second["pagination"] == {"cursor": "", "has_next_page": False}
        assert client.get("/knowledge-bases/x/articles").status_code == 404

    def test_messages_and_threads(self, workspace: Workspace, client: httpx.Client) -> None:
        (issue,) = opened(workspace)
        for n in range(4):
            workspace.reply(issue, html=str(n), author_name="bot")
        path = f"/issues/{issue}/messages"
        everything = client.get(path).json()
        assert everything["data"] == workspace.messages(issue)
        assert "pagination" not in everything
        first = client.get(path, params={"limit": 3}).json()
        rest = client.get(path, params={"cursor": first["pagination"]["cursor"]}).json()
        assert first["data"] + rest["data"] == everything["data"]
        assert client.get("/issues/1/messages").json()["data"] == everything["data"]
        threads = client.get("/issues/1/threads").json()
        assert threads["data"] is None
        for message in workspace.messages(issue):
            workspace.delete_message(message["id"])
        assert client.get(path).json()["data"] is None


class TestListOfIssues:
    def test_by_creation(self, workspace: Workspace, client: httpx.Client) -> None:
        for days in (1, 2, 3):
            workspace.open_issue(title=str(days), body_html="", at=NOW - days * DAY)
        span = {"start_time": "2026-06-28T12:00:00Z", "end_time": "2026-06-29T12:00:00Z"}
        answer = client.get("/issues", params=span).json()
        assert [issue["title"] for issue in answer["data"]] == ["2"]
        assert answer["pagination"] == {"cursor": "", "has_next_page": False}

    def test_pages(self, workspace: Workspace, client: httpx.Client) -> None:
        opened(workspace, 5)
        span = {"start_time": "2026-06-30T00:00:00Z", "end_time": "2026-07-01T00:00:00Z"}
        first = client.get("/issues", params={**span, "limit": 3}).json()
        more = {**span, "limit": 3, "cursor": first["pagination"]["cursor"]}
        titles = [
            i["title"] for i in first["data"] + client.get("/issues", params=more).json()["data"]
        ]
        assert titles == [f"Issue {n}" for n in (4, 3, 2, 1, 0)]

    @pytest.mark.parametrize(
        "span",
        [
            {},
            {"start_time": "2026-06-01T00:00:00Z"},
            {"start_time": "yesterday", "end_time": "2026-07-01T00:00:00Z"},
            {"start_time": "2026-05-31T00:00:00Z", "end_time": "2026-07-01T00:00:00Z"},
            {"start_time": "2026-07-01T00:00:00Z", "end_time": "2026-06-30T00:00:00Z"},
        ],
    )
    def test_bad_spans(self, client: httpx.Client, span: dict[str, str]) -> None:
        answer = client.get("/issues", params=span)
        assert answer.status_code == 400
        assert answer.json()["errors"]

    def test_a_year_where_it_is_allowed(self, workspace: Workspace) -> None:
        span = {"start_time": "2025-07-02T00:00:00Z", "end_time": "2026-07-01T00:00:00Z"}
        with client_of(Api(workspace, max_list_days=365)) as client:
            assert client.get("/issues", params=span).status_code == 200


class TestSearch:
    def test_newest_first_and_the_newest_page_says_nothing_about_updates(
        self, workspace: Workspace, client: httpx.Client
    ) -> None:
        issues = opened(workspace, 3)
        workspace.change_issue(issues[0], title="Just changed")
        assert search(client) == ["Issue 2", "Issue 1", "Just changed"]

    def test_deletions_and_insertions_between_pages_shift_nothing(
        self, workspace: Workspace, client: httpx.Client, clock: Clock
    ) -> None:
        issues = opened(workspace, 9)

        def disturb(pages: int) -> None:
            clock.now += 1
            workspace.open_issue(title="new", body_html="")
            workspace.delete_issue(issues[9 - 2 * pages])  # the one the cursor stands on
            workspace.delete_issue(issues[pages - 1])

        ids = walk(client, disturb)
        assert len(ids) == len(set(ids))
        assert {issue["id"] for issue in workspace.records("issues")} & set(issues) <= set(ids)

    def test_windows_of_updated_at(self, workspace: Workspace, client: httpx.Client) -> None:
        for hours in range(5):
            workspace.open_issue(title=str(hours), body_html="", at=NOW + hours * HOUR)
        start, end = "2026-07-01T01:00:00Z", "2026-07-01T03:00:00Z"
        after, before = updated("time_is_after", start), updated("time_is_before", end)
        assert search(client, after) == ["4", "3", "2"]
        assert search(client, before) == ["2", "1", "0"]
        assert search(client, {"operator": "and", "subfilters": [after, before]}) == ["2"]
        assert search(client, {"operator": "and", "subfilters": [after]}) == ["4", "3", "2"]
        assert search(client, updated("time_range", start, end)) == ["2"]
        either_side = [updated("time_is_before", start), updated("time_is_after", end)]
        assert search(client, {"operator": "or", "subfilters": either_side}) == ["4", "0"]
        with client_of(Api(workspace, inclusive=True)) as inclusive:
            assert search(inclusive, updated("time_range", start, end)) == ["3", "2", "1"]

    def test_few_matches_among_many_are_found_in_the_same_order(
        self, workspace: Workspace, client: httpx.Client
    ) -> None:
        issues = opened(workspace, 200)
        for n in (150, 3, 77, 20):
            workspace.change_issue(issues[n], at=NOW + HOUR + n)
        late = updated("time_is_after", "2026-07-01T00:30:00Z")
        assert search(client, late) == ["Issue 150", "Issue 77", "Issue 20", "Issue 3"]
        first = client.post("/issues/search", json={"filter": late, "limit": 3}).json()
        cursor = first["pagination"]["cursor"]
        assert search(client, late, limit=3, cursor=cursor) == ["Issue 3"]

    def test_stored_times_are_finer_than_the_ones_given(
        self, workspace: Workspace, client: httpx.Client
    ) -> None:
        workspace.open_issue(title="half past", body_html="", at=NOW + 0.5)
        assert workspace.records("issues")[0]["updated_at"] == "2026-07-01T00:00:00Z"
        assert search(client, updated("time_is_after", "2026-07-01T00:00:00Z")) == ["half past"]
        assert search(client, updated("time_is_before", "2026-07-01T00:00:00Z")) == []

    def test_other_filters(self, workspace: Workspace, client: httpx.Client) -> None:
        account, user = workspace.add("accounts"), workspace.add("users")
        workspace.add("custom_fields", slug="plan")
        opened(
            workspace, title="mine", account=account, assignee=user, tags=["bug"], type="ticket",
            custom_fields={"plan": "gold"}, state="closed",
        )  # fmt: skip
        opened(workspace, title="other")
        for field, operator, value in (
            ("account_id", "equals", account),
            ("account_id", "in", [account, "x"]),
            ("account_id", "is_set", None),
            ("assignee_id", "not_in", ["x"]),
            ("requester_id", "is_unset", None),
            ("issue_type", "equals", "ticket"),
            ("state", "in", ["closed", "on_hold"]),
            ("team_id", "not_in", ["x"]),
            ("tags", "contains", "bug"),
            ("plan", "equals", "gold"),
            ("title", "string_contains", "MIN"),
            ("resolved_at", "time_is_after", "2020-01-01T00:00:00Z"),
        ):
            asked = {"values": value} if isinstance(value, list) else {"value": value}
            found = search(client, {"field": field, "operator": operator, **asked})
            assert "mine" in found, (field, operator)
            assert operator in ("not_in", "is_unset") or found == ["mine"], (field, operator)

    @pytest.mark.parametrize(
        "filter",
        [
            "updated_at",
            {"operator": "and", "subfilters": []},
            {"field": "nonsense", "operator": "equals", "value": "x"},
            {"field": "updated_at", "operator": "equals", "value": "x"},
            {"field": "updated_at", "operator": "time_is_after", "value": "yesterday"},
            {"field": "updated_at", "operator": "time_range", "values": ["x"]},
            {"field": "state", "operator": "in", "value": "new"},
            {"field": "state", "operator": "equals"},
        ],
    )
    def test_bad_filters(self, client: httpx.Client, filter: Any) -> None:
        assert client.post("/issues/search", json={"filter": filter}).status_code == 400

    def test_nesting_has_an_end(self, client: httpx.Client) -> None:
        leaf = {"field": "state", "operator": "equals", "value": "new"}
        two = {"operator": "and", "subfilters": [{"operator": "or", "subfilters": [leaf]}]}
        assert search(client, two) == []
        deeper = {"operator": "and", "subfilters": [two]}
        assert client.post("/issues/search", json={"filter": deeper}).status_code == 400

    def test_a_misspelt_filter_is_ignored(self, workspace: Workspace, client: httpx.Client) -> None:
        opened(workspace, 2)
        nothing = {"field": "state", "operator": "equals", "value": "none"}
        assert len(search(client, filters=nothing)) == 2

    def test_bad_bodies_and_cursors(self, client: httpx.Client) -> None:
        assert client.post("/issues/search", content=b"{").status_code == 400
        assert client.post("/issues/search", content=b"[]").status_code == 400
        assert client.post("/issues/search").status_code == 200
        for cursor in ("nonsense", "bm9uc2Vuc2U=", "é"):
            answer = client.post("/issues/search", json={"cursor": cursor})
            assert answer.status_code == 400
            assert "cursor" in answer.json()["errors"][0]

    def test_text(self, workspace: Workspace, client: httpx.Client) -> None:
        opened(workspace, 3)
        assert search(client, search_text="issue 1") == ["Issue 1"]

    def test_a_cap_on_the_range(self, workspace: Workspace) -> None:
        def wide(hours: int) -> dict[str, Any]:
            end = "2026-07-01T00:00:00Z"
            return updated("time_range", written(read(end) - hours * 3_600_000), end)

        with client_of(Api(workspace, max_window_days=30)) as client:
            assert search(client, wide(30 * 24)) == []
            for bad in (
                wide(30 * 24 + 1),
                updated("time_is_after", "2026-05-01T00:00:00Z"),
                updated("time_is_before", "2026-07-01T00:00:00Z"),
            ):
                answer = client.post("/issues/search", json={"filter": bad})
                assert answer.status_code == 400
                assert "range" in answer.json()["errors"][0]
            assert search(client) == []

    def test_search_lags_behind(self, workspace: Workspace, clock: Clock) -> None:
        with client_of(Api(workspace, search_lag=3)) as client:
            issue = workspace.open_issue(title="A", body_html="")
            assert search(client) == []
            assert client.get(f"/issues/{issue}").status_code == 200
            clock.now += 3
            assert search(client) == ["A"]
            clock.now += HOUR
            workspace.change_issue(issue, title="B")
            late = updated("time_is_after", "2026-07-01T00:30:00Z")
            assert search(client, late) == []
            assert search(client, updated("time_is_before", "2026-07-01T00:30:00Z")) == ["B"]
            clock.now += 3
            assert search(client, late) == ["B"]


class TestAllowances:
    def test_each_endpoint_has_its_own(self, workspace: Workspace, clock: Clock) -> None:
        api = Api(workspace)
        opened(workspace)
        clock.now += 12.25
        with client_of(api) as client:
            for left in range(119, -1, -1):
                answer = client.post("/issues/search")
                assert answer.status_code == 200
                assert answer.headers["X-Rate-Limit-Remaining"] == str(left)
            refused = client.post("/issues/search")
            assert refused.status_code == 429
            assert refused.json()["code"] == "rate_limited"
            assert refused.json()["errors"]
            assert refused.json()["request_id"]
            assert refused.headers["X-Retry-After"] == "48"
            assert refused.headers["X-Rate-Limit-Remaining"] == "0"
            assert client.get("/issues/1").headers["X-Rate-Limit-Remaining"] == "299"
            assert (api.count(), api.refused) == (121, 1)
            clock.now += 47.75
            assert client.post("/issues/search").status_code == 200

    @pytest.mark.parametrize(
        ("allowance", "path", "left"),
        [
            ("2026", "/users", "299"),
            ("2025", "/users", "59"),
            ("2025", "/issue-statuses", "9"),
            ("2025", "/issues/1/messages", "19"),
            ("2026", "/issues/1/threads", "119"),
            (5, "/issues/1/messages", "4"),
        ],
    )
    def test_tables(self, workspace: Workspace, allowance: str | int, path: str, left: str) -> None:
        opened(workspace)
        with client_of(Api(workspace, allowance=allowance)) as client:
            assert client.get(path).headers["X-Rate-Limit-Remaining"] == left

    def test_the_id_in_a_path_makes_no_endpoint(self, workspace: Workspace) -> None:
        opened(workspace, 2)
        with client_of(Api(workspace, allowance=1)) as client:
            assert client.get("/issues/1/messages").status_code == 200
            assert client.get("/issues/2/messages").status_code == 429

    def test_the_minute_can_be_short(self, workspace: Workspace, clock: Clock) -> None:
        with client_of(Api(workspace, allowance=1, minute=0.5)) as client:
            assert client.get("/me").status_code == 200
            assert client.get("/me").headers["X-Retry-After"] == "1"
            clock.now += 0.5
            assert client.get("/me").status_code == 200

    def test_none(self, client: httpx.Client) -> None:
        assert "X-Rate-Limit-Remaining" not in client.get("/me").headers

    def test_unknown(self, workspace: Workspace) -> None:
        with pytest.raises(ValueError, match="unknown allowance"):
            Api(workspace, allowance="2024")


class TestAnswers:
    def test_headers(self, either: httpx.Client, clock: Clock) -> None:
        answer = either.get("/users")
        assert answer.headers["Date"] == "Wed, 01 Jul 2026 00:00:00 GMT"
        assert answer.headers["Content-Type"] == "application/json"
        clock.now += 61
        assert either.get("/x").headers["Date"] == "Wed, 01 Jul 2026 00:01:01 GMT"

    def test_request_ids_differ(self, client: httpx.Client) -> None:
        assert client.get("/me").json()["request_id"] != client.get("/me").json()["request_id"]

    def test_the_log(self, api: Api, client: httpx.Client) -> None:
        client.get("/users", params={"include_deactivated": "true"})
        client.post("/issues/search", json={"limit": 1})
        client.get("/nothing")
        assert [(entry.status, entry.body) for entry in api.log] == [
            (200, None),
            (200, {"limit": 1}),
            (404, None),
        ]
        assert api.log[0].query == {"include_deactivated": "true"}
        assert api.count("GET /.*") == 2
        assert api.count("POST /issues/search") == 1
        assert api.count("GET /issues") == 0

    def test_the_log_can_be_off(self, workspace: Workspace) -> None:
        api = Api(workspace, log=False)
        with client_of(api) as client:
            client.get("/users")
        assert api.log == []
        assert api.count("GET /users") == 1

    def test_both_transports_give_the_same(
        self, workspace: Workspace, either: httpx.Client
    ) -> None:
        workspace.add("accounts", name="Zoë & Søn")
        accounts = either.get("/accounts", params={"limit": 10}).json()["data"]
        assert accounts == workspace.records("accounts")

    def test_connections_are_kept(self, api: Api) -> None:
        with Server(api) as server, httpx.Client(base_url=server.url, headers=AUTHORIZED) as client:
            streams = {id(client.get("/me").extensions["network_stream"]) for _ in range(5)}
        assert len(streams) == 1


STATUSES = {
    "429": 429, "429-no-header": 429, "429-remaining": 429, "429-retry-after-date": 429,
    "500": 500, "502-html": 502, "503": 503, "400": 400, "401": 401, "403": 403, "404": 404,
    "408": 408, "409": 409, "410": 410, "422": 422, "html": 200, "redirect": 302, "custom": 200,
}  # fmt: skip
BODIES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "errors-on-200": lambda body: "errors" in body and "data" not in body,
    "data-null": lambda body: body["data"] is None,
    "no-data": lambda body: set(body) == {"request_id"},
    "data-object": lambda body: isinstance(body["data"], dict),
    "data-text": lambda body: isinstance(body["data"], str),
    "odd-key": lambda body: isinstance(body["data"][0]["id"], dict),
    "no-key": lambda body: "id" not in body["data"][0] and "id" in body["data"][1],
    "not-an-object": lambda body: isinstance(body["data"][0], str) and len(body["data"]) == 2,
    "no-pagination": lambda body: "pagination" not in body,
    "repeat-cursor": lambda body: body["pagination"]["has_next_page"],
    "next-without-data": lambda body: "data" not in body and body["pagination"]["cursor"] != "",
    "extra-field": lambda body: all("added_lately" in record for record in body["data"]),
    "stale-page": lambda body: len(body["data"]) == 2,
}
BROKEN: dict[str, type[httpx.TransportError]] = {
    "reset": httpx.ReadError,
    "timeout": httpx.ReadTimeout,
    "refused-connection": httpx.ConnectError,
    "dns-failure": httpx.ConnectError,
    "tls-failure": httpx.ConnectError,
    "half-body": httpx.RemoteProtocolError,
}
SEARCH = "/issues/search"


class TestFaults:
    @pytest.fixture(autouse=True)
    def issues(self, workspace: Workspace) -> list[str]:
        return opened(workspace, 2)

    def test_every_fault_is_tested(self) -> None:
        assert {*STATUSES, *BODIES, *BROKEN, "torn", "refused-cursor", "wrong-date"} == FAULTS

    @pytest.mark.parametrize("fault", STATUSES)
    def test_statuses(self, api: Api, either: httpx.Client, fault: str) -> None:
        api.misbehave(fault)
        answer = either.post(SEARCH)
        assert answer.status_code == STATUSES[fault]
        assert answer.headers["Date"]
        assert either.post(SEARCH).json()["data"]

    @pytest.mark.parametrize("fault", BODIES)
    def test_bodies(self, api: Api, either: httpx.Client, fault: str) -> None:
        api.misbehave(fault)
        opened(api.workspace, 1 if fault == "stale-page" else 0)
        body = either.post(SEARCH).json()
        assert BODIES[fault](body)
        assert body["request_id"]
        assert not BODIES[fault](either.post(SEARCH).json())

    @pytest.mark.parametrize("fault", BROKEN)
    def test_broken_connections(self, api: Api, either: httpx.Client, fault: str) -> None:
        in_process = isinstance(either._transport, SandboxTransport)
        api.misbehave(fault, seconds=0.0)
        with pytest.raises(BROKEN[fault] if in_process else httpx.TransportError):
            either.post(SEARCH)
        assert either.post(SEARCH).status_code == 200
        assert [entry.status for entry in api.log] == [0, 200]

    def test_a_hanging_server_is_given_up_on(self, api: Api) -> None:
        api.misbehave("timeout")
        with Server(api) as server, httpx.Client(base_url=server.url, headers=AUTHORIZED) as client:
            with pytest.raises(httpx.ReadTimeout):
                client.get("/me", timeout=0.05)
            assert client.get("/me").status_code == 200

    def test_torn(self, api: Api, either: httpx.Client) -> None:
        api.misbehave("torn")
        with pytest.raises(json.JSONDecodeError):
            either.post(SEARCH).json()

    @pytest.mark.parametrize("seconds", [-3600, 3600])
    def test_a_wrong_date(self, api: Api, clock: Clock, client: httpx.Client, seconds: int) -> None:
        api.misbehave("wrong-date", seconds=seconds)
        wrong, right = (client.get("/me").headers["Date"] for _ in range(2))
        told = parsedate_to_datetime(wrong) - parsedate_to_datetime(right)
        assert told.total_seconds() == seconds

    def test_a_429_that_only_says_that_nothing_is_left(
        self, api: Api, client: httpx.Client
    ) -> None:
        api.misbehave("429-remaining")
        headers = client.get("/me").headers
        assert headers["X-Rate-Limit-Remaining"] == "0"
        assert not {"retry-after", "x-retry-after"} & {*headers}

    def test_waiting_headers(self, api: Api, client: httpx.Client) -> None:
        for fault in ("429", "429-no-header", "429-retry-after-date", "503"):
            api.misbehave(fault, retry_after=7)
        kinds = [client.get("/me").headers for _ in range(4)]
        assert [headers.get("X-Retry-After") for headers in kinds] == ["7", None, None, None]
        assert [headers.get("Retry-After") for headers in kinds] == [
            None,
            None,
            "Wed, 01 Jul 2026 00:00:07 GMT",
            "7",
        ]
        assert api.refused == 3

    def test_refused_cursor_meets_only_requests_that_bring_one(
        self, api: Api, client: httpx.Client
    ) -> None:
        api.misbehave("refused-cursor")
        cursor = client.post(SEARCH, json={"limit": 1}).json()["pagination"]["cursor"]
        answer = client.post(SEARCH, json={"limit": 1, "cursor": cursor})
        assert answer.status_code == 400
        assert client.post(SEARCH, json={"limit": 1, "cursor": cursor}).status_code == 200

    def test_the_same_cursor_for_ever(self, api: Api, client: httpx.Client) -> None:
        api.misbehave("repeat-cursor", times=-1)
        cursors = [""]
        for _ in range(4):
            body = client.post(SEARCH, json={"limit": 1, "cursor": cursors[-1]}).json()
            cursors.append(body["pagination"]["cursor"])
        assert len(set(cursors[1:])) == 1

    def test_a_stale_page_has_the_date_of_its_time(
        self, api: Api, clock: Clock, client: httpx.Client
    ) -> None:
        api.misbehave("stale-page", times=2)
        clock.now += 60
        api.workspace.delete_issue(client.post(SEARCH).json()["data"][0]["id"])
        answer = client.post(SEARCH)
        assert answer.headers["Date"] == "Wed, 01 Jul 2026 00:00:00 GMT"
        assert len(answer.json()["data"]) == 2
        assert len(client.post(SEARCH).json()["data"]) == 1

    def test_whom_and_when(self, api: Api, client: httpx.Client) -> None:
        api.misbehave("500", "/issues/[^/]+", times=2, after=1, method="GET")
        paths = ["/issues/1", "/users", "/issues/1", "/issues/2", "/issues/1/threads", "/issues/1"]
        assert [client.get(path).status_code for path in paths] == [200, 200, 500, 500, 200, 200]
        assert api.met == {"500": 2}

    def test_for_ever_until_taken_back(self, api: Api, client: httpx.Client) -> None:
        api.misbehave("500", times=-1)
        assert {client.get("/me").status_code for _ in range(10)} == {500}
        api.behave()
        assert client.get("/me").status_code == 200

    def test_custom(self, api: Api, either: httpx.Client) -> None:
        api.misbehave("custom", status=418, body={"tea": True}, headers={"X-Pot": "short"})
        answer = either.get("/me")
        assert answer.status_code == 418
        assert answer.json() == {"tea": True}
        assert answer.headers["X-Pot"] == "short"

    def test_a_followed_redirect_is_noticed(self, api: Api, client: httpx.Client) -> None:
        api.misbehave("redirect")
        with pytest.raises(httpx.ConnectError):
            client.get("/me", follow_redirects=True)
        assert api.strays == [f"https://{ELSEWHERE}/"]

    def test_unknown(self, api: Api) -> None:
        with pytest.raises(ValueError, match="unknown fault"):
            api.misbehave("tsunami")


def test_changes_while_it_is_served(workspace: Workspace, api: Api) -> None:
    """A writer and several readers: every page is whole, and nothing of it appears twice."""
    issues = opened(workspace, 50)

    def change() -> None:
        for n in range(150):
            workspace.reply(issues[n % 50], html=str(n), author_name="bot", at=NOW + n)
            opened(workspace, at=NOW + n)

    def read_on(client: httpx.Client) -> None:
        for _ in range(5):
            ids = walk(client, lambda pages: None, limit=20)
            assert len(ids) == len(set(ids))
            assert set(issues) <= set(ids)

    with (
        Server(api) as server,
        httpx.Client(base_url=server.url, headers=AUTHORIZED) as http,
        client_of(api) as local,
        ThreadPoolExecutor(4) as pool,
    ):
        changing = pool.submit(change)
        list(pool.map(read_on, (http, http, local)))
        changing.result()
    assert len(workspace.records("issues")) == 200


def test_nothing_private_leaks(workspace: Workspace, client: httpx.Client) -> None:
    """No stored name that is not a payload's, and no milliseconds."""
    user, account = workspace.add("users"), workspace.add("accounts")
    issue = workspace.open_issue(title="A", body_html="B", account=account, at=NOW + 0.123)
    workspace.reply(issue, html="C", author=user, private=True, at=NOW + 0.456)
    workspace.deactivate_user(user)
    private = {
        "key", "stream", "created", "updated", "fields", "parent", "deactivated", "state_since",
        "seconds_in", "business_seconds_in", "latest_message", "touches", "active", "csat",
        "children", "messages", "threads", "updates", "at", "html", "private", "issue",
    }  # fmt: skip
    paths = ("/accounts?limit=9", "/users?include_deactivated=true", "/issues/1")
    answers = [client.get(path) for path in (*paths, "/issues/1/messages", "/issues/1/threads")]
    for text in (answer.text for answer in answers):
        assert not private & set(names(json.loads(text)["data"]))
        assert ".123" not in text
        assert ".456" not in text


def names(value: Any) -> Iterator[str]:
    """Every key of a JSON value, however deep."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from names(item)
