"""What a mirror of a sandbox workspace must hold, worked out a second time and the plain way.

Shares no code with the package's rows: a mistake there is no mistake here. Its idea of text is a
crude one, so the workspaces it is held against write simple paragraphs.
"""

import html
import json
import re
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pylon_to_sqlite.sandbox.workspace import Workspace

Payload = dict[str, Any]
Expected = dict[str, list[dict[str, Any]]]

SCALARS = {
    "accounts": "id name type domain primary_domain is_disabled created_at updated_at"
    " latest_customer_activity_time",
    "contacts": "id name email primary_phone_number avatar_url portal_role portal_role_id",
    "users": "id name email status avatar_url",
    "teams": "id name",
    "tags": "id value object_type hex_color",
    "custom_fields": "object_type id slug label type description source is_read_only"
    " default_value created_at updated_at",
    "knowledge_bases": "id title slug default_language",
    "knowledge_base_articles": "id title identifier slug url collection_id author_user_id"
    " is_published is_unlisted current_published_content_html current_draft_content_html"
    " created_at last_edited_at last_published_at",
    "ticket_forms": "id name slug description_html url is_public",
    "user_roles": "id name slug",
    "activity_types": "id label slug icon_url",
    "issue_statuses": "slug label category is_default_status is_archived",
    "issues": "id number title type state source body_html created_at updated_at"
    " latest_message_time first_response_time first_response_seconds"
    " business_hours_first_response_seconds first_response_breach_time resolution_time"
    " resolution_seconds business_hours_resolution_seconds resolution_breach_time"
    " snoozed_until_time active_time_seconds business_hours_active_time_seconds"
    " number_of_touches customer_portal_visible author_unverified link",
    "knowledge_base_collections": "id title slug description icon created_at parent_collection_id",
    "macro_groups": "id title created_at updated_at",
    "macros": "id name macro_group_id text_type text_html has_actions created_at updated_at",
    "training_data": "id name type visibility exclude_from_kb_search created_at updated_at",
    "projects": "id name owner_id description_html start_date end_date is_archived archived_at"
    " customer_portal_visible created_at updated_at",
    "milestones": "id name due_date created_at updated_at",
    "tasks": "id title status body_html parent_task_id due_date customer_portal_visible"
    " created_at updated_at",
    "feature_requests": "id title description request_status evidence_count created_at updated_at",
    "surveys": "id name type updated_at",
    "survey_responses": "id account_id contact_id submitted_at",
    "call_recordings": "id title source account_id start_time end_time duration_ms summary url"
    " external_id calendar_event_id created_at updated_at",
    "organization": "id name",
    "custom_objects": "id type name created_at updated_at",
    "account_relationships": "id child_account_id parent_account_id related_object_id"
    " relationship_type created_at updated_at",
    "task_comments": "id task_id is_internal body_html created_at updated_at last_edited_at",
    "audit_logs": "id action actor_user_id actor_contact_id object_type object_id source link"
    " action_happened_at created_at",
    "issue_followers": "id type",
    "issue_voice_calls": "id from_phone_number to_phone_number duration_sec created_at",
    "issue_threads": "id name source channel_id thread_id",
    "issue_messages": "id is_private timestamp message_html source thread_id",
}
JSON = {
    "accounts": "domains tags channels crm_settings",
    "contacts": "emails phone_numbers integration_user_ids",
    "users": "emails",
    "custom_fields": "default_values select_metadata number_metadata",
    "knowledge_bases": "supported_languages",
    "knowledge_base_articles": "tags visibility_config approval_info",
    "ticket_forms": "fields",
    "issues": "tags time_in_status_seconds business_hours_time_in_status_seconds"
    " active_time_by_user team_slas attachment_urls slack chat_widget_info",
    "issue_messages": "file_urls email_info",
    "knowledge_base_collections": "visibility_config",
    "macros": "actions visibility",
    "training_data": "scrape_status",
    "tasks": "subtask_ids",
    "feature_requests": "account_ids portal_visible_to_account_ids",
    "call_recordings": "participant_emails",
    "audit_logs": "attributes metadata",
}
REFERENCES = {
    "accounts": {"owner_id": "owner"},
    "contacts": {"account_id": "account"},
    "issues": {
        "account_id": "account",
        "requester_id": "requester",
        "assignee_id": "assignee",
        "team_id": "team",
        "parent_issue_group_id": "parent_issue_group",
    },
    "projects": {"account_id": "account", "project_template_id": "project_template"},
    "milestones": {"account_id": "account", "project_id": "project"},
    "tasks": {"account_id": "account", "project_id": "project", "milestone_id": "milestone"},
}
TEXTS = {
    "knowledge_base_articles": {
        "published_text": "current_published_content_html",
        "draft_text": "current_draft_content_html",
    },
    "issues": {"body_text": "body_html"},
    "issue_messages": {"message_text": "message_html"},
    "task_comments": {"body_text": "body_html"},
    "macros": {"text": "text_html"},
    "projects": {"description_text": "description_html"},
    "tasks": {"body_text": "body_html"},
}
CHILDREN = {
    "knowledge_base_articles": ("articles", "knowledge_base_id", "knowledge_bases"),
    "knowledge_base_collections": ("collections", "knowledge_base_id", "knowledge_bases"),
    "survey_responses": ("survey_responses", "survey_id", "surveys"),
    "task_comments": ("task_comments", "task_id", "tasks"),
    "account_relationships": ("account_relationships", "child_account_id", "accounts"),
    "issue_followers": ("issue_followers", "issue_id", "issues"),
    "issue_voice_calls": ("issue_voice_calls", "issue_id", "issues"),
}
# Mirrored where the file says so.
OPTIONAL = {
    *("account_relationships", "task_comments", "audit_logs", "issue_followers"),
    "issue_voice_calls",
}
OWNERS = {
    **dict.fromkeys(["account_domains", "account_tags", "account_external_ids"], "accounts"),
    **dict.fromkeys(["account_custom_fields"], "accounts"),
    **dict.fromkeys(["contact_external_ids", "contact_custom_fields"], "contacts"),
    **dict.fromkeys(["issue_tags", "issue_csat_responses", "issue_external_issues"], "issues"),
    **dict.fromkeys(["issue_child_issues", "issue_custom_fields"], "issues"),
    "team_members": "teams",
    "training_data_documents": "training_data",
    **dict.fromkeys(
        ["feature_request_accounts", "feature_request_custom_fields"], "feature_requests"
    ),
    "project_custom_fields": "projects",
    "task_custom_fields": "tasks",
    **dict.fromkeys(
        ["call_recording_participants", "call_recording_custom_fields"], "call_recordings"
    ),
    "survey_answers": "survey_responses",
    **dict.fromkeys(["custom_object_custom_fields", "custom_object_relations"], "custom_objects"),
    "issue_voice_call_recordings": "issue_voice_calls",
}
NOT_COMPARED = {"synced_at", "deleted_at", "placeholder"}
# What comes of downloads, and the key that the mirror makes.
DOWNLOADED = {"content_hash", "content_type", "size", "path", "downloaded_at", "error", "id"}


