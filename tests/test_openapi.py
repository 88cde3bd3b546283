"""The sandbox against Pylon's own OpenAPI description, which PYLON_OPENAPI names the path of."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from desk import Desk
from mirroring import ALL, sync

from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.filterable import CUSTOM_FIELDS_OF, FIELDS
from pylon_to_sqlite.sandbox.routes import ROUTES, Route
from pylon_to_sqlite.sandbox.server import SandboxTransport
from pylon_to_sqlite.sandbox.workspace import Workspace

pytestmark = pytest.mark.skipif(
    "PYLON_OPENAPI" not in os.environ, reason="PYLON_OPENAPI names no OpenAPI description"
)

NOW = 1_782_864_000.0
BOTH_KINDS = {"plan": "gold", "areas": ["a", "b"]}
DAY = "start_time=2026-07-01T00:00:00Z&end_time=2026-07-02T00:00:00Z"

SCHEMAS = {
    "accounts": "Account",
    "contacts": "Contact",
    "users": "User",
    "teams": "Team",
    "tags": "Tag",
    "custom_fields": "CustomFieldDefinition",
    "knowledge_bases": "KnowledgeBase",
    "articles": "Article",
    "ticket_forms": "TicketForm",
    "user_roles": "UserRole",
    "activity_types": "ActivityType",
    "issue_statuses": "IssueStatus",
    "issues": "Issue",
    "messages": "Message",
    "threads": "IssueThread",
    "call_recordings": "CallRecording",
    "surveys": "Survey",
    "survey_responses": "SurveyResponse",
    "collections": "Collection",
    "macros": "Macro",
    "macro_groups": "MacroGroup",
    "training_data": "TrainingData",
    "projects": "Project",
    "milestones": "Milestone",
    "tasks": "Task",
    "task_comments": "TaskComment",
    "feature_requests": "FeatureRequestSearchResult",
    "issue_followers": "Follower",
    "issue_voice_calls": "VoiceCall",
    "account_relationships": "AccountRelationship",
    "audit_logs": "AuditLog",
    "custom_objects": "APICustomObject",
}

# Facts of the live API that the description lacks.
UNDESCRIBED_FIELDS = {
    # Values of custom fields come with a reading of them, seen by third parties.
    ("CustomFieldValue", "interpreted_value"),
}
UNDESCRIBED_VALUES = {
    # Old issues have the capitalised form.
    ("Issue", "type"): {"Conversation", "Ticket"},
}
MISPLACED_PARAMETERS = {
    # The description gives these to /contacts/{id}; it is the list that is paged.
    "GET /contacts": {"cursor", "limit"},
    "GET /contacts/{id}": set[str](),
}
RENAMED_PATHS = {
    "/accounts/{id}/relationships": "/accounts/{account_id}/relationships",
}

# Newer than the description.
DESCRIBED = [route for route in ROUTES if route.endpoint != "POST /milestones/search"]


@pytest.fixture(scope="module")
def description() -> Any:
    return json.loads(Path(os.environ["PYLON_OPENAPI"]).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def workspace() -> Workspace:
    """A workspace in which everything that can be set is set somewhere."""
    workspace = Workspace(lambda: NOW)
    _add_directory(workspace)
    _add_articles(workspace)
    _add_issues(workspace)
    _add_around_issues(workspace)
    _add_work(workspace)
    return workspace


def _add_directory(workspace: Workspace) -> None:
    values = {"plan": "gold", "areas": ["api", "web"], "seats": "42", "live": "true", "old": "x"}
    role = workspace.add("user_roles")
    user = workspace.add("users", role=role)
    for _ in range(8):
        account = workspace.add(
            "accounts", owner=user, custom_fields=values, latest_customer_activity_time=NOW
        )
        workspace.add("contacts", account=account, custom_fields=values)
        workspace.add("users")
    workspace.add("teams", users=[user])
    for kind in ("text", "select", "number", "decimal"):
        workspace.add(
            "custom_fields", type=kind, description="What it means.",
            default_value="1", default_values=["1"],
        )  # fmt: skip
    for stream in ("knowledge_bases", "teams", "tags", "issue_statuses", "activity_types"):
        workspace.add(stream)
    workspace.add(
        "ticket_forms",
        fields=[{"name": "Topic", "slug": "topic", "type": "text", "description_html": "<p>?</p>"}],
    )


def _add_articles(workspace: Workspace) -> None:
    (base,) = workspace.records("knowledge_bases")
    (tag,) = workspace.records("tags")
    user = workspace.records("users")[0]["id"]
    leaf = {"field": "tags", "operator": "in", "values": ["vip"], "value": "vip"}
    workspace.add_article(
        base["id"],
        tags=[tag],
        author_user_id=user,
        collection_id=workspace.new_id(),
        approval_info={
            "status": "approved",
            "requested_at": "2026-07-01T00:00:00Z",
            "reviewed_at": "2026-07-01T00:00:00Z",
            "reviewed_by_user_id": user,
        },
        visibility_config={
            "visibility": "customer",
            "ai_agent_access": "specific_agents",
            "allowed_agent_ids": [workspace.new_id()],
            "customer_visibility_condition": {
                "field": "",
                "operator": "and",
                "subfilters": [leaf],
            },
        },
    )
    workspace.add_article(base["id"])


def _add_issues(workspace: Workspace) -> None:
    user = workspace.records("users")[0]["id"]
    contact = workspace.records("contacts")[0]["id"]
    account = next(a["id"] for a in workspace.records("accounts") if a["external_ids"])
    parent = workspace.open_issue(title="Group", body_html="<p>All of it</p>", at=NOW)
    for n, source in enumerate(("email", "slack", "chat_widget", "form") * 5):
        issue = workspace.open_issue(
            title=f"Issue {n}",
            body_html="<p>Hello</p>",
            source=source,
            type=("conversation", "ticket")[n % 2],
            account=account,
            requester=contact,
            assignee=user,
            team=workspace.records("teams")[0]["id"],
            tags=["bug"],
            custom_fields={**{f"field_{i}": "1" for i in range(8)}, "areas": ["api"]},
            at=NOW,
            snoozed_until_time=NOW,
            attachment_urls=["https://assets.usepylon.com/a.png"],
            external_issues=[{"source": "linear", "external_id": "ENG-1", "link": "https://l"}],
        )
        workspace.reply(issue, html="<p>Hi</p>", author=user, at=NOW + 60)
        workspace.reply(issue, html="<p>Hm</p>", author=user, private=True, at=NOW + 90)
        workspace.add_thread(issue, name="triage")
        workspace.rate(issue, 5, "Great")
        workspace.change_issue(issue, parent_issue_group=parent)
        if n % 3:
            workspace.change_issue(issue, state="closed", at=NOW + 3600)
    plain = workspace.open_issue(title="Plain", body_html="", requester=contact, at=NOW)
    workspace.reply(plain, html="Beep", author_name="Assistant")


def _add_around_issues(workspace: Workspace) -> None:
    user, account, contact, base, team, issue = (
        workspace.records(stream)[0]["id"]
        for stream in ("users", "accounts", "contacts", "knowledge_bases", "teams", "issues")
    )
    access = {"visibility": "customer", "ai_agent_access": "specific_agents"}
    limited = {**access, "allowed_agent_ids": [workspace.new_id()]}
    above = workspace.add_collection(base, visibility_config=limited)
    workspace.add_collection(base, parent_collection_id=above)
    survey = workspace.add("surveys")
    for person in (user, contact):
        workspace.add_follower(issue, person)
    address = workspace.add_file("call.mp3", b"...")
    said = [{"speaker": "Agent", "text": "Hello?"}]
    recording = {"id": "r1", "download_url": address, "transcript_segments": said}
    group = workspace.add("macro_groups")
    for n in range(6):
        workspace.add("call_recordings", account_id=account, custom_fields=BOTH_KINDS)
        workspace.add_survey_response(survey, account_id=account, contact_id=contact)
        seen = {"type": "teams", "team_ids": [team], "user_ids": [user]}
        workspace.add("macros", macro_group_id=group, visibility=seen)
        workspace.add("training_data")
        workspace.add_voice_call(issue, recordings=[recording] * (n % 2))
        workspace.add_relationship(account, workspace.add("accounts"))
        workspace.add(
            "audit_logs", actor_user_id=user, actor_contact_id=contact, object_id=issue
        )  # fmt: skip
        linked = [{"object_type": "account", "object_id": account}]
        workspace.add_custom_object("companies", custom_fields=BOTH_KINDS, relations=linked)


def _add_work(workspace: Workspace) -> None:
    user, account, contact = (
        workspace.records(stream)[0]["id"] for stream in ("users", "accounts", "contacts")
    )
    account = next(one["id"] for one in workspace.records("accounts") if one.get("external_ids"))
    for who in (user, contact):
        project = workspace.add(
            "projects", account=account, owner_id=user, custom_fields=BOTH_KINDS,
            is_archived=True, archived_at=NOW,
        )  # fmt: skip
        milestone = workspace.add("milestones", account=account, project=project)
        task = workspace.add(
            "tasks", account=account, project=project, milestone=milestone, assignee=who,
            custom_fields=BOTH_KINDS,
        )  # fmt: skip
        workspace.add("tasks", parent_task_id=task, due_date=NOW)
        comment = workspace.add_task_comment(task, author=who)
        workspace.change_task_comment(comment, body_html="<p>Better.</p>")
        workspace.add(
            "feature_requests", account_ids=[account], portal_visible_to_account_ids=[account],
            custom_fields=BOTH_KINDS,
        )  # fmt: skip


def records(workspace: Workspace, stream: str) -> list[dict[str, Any]]:
    if stream == "articles":
        return workspace.articles(workspace.records("knowledge_bases")[0]["id"])
    if stream in ("messages", "threads"):
        read = getattr(workspace, stream)
        return [row for issue in workspace.records("issues") for row in read(issue["id"])]
    return workspace.records(stream)


class Reader:
    """Holds values against the description: what disagrees, and which fields were met."""

    def __init__(self, description: Any) -> None:
        self._schemas = description["components"]["schemas"]
        self.wrong: list[str] = []
        self.met: set[tuple[str, str]] = set()

    def hold(self, value: Any, schema: dict[str, Any], where: str, owner: str = "") -> None:
        """Note where a value does not agree with a schema. Null may stand for anything."""
        if value is None:
            return
        if "$ref" in schema:
            owner = schema["$ref"].rsplit("/", 1)[-1]
            schema = self._schemas[owner]
        if "properties" in schema:
            self._hold_object(value, schema, where, owner)
        elif schema.get("type") == "array":
            if self._is(value, list, where):
                for item in value:
                    self.hold(item, schema["items"], where)
        elif schema.get("type") == "object":
            if self._is(value, dict, where) and "additionalProperties" in schema:
                for item in value.values():
                    self.hold(item, schema["additionalProperties"], where)
        else:
            self._hold_plain(value, schema, where, owner)

    def _hold_object(self, value: Any, schema: dict[str, Any], where: str, owner: str) -> None:
        if not self._is(value, dict, where):
            return
        for name in schema.get("required", ()):
            if name not in value:
                self.wrong.append(f"{where} lacks {name}")
        for name, item in value.items():
            if name in schema["properties"]:
                if item not in (None, "", [], {}):
                    self.met.add((owner, name))
                values = UNDESCRIBED_VALUES.get((owner, name), ())
                if item not in ("", *values):
                    self.hold(item, schema["properties"][name], f"{where}.{name}")
            elif (owner, name) not in UNDESCRIBED_FIELDS:
                self.wrong.append(f"{where}.{name} is not described")

    def _hold_plain(self, value: Any, schema: dict[str, Any], where: str, owner: str) -> None:
        kinds = {"string": str, "integer": int, "boolean": bool}
        self._is(value, kinds[schema["type"]], where)
        if "enum" in schema and value not in schema["enum"]:
            self.wrong.append(f"{where} is {value!r}, not one of {schema['enum']}")

    def _is(self, value: Any, kind: type, where: str) -> bool:
        right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if not right:
            self.wrong.append(f"{where} is {type(value).__name__}, not {kind.__name__}")
        return right

    def fields(self, schema: str, seen: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
        """Every field of a schema and of those it refers to."""
        if schema in seen:
            return
        for name, definition in self._schemas[schema].get("properties", {}).items():
            yield schema, name
            for ref in re.findall(r"#/components/schemas/(\w+)", json.dumps(definition)):
                yield from self.fields(ref, seen | {schema})


@pytest.mark.parametrize("stream", SCHEMAS)
def test_payloads_agree(description: Any, workspace: Workspace, stream: str) -> None:
    """Known fields of the right type only, and every described field at least once."""
    reader, schema = Reader(description), SCHEMAS[stream]
    payloads = records(workspace, stream)
    assert payloads
    for payload in payloads:
        reader.hold(payload, {"$ref": f"#/components/schemas/{schema}"}, stream)
    assert not reader.wrong
    assert sorted(set(reader.fields(schema)) - reader.met) == []


def test_a_disagreement_is_seen(description: Any) -> None:
    """The comparison itself is not blind."""
    for payload in (
        {"id": 7},
        {"id": True},
        {"nonsense": "x"},
        {"tags": "x"},
        {"source": "pigeon"},
        {"account": {"id": "x", "key": "y"}},
        {"number_of_touches": "3"},
        {"time_in_status_seconds": {"new": "3"}},
    ):
        reader = Reader(description)
        reader.hold(payload, {"$ref": "#/components/schemas/Issue"}, "issues")
        assert len(reader.wrong) == 1, payload


def described(description: Any, route: Route) -> dict[str, Any]:
    path = RENAMED_PATHS.get(route.path, route.path)
    operation: dict[str, Any] = description["paths"][path][route.method.lower()]
    return operation


def asked(description: Any, route: Route) -> dict[str, str]:
    """What an endpoint takes in the query, or in the body of a search, and what is said of it."""
    if route.endpoint in MISPLACED_PARAMETERS:
        return dict.fromkeys(MISPLACED_PARAMETERS[route.endpoint], "")
    operation = described(description, route)
    if route.method == "POST":
        content = operation["requestBody"]["content"]["application/json"]
        schema = description["components"]["schemas"][content["schema"]["$ref"].split("/")[-1]]
        return {name: one.get("description", "") for name, one in schema["properties"].items()}
    parameters = operation.get("parameters", ())
    return {given["name"]: given["description"] for given in parameters if given["in"] == "query"}


def highest(said: str) -> int:
    """The highest limit that a description allows."""
    less = re.search(r"less than (\d+)", said)
    most = re.search(r"(?:less than or equal to|at most|max|between 0 and) (\d+)", said)
    return int(less[1]) - 1 if less else int(most[1]) if most else 999


@pytest.fixture(scope="module")
def client(workspace: Workspace) -> Iterator[httpx.Client]:
    transport = SandboxTransport(Api(workspace, allowance=None))
    headers = {"Authorization": "Bearer pylon_api_sandbox"}
    with httpx.Client(base_url="https://x", transport=transport, headers=headers) as client:
        yield client


def get(client: httpx.Client, workspace: Workspace, route: Route, **query: str) -> httpx.Response:
    """One answer of an endpoint, with whatever it needs."""
    stream = route.path.split("/")[1].replace("-", "_")
    key = workspace.records(stream)[0]["id"] if "{id}" in route.path else ""
    path = route.path.replace("{id}", key).replace("{type}", "companies")
    if route.method == "POST":
        limit = {"limit": int(query["limit"])} if "limit" in query else {}
        return client.post(path, json={**query, **limit})
    return client.get(path, params=query)


NEEDED = {
    "GET /accounts": {"limit": "999"},
    "GET /issues": {"start_time": "2026-07-01T00:00:00Z", "end_time": "2026-07-02T00:00:00Z"},
    "GET /custom-fields": {"object_type": "issue"},
}


@pytest.mark.parametrize("route", DESCRIBED, ids=lambda route: route.endpoint)
class TestRoutes:
    def test_answers_agree(
        self, description: Any, workspace: Workspace, client: httpx.Client, route: Route
    ) -> None:
        """The envelope as described, with nothing in it that is not."""
        answer = get(client, workspace, route, **NEEDED.get(route.endpoint, {}))
        assert answer.status_code == 200
        name = described(description, route)["responses"]["200"]["$ref"].rsplit("/", 1)[-1]
        content = description["components"]["responses"][name]["content"]
        reader = Reader(description)
        reader.hold(answer.json(), content["application/json"]["schema"], route.path)
        assert not reader.wrong

    def test_required_parameters_are_required(
        self, description: Any, workspace: Workspace, client: httpx.Client, route: Route
    ) -> None:
        parameters = described(description, route).get("parameters", ())
        required = {p["name"] for p in parameters if p["in"] == "query" and p.get("required")}
        if route.endpoint in MISPLACED_PARAMETERS:
            required = set()
        needed = NEEDED.get(route.endpoint, {})
        assert set(needed) == required
        for missing in needed:
            rest = {name: value for name, value in needed.items() if name != missing}
            assert get(client, workspace, route, **rest).status_code == 400

    def test_pages_are_where_they_are_described(
        self, description: Any, workspace: Workspace, client: httpx.Client, route: Route
    ) -> None:
        """An endpoint that takes a cursor refuses a bad one; the others do not look at it."""
        query = {**NEEDED.get(route.endpoint, {}), "cursor": "nonsense"}
        paged = "cursor" in asked(description, route)
        status = get(client, workspace, route, **query).status_code
        assert status == (400 if paged else 200)

    def test_limits_are_the_described_ones(
        self, description: Any, workspace: Workspace, client: httpx.Client, route: Route
    ) -> None:
        taken = asked(description, route)
        if "limit" not in taken:
            needed = NEEDED.get(route.endpoint, {})
            assert get(client, workspace, route, **needed, limit="nonsense").status_code == 200
            return
        most = highest(taken["limit"])
        lowest = 0 if route.path == "/issues" else 1
        for limit in (lowest - 1, lowest, most, most + 1):
            query = {**NEEDED.get(route.endpoint, {}), "limit": str(limit)}
            fine = lowest <= limit <= most
            status = get(client, workspace, route, **query).status_code
            assert status == (200 if fine else 400), limit

    def test_allowances_are_the_described_ones(self, description: Any, route: Route) -> None:
        """The description is of before autumn 2026, when they were raised."""
        text = described(description, route)["description"]
        stated = re.search(r"\*\*Rate limit:\*\* (\d+) requests per minute", text)
        assert stated
        assert route.allowance_before == int(stated[1])


@pytest.mark.parametrize("stream", [stream for stream in FIELDS if FIELDS[stream]])
def test_filters_take_the_described_operators(description: Any, stream: str) -> None:
    path = f"/{stream.replace('_', '-')}/search"
    text = description["paths"][path]["post"]["description"]
    lines = re.findall(r"\* (\w+).*?Allowed operators: (.*)", text)
    stated = {field: tuple(re.findall(r"`(\w+)`", operators)) for field, operators in lines}
    taken = {field: operators for field, (operators, _) in FIELDS[stream].items()}
    assert {field: stated[field] for field in taken} == taken
    assert stream == "issues" or stated == taken
    assert ("custom field" in text) == (stream in CUSTOM_FIELDS_OF)


def test_object_types_are_the_described_ones(description: Any, client: httpx.Client) -> None:
    (parameter,) = description["paths"]["/custom-fields"]["get"]["parameters"]
    for kind in re.findall(r'"(\w+)"', parameter["description"]):
        assert client.get("/custom-fields", params={"object_type": kind}).status_code == 200


def test_the_mirror_asks_for_what_is_described(
    description: Any, tmp_path: Path, desk: Desk, clock: Any
) -> None:
    """Every request of two runs over all streams: its path, its parameters, what it filters by."""
    api = Api(desk.workspace, allowance=None)
    for wishes in (ALL, {"issue_type": "ticket"}, {"issue_type": "all", "reconcile": True}):
        sync(tmp_path / "pylon.db", api, clock, **wishes)
        clock.sleep(3600)
    assert len({one.path for one in api.log}) > 40
    for one in api.log:
        route = next(
            route
            for route in ROUTES
            if route.method == one.method and route.pattern.fullmatch(one.path)
        )
        if route in DESCRIBED:
            beyond = {*one.query, *(one.body or {})} - {*asked(description, route)}
            # Of October 2026, and ignored where it is not known.
            assert beyond <= {"include_deactivated", "limit"}, (route.endpoint, beyond)
            assert beyond <= {"include_deactivated"} or route.path in UNDESCRIBED_LIMITS
        for wanted in ((one.body or {}).get("filter") or {}).get("subfilters", ()):
            operators, _ = FIELDS[STREAMS_OF[route.path]][wanted["field"]]
            assert wanted["operator"] in operators


# "paged in practice", though the description does not say so.
UNDESCRIBED_LIMITS = {"/contacts"}
STREAMS_OF = {f"/{name.replace('_', '-')}/search": name for name in FIELDS}
