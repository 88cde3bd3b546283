"""The sandbox beyond the support desk: calls, surveys, projects, wishes, records and files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from test_sandbox import AUTHORIZED, DAY, HOUR, NOW, Clock, client_of, names

from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.defaults import DEFAULTS, TIMES
from pylon_to_sqlite.sandbox.files import FILES_HOST
from pylon_to_sqlite.sandbox.further_defaults import FURTHER, PARENTS
from pylon_to_sqlite.sandbox.server import SandboxTransport, Server
from pylon_to_sqlite.sandbox.workspace import Workspace

Add = Callable[..., str]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workspace(clock: Clock) -> Workspace:
    return Workspace(clock)


@pytest.fixture
def api(workspace: Workspace) -> Api:
    return Api(workspace, allowance=None)


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with client_of(api) as client:
        yield client


def issue_of(workspace: Workspace, **fields: Any) -> str:
    return workspace.open_issue(**{"title": "Help", "body_html": "<p>Hi</p>", **fields})


def parent_of(workspace: Workspace, stream: str) -> str:
    """A new record of the stream that records of another belong to."""
    parents = PARENTS[stream]
    if parents == "issues":
        return issue_of(workspace)
    return "companies" if parents == "custom_object_types" else workspace.add(parents)


def adding(workspace: Workspace, stream: str, parent: str = "") -> Add:
    """How records are added to a stream, all of them to one parent."""
    if stream not in PARENTS:
        return lambda **fields: workspace.add(stream, **fields)
    owner = parent or parent_of(workspace, stream)
    if stream == "issue_followers":
        return lambda **fields: workspace.add_follower(owner, workspace.add("users"), **fields)
    if stream == "account_relationships":
        other = workspace.add("accounts")
        return lambda **fields: workspace.add_relationship(owner, other, **fields)
    method = {
        "articles": workspace.add_article,
        "collections": workspace.add_collection,
        "survey_responses": workspace.add_survey_response,
        "task_comments": workspace.add_task_comment,
        "issue_voice_calls": workspace.add_voice_call,
        "custom_objects": workspace.add_custom_object,
    }[stream]
    return lambda **fields: method(owner, **fields)


def post(client: httpx.Client, path: str, filter: Any = None, **body: Any) -> list[dict[str, Any]]:
    """One page of a search."""
    answer = client.post(f"/{path}/search", json={"filter": filter, **body})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [record["id"] for record in records]


class TestWorkspace:
    @pytest.mark.parametrize("stream", FURTHER)
    def test_records_come_change_go_and_come_back(
        self, workspace: Workspace, clock: Clock, stream: str
    ) -> None:
        add = adding(workspace, stream)
        key, other = add(), add()
        before = {record["id"]: record for record in workspace.records(stream)}
        assert len(before) == 2
        clock.now += HOUR
        workspace.change(stream, key, link="https://changed.example")
        after = {record["id"]: record for record in workspace.records(stream)}
        (changed,) = (one for one in after if after[one] != before[one])
        assert after[changed]["link"] == "https://changed.example"
        if "updated_at" in TIMES.get(stream, ()):
            assert after[changed]["updated_at"] == "2026-07-01T01:00:00Z"
        assert after[changed].get("created_at") == before[changed].get("created_at")
        workspace.remove(stream, key)
        assert set(ids(workspace.records(stream))) == set(before) - {changed}
        workspace.restore(stream, key)
        assert {record["id"]: record for record in workspace.records(stream)} == after
        workspace.remove(stream, other)
        assert ids(workspace.records(stream)) == [changed]

    @pytest.mark.parametrize("stream", FURTHER)
    def test_many_can_be_made_up(self, workspace: Workspace, stream: str) -> None:
        add = adding(workspace, stream)
        for _ in range(20):
            add()
        assert len({*ids(workspace.records(stream))}) == 20

    @pytest.mark.parametrize("stream", [one for one in PARENTS if one != "custom_objects"])
    def test_what_belongs_to_a_record_vanishes_with_it(
        self, workspace: Workspace, stream: str
    ) -> None:
        owner = parent_of(workspace, stream)
        key = adding(workspace, stream, owner)()
        before = workspace.records(stream)
        assert workspace.belonging(stream, owner) == before
        if PARENTS[stream] == "issues":
            workspace.delete_issue(owner)
        else:
            workspace.remove(PARENTS[stream], owner)
        assert workspace.records(stream) == []
        if PARENTS[stream] == "issues":
            workspace.restore_issue(owner)
        else:
            workspace.restore(PARENTS[stream], owner)
        assert workspace.records(stream) == before
        workspace.remove(stream, key)
        assert workspace.belonging(stream, owner) == []

    def test_records_with_a_parent_are_added_to_it(self, workspace: Workspace) -> None:
        for stream, parents in PARENTS.items():
            with pytest.raises(ValueError, match=f"belong to {parents}: use add_"):
                workspace.add(stream)
        with pytest.raises(KeyError):
            workspace.add_survey_response("nothing")

    def test_subtasks_are_found_from_above(self, workspace: Workspace) -> None:
        above, other = workspace.add("tasks"), workspace.add("tasks")
        below = workspace.add("tasks", parent_task_id=above)

        def subtasks(key: str) -> Any:
            (task,) = (one for one in workspace.records("tasks") if one["id"] == key)
            return task.get("subtask_ids") or []

        assert subtasks(above) == [below]
        workspace.change("tasks", below, parent_task_id=other)
        assert (subtasks(above), subtasks(other)) == ([], [below])
        workspace.remove("tasks", below)
        assert subtasks(other) == []
        workspace.restore("tasks", below)
        assert subtasks(other) == [below]

    def test_somebody_is_given_on_their_side(self, workspace: Workspace) -> None:
        user = workspace.add("users", email="ada@northwind.example")
        contact = workspace.add("contacts", email="bo@customers.example")
        task = workspace.add("tasks", assignee=user)
        workspace.add_task_comment(task, author=contact)
        assignee = workspace.records("tasks")[0]["assignee"]
        assert assignee["user"] == {"id": user, "email": "ada@northwind.example"}
        assert not assignee.get("contact")
        author = workspace.records("task_comments")[0]["author"]
        assert author["contact"] == {"id": contact, "email": "bo@customers.example"}
        assert not author.get("user")

    def test_references_are_given_in_their_short_form(self, workspace: Workspace) -> None:
        account = workspace.add("accounts", external_ids=[])
        project = workspace.add("projects", account=account)
        milestone = workspace.add("milestones", project=project, account=account)
        task = workspace.add("tasks", project=project, milestone=milestone, account=account)
        workspace.add_task_comment(task)
        short = {"id": account, "external_ids": None}
        for stream in ("projects", "milestones", "tasks"):
            assert workspace.records(stream)[0]["account"] == short
        (payload,) = workspace.records("tasks")
        assert (payload["project"], payload["milestone"]) == ({"id": project}, {"id": milestone})
        assert workspace.records("task_comments")[0]["task_id"] == task

    def test_comments_move_their_task_unless_they_are_quiet(
        self, workspace: Workspace, clock: Clock
    ) -> None:
        task = workspace.add("tasks")

        def updated() -> str:
            return str(workspace.records("tasks")[0]["updated_at"])[11:16]

        clock.now += HOUR
        comment = workspace.add_task_comment(task)
        assert updated() == "01:00"
        clock.now += HOUR
        workspace.add_task_comment(task, touch=False)
        workspace.change_task_comment(comment, body_html="<p>Better</p>")
        assert updated() == "01:00"
        edited, _ = workspace.records("task_comments")
        assert edited["last_edited_at"] == edited["updated_at"] == "2026-07-01T02:00:00Z"

    def test_followers_and_calls_move_their_issue_unless_they_are_quiet(
        self, workspace: Workspace, clock: Clock
    ) -> None:
        issue, users = issue_of(workspace), [workspace.add("users") for _ in range(2)]
        clock.now += HOUR
        workspace.add_follower(issue, users[0])
        workspace.add_voice_call(issue)
        assert workspace.records("issues")[0]["updated_at"] == "2026-07-01T01:00:00Z"
        clock.now += HOUR
        workspace.add_follower(issue, users[1], touch=False)
        workspace.add_voice_call(issue, touch=False)
        assert workspace.records("issues")[0]["updated_at"] == "2026-07-01T01:00:00Z"

    def test_nobody_follows_an_issue_twice(self, workspace: Workspace) -> None:
        into, other = issue_of(workspace), issue_of(workspace)
        both, one = workspace.add("users"), workspace.add("contacts")
        for issue, person in ((into, both), (into, both), (other, both), (other, one)):
            workspace.add_follower(issue, person)
        call = workspace.add_voice_call(other)
        workspace.merge_issues(into, other)
        followers = workspace.belonging("issue_followers", into)
        assert {(who["id"], who["type"]) for who in followers} == {
            (both, "user"),
            (one, "contact"),
        }
        assert ids(workspace.belonging("issue_voice_calls", into)) == [call]
        assert len(workspace.records("issue_followers")) == 2

    def test_copies_have_their_own(self, workspace: Workspace) -> None:
        workspace.add_custom_object("companies")
        twin = workspace.snapshot()
        workspace.add_custom_object("companies")
        workspace.define_custom_object("boats")
        assert len(twin.belonging("custom_objects", "companies")) == 1
        assert twin.resolved("custom_object_types", "boats") is None

    def test_merged_accounts_are_still_named(self, workspace: Workspace) -> None:
        kept, merged = workspace.add("accounts"), workspace.add("accounts")
        workspace.add("projects", account=merged)
        workspace.add_relationship(merged, kept)
        workspace.merge_accounts(kept, [merged])
        assert workspace.records("projects")[0]["account"]["id"] == merged
        assert workspace.records("account_relationships") == []


CHILDREN = {
    "collections": "/knowledge-bases/{}/collections",
    "issue_followers": "/issues/{}/followers",
    "issue_voice_calls": "/issues/{}/voice-calls",
    "task_comments": "/tasks/{}/comments",
    "account_relationships": "/accounts/{}/relationships",
}
PAGES = {
    "call_recordings": ("POST", "/call-recordings/search", 1000),
    "survey_responses": ("GET", "/surveys/{}/responses", 999),
    "projects": ("POST", "/projects/search", 999),
    "milestones": ("POST", "/milestones/search", 999),
    "tasks": ("POST", "/tasks/search", 999),
    "audit_logs": ("POST", "/audit-logs/search", 999),
    "custom_objects": ("GET", "/custom-objects/{}", 100),
}
LISTED = {"tasks": ("GET", "/tasks", 999), "audit_logs": ("GET", "/audit-logs", 999)}


class TestRoutes:
    @pytest.mark.parametrize("stream", ["surveys", "macros", "macro_groups", "training_data"])
    def test_lists(self, workspace: Workspace, client: httpx.Client, stream: str) -> None:
        path = "/" + stream.replace("_", "-")
        assert client.get(path).json()["data"] == []
        for _ in range(3):
            workspace.add(stream)
        answer = client.get(path).json()
        assert answer["data"] == workspace.records(stream)
        assert "pagination" not in answer

    @pytest.mark.parametrize("stream", CHILDREN)
    def test_children(self, workspace: Workspace, client: httpx.Client, stream: str) -> None:
        owner = parent_of(workspace, stream)
        path = CHILDREN[stream].format(owner)
        assert client.get(path).json()["data"] is None
        add = adding(workspace, stream, owner)
        for n in (2, 1, 3):
            add(at=NOW - n * HOUR)
        adding(workspace, stream)()  # of another
        answer = client.get(path).json()
        assert answer["data"] == workspace.belonging(stream, owner)
        assert len(answer["data"]) == 3
        assert "pagination" not in answer
        created = [one.get("created_at", "") for one in answer["data"]]
        assert created == sorted(created)
        assert client.get(CHILDREN[stream].format("nothing")).status_code == 404

    def test_children_of_issues_by_number_and_none_of_those_that_are_gone(
        self, workspace: Workspace, client: httpx.Client
    ) -> None:
        issue = issue_of(workspace)
        workspace.add_follower(issue, workspace.add("contacts"))
        workspace.add_voice_call(issue)
        for path in ("followers", "voice-calls"):
            assert len(client.get(f"/issues/1/{path}").json()["data"]) == 1
        workspace.delete_issue(issue)
        for path in ("followers", "voice-calls"):
            for key in (issue, "1"):
                answer = client.get(f"/issues/{key}/{path}")
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    @pytest.mark.parametrize(
        ("stream", "where"), [*PAGES.items(), *LISTED.items()], ids=lambda one: str(one)
    )
    def test_pages(
        self,
        workspace: Workspace,
        client: httpx.Client,
        stream: str,
        where: tuple[str, str, int],
    ) -> None:
        """From the newest back, none twice and none left out, whatever goes in between."""
        method, template, most = where
        owner = parent_of(workspace, stream) if stream in PARENTS else ""
        path, add = template.format(owner), adding(workspace, stream, owner)
        keys = [add(at=NOW - n) for n in range(7)]

        def page(**asked: Any) -> dict[str, Any]:
            given: Any = {"params": asked} if method == "GET" else {"json": asked}
            answer = client.request(method, path, **given)
            assert answer.status_code == 200, answer.text
            body: dict[str, Any] = answer.json()
            return body

        first = page(limit=3)
        assert ids(first["data"]) == keys[:3]
        assert first["pagination"]["has_next_page"]
        workspace.remove(stream, keys[2])  # the one the cursor stands on
        workspace.remove(stream, keys[4])
        add(at=NOW + 1)
        rest = page(limit=3, cursor=first["pagination"]["cursor"])
        assert ids(rest["data"]) == [keys[3], *keys[5:]]
        assert rest["pagination"] == {"cursor": "", "has_next_page": False}
        assert page()["data"] == workspace.records(stream)
        assert page(limit=most)["data"] == workspace.records(stream)
        for wrong in ({"limit": 0}, {"limit": most + 1}, {"cursor": "nonsense"}):
            given: Any = {"params": wrong} if method == "GET" else {"json": wrong}
            assert client.request(method, path, **given).status_code == 400

    def test_macros_of_a_group(self, workspace: Workspace, client: httpx.Client) -> None:
        group = workspace.add("macro_groups")
        macro = workspace.add("macros", macro_group_id=group)
        workspace.add("macros")
        assert len(client.get("/macros").json()["data"]) == 2
        answer = client.get("/macros", params={"macro_group_id": group})
        assert ids(answer.json()["data"]) == [macro]

    def test_custom_objects_are_25_a_page(self, workspace: Workspace, client: httpx.Client) -> None:
        for n in range(26):
            workspace.add_custom_object("companies", name=str(n), at=NOW + n)
        workspace.add_custom_object("boats")
        first = client.get("/custom-objects/companies").json()
        assert len(first["data"]) == 25
        assert {one["type"] for one in first["data"]} == {"companies"}
        assert first["pagination"]["has_next_page"]
        assert client.get("/custom-objects/planes").status_code == 404
        workspace.define_custom_object("planes")
        nothing = client.get("/custom-objects/planes").json()
        assert nothing["data"] == []
        assert not nothing["pagination"]["has_next_page"]

    def test_responses_by_time_and_by_whom(
        self, workspace: Workspace, client: httpx.Client
    ) -> None:
        survey, other = workspace.add("surveys"), workspace.add("surveys")
        account, contact = workspace.add("accounts"), workspace.add("contacts")
        about = {"account_id": account, "contact_id": contact}
        keys = [workspace.add_survey_response(survey, at=NOW + n * HOUR, **about) for n in range(4)]
        blank = workspace.add_survey_response(survey, at=NOW + 4 * HOUR)
        workspace.add_survey_response(other)
        start, end = "2026-07-01T01:00:00Z", "2026-07-01T03:00:00Z"

        def found(of: httpx.Client, **asked: str) -> list[str]:
            return ids(of.get(f"/surveys/{survey}/responses", params=asked).json()["data"])

        assert found(client, submitted_after=start) == [blank, keys[3], keys[2]]
        assert found(client, submitted_before=end) == [keys[2], keys[1], keys[0]]
        both = {"submitted_after": start, "submitted_before": end}
        assert found(client, **both) == [keys[2]]
        with client_of(Api(workspace, inclusive=True)) as inclusive:
            assert found(inclusive, **both) == [keys[3], keys[2], keys[1]]
        assert found(client, account_id=account) == found(client, contact_id=contact) == keys[::-1]
        assert found(client, account_id="nobody") == []
        bad = client.get(f"/surveys/{survey}/responses", params={"submitted_after": "yesterday"})
        assert bad.status_code == 400
        assert client.get("/surveys/nothing/responses").status_code == 404

    def test_feature_requests_end_at_the_limit_without_a_word(
        self, workspace: Workspace, client: httpx.Client
    ) -> None:
        keys = [workspace.add("feature_requests", at=NOW - n) for n in range(102)]
        answer = client.post("/feature-requests/search").json()
        assert set(answer) == {"data", "request_id"}
        assert ids(answer["data"]) == keys[:100]
        assert len(post(client, "feature-requests", limit=1000)) == 102
        assert ids(post(client, "feature-requests", limit=2, cursor="ignored")) == keys[:2]
        for limit in (0, 1001, "10"):
            answer = client.post("/feature-requests/search", json={"limit": limit})
            assert answer.status_code == 400

    def test_feature_requests_by_text_status_and_account(
        self, workspace: Workspace, client: httpx.Client
    ) -> None:
        first, second = workspace.add("accounts"), workspace.add("accounts")
        dark = workspace.add(
            "feature_requests", title="Dark mode", request_status="new", account_ids=[first]
        )
        light = workspace.add(
            "feature_requests", title="Bright mode", request_status="closed", description="As ads",
            account_ids=[first, second], at=NOW - 1,
        )  # fmt: skip
        for asked, found in (
            ({"query": "MODE"}, [dark, light]),
            ({"query": "ads"}, [light]),
            ({"request_statuses": ["closed", "x"]}, [light]),
            ({"account_ids": [second]}, [light]),
            ({"account_ids": [first, second]}, [dark, light]),
            ({"account_ids": ["x"]}, []),
            ({"account_ids": [], "request_statuses": None}, [dark, light]),
        ):
            assert ids(post(client, "feature-requests", **asked)) == found, asked
        answer = client.post("/feature-requests/search", json={"account_ids": first})
        assert answer.status_code == 400

    def test_object_types_of_custom_fields(self, workspace: Workspace) -> None:
        known = (
            "account", "issue", "contact", "task", "project", "call_recording", "meeting",
            "opportunity",
        )  # fmt: skip
        for api, there in (
            (Api(workspace), known),
            (Api(workspace, object_types=["issue", "account"]), ("issue", "account")),
        ):
            with client_of(api) as client:
                for kind in known:
                    status = client.get(f"/custom-fields?object_type={kind}").status_code
                    assert status == (200 if kind in there else 400), kind

    @pytest.mark.parametrize(
        ("path", "now", "before"),
        [
            ("GET /tasks", 300, 60),
            ("GET /issues/1/followers", 300, 60),
            ("GET /issues/1/voice-calls", 300, 20),
            ("GET /custom-objects/x", 300, 60),
            ("GET /knowledge-bases/x/collections", 300, 20),
            ("POST /feature-requests/search", 120, 20),
            ("POST /milestones/search", 120, 20),
            ("POST /audit-logs/search", 120, 10),
        ],
    )
    def test_allowances(self, workspace: Workspace, path: str, now: int, before: int) -> None:
        for era, allowance in (("2026", now), ("2025", before)):
            with client_of(Api(workspace, allowance=era)) as client:
                answer = client.request(*path.split(" "))
                assert answer.headers["X-Rate-Limit-Remaining"] == str(allowance - 1)

    def test_nothing_private_leaks(self, workspace: Workspace) -> None:
        private = {
            "key", "stream", "created", "updated", "fields", "parent", "deactivated", "updates",
        }  # fmt: skip
        for stream in FURTHER:
            adding(workspace, stream)(at=NOW + 0.123)
            (payload, *_) = workspace.records(stream)
            assert not private & set(names(payload)), stream
            assert ".123" not in str(payload)
        assert "status" not in workspace.records("projects")[0]

    def test_payloads_share_nothing_with_the_workspace(self, workspace: Workspace) -> None:
        for stream in FURTHER:
            adding(workspace, stream)()
            before = repr(workspace.records(stream))
            for value in workspace.records(stream)[0].values():
                if isinstance(value, dict | list):
                    value.clear()
            assert repr(workspace.records(stream)) == before


SPAN = {"operator": "time_range", "values": ["2026-07-01T01:00:00Z", "2026-07-01T03:00:00Z"]}


class TestSearches:
    @pytest.mark.parametrize("path", ["projects", "tasks"])
    def test_windows_of_updated_at(
        self, workspace: Workspace, client: httpx.Client, path: str
    ) -> None:
        keys = [workspace.add(path, at=NOW + n * HOUR) for n in range(5)]
        workspace.change(path, keys[0], at=NOW + 2.5 * HOUR)
        window = {"field": "updated_at", **SPAN}
        after, before = (
            {"field": "updated_at", "operator": operator, "value": value}
            for operator, value in zip(
                ("time_is_after", "time_is_before"), SPAN["values"], strict=True
            )
        )
        assert ids(post(client, path, window)) == [keys[2], keys[0]]
        both = {"operator": "and", "subfilters": [after, before]}
        assert ids(post(client, path, both)) == [keys[2], keys[0]]
        created = {"field": "created_at", **SPAN}
        assert ids(post(client, path, created)) == [keys[2]]
        with client_of(Api(workspace, inclusive=True)) as inclusive:
            found = ids(post(inclusive, path, window))
            assert found == [keys[3], keys[2], keys[1], keys[0]]
        with client_of(Api(workspace, max_window_days=0.05)) as capped:
            answer = capped.post(f"/{path}/search", json={"filter": window})
            assert answer.status_code == 400
            assert "range" in answer.json()["errors"][0]
            assert len(post(capped, path, created)) == 1

    @pytest.mark.parametrize("path", ["projects", "tasks"])
    def test_they_lag_behind(self, workspace: Workspace, clock: Clock, path: str) -> None:
        late = {"field": "updated_at", "operator": "time_is_after", "value": SPAN["values"][0]}
        with client_of(Api(workspace, search_lag=3)) as client:
            key = workspace.add(path)
            assert post(client, path) == []
            clock.now += 3
            assert ids(post(client, path)) == [key]
            clock.now += 2 * HOUR
            workspace.change(path, key, customer_portal_visible=True)
            assert post(client, path, late) == []
            assert len(post(client, path)) == 1
            clock.now += 3
            assert ids(post(client, path, late)) == [key]

    @pytest.mark.parametrize("path", ["call-recordings", "milestones", "audit-logs"])
    def test_the_others_lag_too(self, workspace: Workspace, clock: Clock, path: str) -> None:
        with client_of(Api(workspace, search_lag=3)) as client:
            workspace.add(path.replace("-", "_"))
            assert post(client, path) == []
            clock.now += 3
            assert len(post(client, path)) == 1

    def test_an_action_may_be_logged_later(self, workspace: Workspace, clock: Clock) -> None:
        key = workspace.add("audit_logs", action_happened_at=NOW - HOUR)
        window = {"field": "action_happened_at", "operator": "time_is_before"}
        with client_of(Api(workspace, search_lag=3)) as client:
            early = {**window, "value": "2026-06-30T23:30:00Z"}
            assert post(client, "audit-logs", early) == []
            clock.now += 3
            (entry,) = post(client, "audit-logs", early)
            assert entry["id"] == key
            assert entry["created_at"] == "2026-07-01T00:00:00Z"
            assert entry["action_happened_at"] == "2026-06-30T23:00:00Z"

    @pytest.mark.parametrize(
        ("path", "field", "operator", "value"),
        [
            ("call-recordings", "account_id", "equals", "mine"),
            ("call-recordings", "account_id", "is_set", None),
            ("call-recordings", "account_id", "in", ["mine", "x"]),
            ("call-recordings", "source", "not_in", ["gong", "other"]),
            ("call-recordings", "title", "string_contains", "NE ca"),
            ("call-recordings", "title", "equals", "Mine call"),
            ("call-recordings", "start_time", "time_is_after", "2026-06-30T23:00:00Z"),
            ("projects", "account_id", "equals", "mine"),
            ("projects", "status", "equals", "completed"),
            ("projects", "owner_id", "in", ["mine"]),
            ("projects", "is_archived", "equals", "true"),
            ("projects", "plan", "equals", "gold"),
            ("tasks", "account_id", "is_set", None),
            ("tasks", "project_id", "equals", "mine"),
            ("tasks", "assignee_id", "equals", "mine"),
            ("tasks", "milestone_id", "in", ["mine"]),
            ("tasks", "status", "equals", "completed"),
            ("tasks", "due_date", "is_set", None),
            ("tasks", "due_date", "time_is_before", "2026-07-02T00:00:00Z"),
            ("tasks", "effort", "contains", "day"),
            ("audit-logs", "action", "string_contains", "delete"),
            ("audit-logs", "action", "in", ["issue.deleted"]),
            ("audit-logs", "action_happened_at", "time_is_before", "2026-06-30T12:00:00Z"),
        ],
    )  # fmt: skip
    def test_filters(
        self,
        workspace: Workspace,
        client: httpx.Client,
        path: str,
        field: str,
        operator: str,
        value: Any,
    ) -> None:
        stream = path.replace("-", "_")
        workspace.add("custom_fields", slug="plan", object_type="project")
        workspace.add("custom_fields", slug="effort", object_type="task")
        mine: dict[str, dict[str, Any]] = {
            "call_recordings": {
                "account_id": "mine", "source": "zoom", "title": "Mine call", "start_time": NOW,
            },
            "projects": {
                "account": "mine", "owner_id": "mine", "status": "completed", "is_archived": True,
                "custom_fields": {"plan": "gold"},
            },
            "tasks": {
                "account": "mine", "project": "mine", "assignee": "mine", "milestone": "mine",
                "status": "completed", "due_date": NOW, "custom_fields": {"effort": ["day"]},
            },
            "audit_logs": {"action": "issue.deleted", "action_happened_at": NOW - DAY},
        }  # fmt: skip
        others: dict[str, dict[str, Any]] = {
            "call_recordings": {"source": "gong", "title": "Other", "start_time": NOW - 2 * DAY},
            "projects": {"status": "in_progress"},
            "tasks": {"status": "in_progress", "due_date": ""},
            "audit_logs": {"action": "user.login"},
        }
        key = workspace.add(stream, **mine[stream])
        other = workspace.add(stream, **others[stream])
        asked = {"values": value} if isinstance(value, list) else {"value": value}
        wanted = {"field": field, "operator": operator, **asked}
        assert ids(post(client, path, wanted)) == [key]
        either = {"operator": "or", "subfilters": [wanted, wanted]}
        assert ids(post(client, path, either)) == [key]
        assert {*ids(post(client, path))} == {key, other}

    @pytest.mark.parametrize(
        ("path", "filter"),
        [
            ("call-recordings", {"field": "updated_at", **SPAN}),
            ("call-recordings", {"field": "title", "operator": "in", "values": ["x"]}),
            ("call-recordings", {"field": "start_time", "operator": "equals", "value": "x"}),
            ("projects", {"field": "account_id", "operator": "is_unset"}),
            ("projects", {"field": "is_archived", "operator": "in", "values": ["true"]}),
            ("projects", {"field": "effort", "operator": "equals", "value": "day"}),
            ("tasks", {"field": "priority", "operator": "equals", "value": "high"}),
            ("tasks", {"field": "due_date", "operator": "is_unset"}),
            ("milestones", {"field": "updated_at", **SPAN}),
            ("milestones", {"field": "project_id", "operator": "equals", "value": "x"}),
            ("audit-logs", {"field": "created_at", **SPAN}),
            ("audit-logs", {"field": "action_happened_at", "operator": "equals", "value": "x"}),
        ],
    )
    def test_filters_that_are_not_described(
        self, workspace: Workspace, client: httpx.Client, path: str, filter: Any
    ) -> None:
        workspace.add("custom_fields", slug="effort", object_type="task")
        answer = client.post(f"/{path}/search", json={"filter": filter})
        assert answer.status_code == 400
        assert answer.json()["errors"]

    def test_bad_bodies(self, client: httpx.Client) -> None:
        for path in ("projects", "feature-requests"):
            assert client.post(f"/{path}/search", content=b"{").status_code == 400
            assert client.post(f"/{path}/search", content=b"[]").status_code == 400
            assert client.post(f"/{path}/search").status_code == 200


class TestUnavailable:
    def test_they_answer_with_an_error(self, workspace: Workspace) -> None:
        workspace.add_task_comment(workspace.add("tasks", id="t"))
        unavailable = {"GET /audit-logs": 403, "GET /tasks/{id}/comments": 404}
        api = Api(workspace, allowance=5, unavailable=unavailable)
        with client_of(api) as client:
            forbidden = client.get("/audit-logs")
            assert (forbidden.status_code, forbidden.json()["code"]) == (403, "permission_denied")
            assert forbidden.json()["errors"]
            assert forbidden.json()["request_id"]
            assert forbidden.headers["X-Rate-Limit-Remaining"] == "4"
            missing = client.get("/tasks/t/comments")
            assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
            assert client.post("/audit-logs/search").status_code == 200
            assert client.get("/tasks").status_code == 200
            assert client.get("/audit-logs", headers={"Authorization": ""}).status_code == 401

    def test_it_can_change(self, api: Api, client: httpx.Client) -> None:
        assert client.get("/surveys").status_code == 200
        api.unavailable["GET /surveys"] = 404
        assert client.get("/surveys").status_code == 404
        api.unavailable.clear()
        assert client.get("/surveys").status_code == 200

    @pytest.mark.parametrize(("endpoint", "status"), [("GET /survey", 403), ("GET /surveys", 500)])
    def test_only_what_there_is(self, workspace: Workspace, endpoint: str, status: int) -> None:
        with pytest.raises(ValueError, match="cannot be unavailable"):
            Api(workspace, unavailable={endpoint: status})


class TestFiles:
    @pytest.fixture(params=["in process", "http"])
    def plain(self, request: pytest.FixtureRequest, api: Api) -> Iterator[httpx.Client]:
        """A client without a token, for which the addresses in answers are reachable."""
        if request.param == "in process":
            with httpx.Client(transport=SandboxTransport(api)) as client:
                yield client
            return
        with Server(api) as server, httpx.Client() as client:
            api.files_url = server.files_url
            yield client

    def test_addresses_are_signed_anew_in_every_answer(
        self, workspace: Workspace, client: httpx.Client
    ) -> None:
        address = workspace.add_file("a report, final.pdf", b"%PDF")
        issue = issue_of(workspace, attachment_urls=[address, "https://elsewhere.example/x.png"])
        workspace.reply(issue, html="See", author_name="bot", file_urls=[address])
        call = {"id": "r", "download_url": address, "transcript_segments": []}
        workspace.add_voice_call(issue, recordings=[call])
        again = [workspace.records("issues"), workspace.messages(issue)]

        def given() -> list[str]:
            messages = client.get("/issues/1/messages").json()["data"]
            (one,) = client.get("/issues/1/voice-calls").json()["data"]
            return [
                *client.post("/issues/search").json()["data"][0]["attachment_urls"],
                *messages[1]["file_urls"],
                one["recordings"][0]["download_url"],
            ]

        first, second = given(), given()
        assert first[1] == second[1] == "https://elsewhere.example/x.png"
        signed = [*first[:1], *first[2:], *second[:1], *second[2:]]
        assert len(set(signed)) == 6
        assert {url.partition("?")[0] for url in signed} == {address}
        assert httpx.URL(address).host == FILES_HOST
        week, hour = int(NOW) + 7 * DAY, int(NOW) + HOUR
        expires = [int(httpx.URL(url).params["Expires"]) for url in first if "?" in url]
        assert expires == [week, week, hour]
        assert [workspace.records("issues"), workspace.messages(issue)] == again

    def test_unknown_addresses_stay_as_they_are(
        self, workspace: Workspace, client: httpx.Client
    ) -> None:
        workspace.add_file("other.txt", b"x")
        address = f"https://{FILES_HOST}/a/b.png"
        issue_of(workspace, attachment_urls=[address])
        assert client.get("/issues/1").json()["data"]["attachment_urls"] == [address]

    def test_bytes(self, api: Api, plain: httpx.Client) -> None:
        url = self._signed(api, "a report, final.pdf", b"%PDF-1.7")
        answer = plain.get(url)
        assert (answer.status_code, answer.content) == (200, b"%PDF-1.7")
        assert answer.headers["Content-Type"] == "application/pdf"
        assert answer.headers["Content-Length"] == "8"
        part = plain.get(url, headers={"Range": "bytes=5-"})
        assert (part.status_code, part.content) == (206, b"1.7")
        assert part.headers["Content-Range"] == "bytes 5-7/8"
        changed = {"Range": "bytes=5-", "If-Range": '"another"'}
        assert plain.get(url, headers=changed).content == b"%PDF-1.7"
        assert plain.get(url, headers={"Range": "bytes=8-"}).status_code == 416
        assert plain.post(url).status_code == 405
        assert [entry.status for entry in api.downloads] == [200, 206, 200, 416, 405]
        assert api.strays == []
        assert api.count("GET .*pdf") == 0

    def test_signatures_expire_and_cannot_be_made_up(
        self, api: Api, clock: Clock, plain: httpx.Client
    ) -> None:
        url = httpx.URL(self._signed(api, "a.txt", b"hello"))
        later = {**url.params, "Expires": str(int(url.params["Expires"]) + 1)}
        for wrong in ({**url.params, "Signature": "x"}, later, {}, {"Expires": "soon"}):
            answer = plain.get(url.copy_with(params=wrong))
            assert answer.status_code == 403
            assert "<Code>AccessDenied</Code>" in answer.text
        assert plain.get(url).text == "hello"
        clock.now += 7 * DAY + 1
        assert plain.get(url).status_code == 403
        api.workspace.files.clear()
        assert plain.get(url).status_code == 404

    def test_a_token_is_noticed(self, api: Api, plain: httpx.Client) -> None:
        url = self._signed(api, "a.txt", b"hello")
        assert plain.get(url, headers=AUTHORIZED).status_code == 400
        path = next(iter(api.workspace.files))
        assert api.strays == [f"https://{FILES_HOST}{path}"]

    def test_faults(self, api: Api, plain: httpx.Client) -> None:
        url = self._signed(api, "a.txt", b"hello")
        api.misbehave("503", ".*a[.]txt")
        api.misbehave("half-body", ".*a[.]txt")
        api.misbehave("data-null", times=-1)  # which is about JSON
        api.misbehave("redirect", ".*a[.]txt")
        assert plain.get(url).status_code == 503
        with pytest.raises(httpx.TransportError):
            plain.get(url)
        assert plain.get(url).status_code == 302
        assert plain.get(url).text == "hello"
        assert [entry.status for entry in api.downloads] == [503, 0, 302, 200]

    def test_a_server_also_goes_by_the_name_of_the_host(self, api: Api) -> None:
        url = httpx.URL(self._signed(api, "a.txt", b"hello"))
        with Server(api) as server, httpx.Client(base_url=server.url) as client:
            path = url.raw_path.decode()
            assert client.get(path, headers={"Host": FILES_HOST}).text == "hello"
            assert client.get(path).status_code == 401

    def _signed(self, api: Api, name: str, content: bytes) -> str:
        """The address of a new file as an answer of the API has it."""
        issue = issue_of(api.workspace, attachment_urls=[api.workspace.add_file(name, content)])
        with client_of(api) as client:
            urls = client.get(f"/issues/{issue}").json()["data"]["attachment_urls"]
        return str(urls[0])


def test_every_stream_is_served() -> None:
    assert set(FURTHER) <= {*DEFAULTS}
    assert set(FURTHER) == {
        *CHILDREN, *PAGES, "surveys", "macros", "macro_groups", "training_data", "feature_requests",
    }  # fmt: skip