def expected(workspace: Workspace, choice: Payload | None = None) -> Expected:
    """Every table and its rows, where the file says what is chosen."""
    choice = choice or {}
    optional = set() if choice.get("everything") else OPTIONAL - {*choice.get("on", ())}
    off = optional | {*choice.get("off", ())}
    found: Expected = {}
    for stream in SCALARS.keys() - off:
        if stream in ("issue_threads", "issue_messages", "organization", "custom_objects"):
            continue
        if stream in CHILDREN:
            kind, owner, parents = CHILDREN[stream]
            found[stream] = [
                {**_row(stream, child), owner: parent["id"]}
                for parent in workspace.records(parents)
                for child in workspace.belonging(kind, parent["id"])
            ]
            continue
        found[stream] = [_row(stream, payload) for payload in workspace.records(stream)]
    kind = choice.get("issue_type", "")
    issues = [one for one in workspace.records("issues") if kind in ("", one["type"].lower())]
    there = {one["id"] for one in issues}
    for stream in ("issue_followers", "issue_voice_calls"):
        if stream in found:
            found[stream] = [row for row in found[stream] if row["issue_id"] in there]
    found["users"] = [
        {**_row("users", user), "role_id": _dig(user, "role", "id") or _set(user.get("role_id"))}
        for user in _users(workspace)
    ]
    found["issues"] = [
        {**_row("issues", issue), **_requester(workspace, issue)} for issue in issues
    ]
    found["tasks"] = [
        {
            **_row("tasks", task),
            "assignee_user_id": _dig(task.get("assignee") or {}, "user", "id"),
            "assignee_contact_id": _dig(task.get("assignee") or {}, "contact", "id"),
        }
        for task in workspace.records("tasks")
    ]
    found["issue_threads"] = [
        {**_row("issue_threads", thread), "issue_id": issue["id"]}
        for issue in issues
        for thread in workspace.threads(issue["id"])
    ]
    found["issue_messages"] = [
        {**_row("issue_messages", message), "issue_id": issue["id"], **_author(message)}
        for issue in issues
        for message in workspace.messages(issue["id"])
    ]
    found.update(_links(workspace, issues))
    found["attachments"] = list(_attachments(workspace, issues))
    found.update(_the_rest(workspace, choice, found))
    return found


def _the_rest(workspace: Workspace, choice: Payload, found: Expected) -> Expected:
    """What is in no list of records, and what depends on others that were found."""
    rest: Expected = {}
    us = workspace.organization
    user = {"user_id": us["user"]["id"], "user_email": us["user"]["email"]}
    rest["organization"] = [{"id": us["id"], "name": us["name"], **user}]
    kinds = choice.get("custom_objects", ())
    objects = [one for one in workspace.records("custom_objects") if one["type"] in kinds]
    rest["custom_objects"] = [_row("custom_objects", one) for one in objects]
    rest["custom_object_custom_fields"] = list(_custom(objects, "custom_object_id"))
    related = _objects(objects, "custom_object_id", "relations", "object_type object_id")
    sides = dict.fromkeys(("account_id", "contact_id", "issue_id", "user_id"))
    rest["custom_object_relations"] = [
        {**row, **sides, f"{row['object_type']}_id": row["object_id"]} for row in related
    ]
    if "task_comments" in found:
        authors = {one["id"]: _author(one) for one in workspace.records("task_comments")}
        names = ("author_user_id", "author_contact_id")
        rest["task_comments"] = [
            {**row, **{name: authors[row["id"]][name] for name in names}}
            for row in found["task_comments"]
        ]
    if "issue_followers" in found:
        rest["issue_followers"] = [
            {**row, "user_id": None, "contact_id": None, f"{row['type']}_id": row["id"]}
            for row in found["issue_followers"]
        ]
    if "issue_voice_calls" in found:
        there = {row["id"] for row in found["issue_voice_calls"]}
        calls = [one for one in workspace.records("issue_voice_calls") if one["id"] in there]
        rest["issue_voice_call_recordings"] = [
            {**row, "transcript_segments": json.dumps(segments, ensure_ascii=False, sort_keys=True)}
            for row, segments in zip(
                _objects(calls, "issue_voice_call_id", "recordings", "id download_url"),
                [
                    one["transcript_segments"]
                    for call in calls
                    for one in call.get("recordings") or []
                ],
                strict=True,
            )
        ]
    return rest


def _attachments(workspace: Workspace, issues: list[Payload]) -> Iterable[dict[str, Any]]:
    """A row for each file of a message, and for those that only the issue names. What came of
    downloads is not the workspace's."""
    for issue in issues:
        seen: set[str] = set()
        holders: list[Payload] = [*workspace.messages(issue["id"]), {**issue, "is_issue": True}]
        for holder in holders:
            is_issue = "is_issue" in holder
            urls = holder.get("attachment_urls" if is_issue else "file_urls") or []
            bare = {_bare(url) for url in urls if url.startswith("http")}
            for address in sorted(bare - seen if is_issue else bare):
                yield {
                    "issue_id": issue["id"],
                    "message_id": None if is_issue else holder["id"],
                    "address": address,
                    "file_name": unquote(address.split("/")[-1]),
                    "is_private": None if is_issue else int(holder["is_private"]),
                }
            seen |= bare


def _bare(value: Any) -> Any:
    return value.split("?")[0] if isinstance(value, str) else value


def _users(workspace: Workspace) -> list[Payload]:
    """All of them: who was deactivated too."""
    found = workspace.listed("users", deactivated=True)
    return [workspace.payload(record) for record in found]


def _row(stream: str, payload: Payload) -> dict[str, Any]:
    row = {name: _set(payload.get(name)) for name in SCALARS[stream].split()}
    for name in JSON.get(stream, "").split():
        value = _set(payload.get(name))
        if name in ("attachment_urls", "file_urls") and value:
            value = [_bare(one) for one in value]
        row[name] = None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
    for name, path in REFERENCES.get(stream, {}).items():
        row[name] = _dig(payload, path, "id")
    for name, path in TEXTS.get(stream, {}).items():
        row[name] = _text(payload.get(path))
    return row


def _requester(workspace: Workspace, issue: Payload) -> dict[str, Any]:
    who = _dig(issue, "requester", "id")
    is_user = who in {user["id"] for user in _users(workspace)}
    return {
        "requester_email": _dig(issue, "requester", "email"),
        "requester_contact_id": None if is_user else who,
        "requester_user_id": who if is_user else None,
    }


def _author(message: Payload) -> dict[str, Any]:
    author = message.get("author") or {}
    return {
        "author_name": _set(author.get("name")),
        "author_avatar_url": _set(author.get("avatar_url")),
        "author_contact_id": _dig(author, "contact", "id"),
        "author_user_id": _dig(author, "user", "id"),
    }


def _links(workspace: Workspace, issues: list[Payload]) -> Expected:
    accounts, contacts = workspace.records("accounts"), workspace.records("contacts")
    teams = workspace.records("teams")
    return {
        "account_domains": _values(accounts, "account_id", "domains", "domain"),
        "account_tags": _values(accounts, "account_id", "tags", "tag"),
        "issue_tags": _values(issues, "issue_id", "tags", "tag"),
        "account_external_ids": _objects(
            accounts, "account_id", "external_ids", "external_id label"
        ),
        "contact_external_ids": _objects(
            contacts, "contact_id", "external_ids", "external_id label"
        ),
        "issue_csat_responses": _objects(issues, "issue_id", "csat_responses", "score comment"),
        "issue_external_issues": _objects(
            issues, "issue_id", "external_issues", "source external_id link"
        ),
        "team_members": [
            {"team_id": team["id"], "user_id": user["id"]}
            for team in teams
            for user in team.get("users") or []
        ],
        "issue_child_issues": [
            {"issue_id": issue["id"], "child_issue_id": child["id"]}
            for issue in issues
            for child in issue.get("child_issues") or []
        ],
        "account_custom_fields": list(_custom(accounts, "account_id")),
        "contact_custom_fields": list(_custom(contacts, "contact_id")),
        "issue_custom_fields": list(_custom(issues, "issue_id")),
        **_further_links(workspace),
    }


def _further_links(workspace: Workspace) -> Expected:
    data, requests = workspace.records("training_data"), workspace.records("feature_requests")
    calls, responses = workspace.records("call_recordings"), workspace.records("survey_responses")
    documents = "id external_id file_name file_type file_size s3_key"
    answers = "prompt question_type value"
    return {
        "training_data_documents": _objects(data, "training_data_id", "documents", documents),
        "feature_request_accounts": _values(
            requests, "feature_request_id", "account_ids", "account_id"
        ),
        "call_recording_participants": _values(
            calls, "call_recording_id", "participant_emails", "email"
        ),
        "survey_answers": _objects(responses, "survey_response_id", "answers", answers),
        "feature_request_custom_fields": list(_custom(requests, "feature_request_id")),
        "project_custom_fields": list(_custom(workspace.records("projects"), "project_id")),
        "task_custom_fields": list(_custom(workspace.records("tasks"), "task_id")),
        "call_recording_custom_fields": list(_custom(calls, "call_recording_id")),
    }


def _values(payloads: list[Payload], owner: str, path: str, column: str) -> list[dict[str, Any]]:
    return [
        {owner: one["id"], column: value}
        for one in payloads
        for value in dict.fromkeys(one.get(path) or [])
    ]


def _objects(payloads: list[Payload], owner: str, path: str, columns: str) -> list[dict[str, Any]]:
    return [
        {owner: one["id"], "position": at}
        | {name: _set(item.get(name)) for name in columns.split()}
        for one in payloads
        for at, item in enumerate(one.get(path) or [])
    ]


def _custom(payloads: list[Payload], owner: str) -> Iterable[dict[str, Any]]:
    for one in payloads:
        for slug, field in (one.get("custom_fields") or {}).items():
            values = [*(field.get("values") or []), field.get("value")]
            wanted = [value for value in dict.fromkeys(values) if _set(value) is not None]
            for at, value in enumerate(wanted):
                interpreted = _set(field.get("interpreted_value"))
                if isinstance(interpreted, list | dict):
                    interpreted = json.dumps(interpreted, ensure_ascii=False, sort_keys=True)
                yield {
                    owner: one["id"],
                    "slug": slug,
                    "position": at,
                    "value": value,
                    "interpreted_value": interpreted,
                }


def _set(value: Any) -> Any:
    if value is None or value in ("", [], {}):
        return None
    return int(value) if isinstance(value, bool) else value


def _dig(payload: Payload, outer: str, inner: str) -> Any:
    return _set((payload.get(outer) or {}).get(inner))


def _text(source: str | None) -> str | None:
    if not source:
        return None
    spaced = re.sub(r"</(p|h1)>\s*<(p|h1)>", "\n\n", source)
    return html.unescape(re.sub(r"<[^>]+>", "", spaced)).strip() or None


def differences(
    path: Path, workspace: Workspace, less: Callable[[Expected], Expected] | None = None
) -> list[str]:
    """How the mirror's live rows differ from the workspace, empty when they are equal; with
    broken foreign keys, and rows without a time of writing. `less` takes from the workspace's
    rows what the mirror is not to hold."""
    found = []
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        found += [f"broken foreign key: {tuple(one)}" for one in broken]
        chosen = "SELECT value FROM _pylon_meta WHERE key = 'choice'"
        choice = connection.execute(chosen).fetchone()
        found_there = expected(workspace, json.loads(choice[0] if choice else "{}"))
        for table, wanted in (less(found_there) if less else found_there).items():
            found += _compare(connection, table, wanted)
    return found


def _compare(connection: sqlite3.Connection, table: str, wanted: list[dict[str, Any]]) -> list[str]:
    columns = [row["name"] for row in connection.execute(f"PRAGMA table_info({table})")]
    conditions = ["1"]
    conditions += ["deleted_at IS NULL"] if "deleted_at" in columns else []
    conditions += ["placeholder = 0"] if "placeholder" in columns else []
    if table in OWNERS:
        # The lists of a record that is gone stay as they were.
        owners = f"SELECT id FROM {OWNERS[table]} WHERE deleted_at IS NULL"
        conditions.append(f"{columns[0]} IN ({owners})")
    there = connection.execute(f"SELECT * FROM {table} WHERE {' AND '.join(conditions)}")
    left_out = NOT_COMPARED | (DOWNLOADED if table == "attachments" else set())
    compared = [name for name in columns if name not in left_out]
    actual = {_line({name: row[name] for name in compared}) for row in there}
    right = {_line({name: row.get(name) for name in compared}) for row in wanted}
    found = [f"{table}: no column {name}" for row in wanted[:1] for name in set(row) - set(columns)]
    found += [f"{table} lacks {one}" for one in sorted(right - actual)]
    return found + [f"{table} has {one}" for one in sorted(actual - right)]


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, ensure_ascii=False)
