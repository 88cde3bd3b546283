"""What records of the streams around the support desk hold when nobody says otherwise: calls,
surveys, macros, projects, tasks, feature requests and the rest.

References are empty; empty values mean what they mean in `defaults`.
"""

from __future__ import annotations

from collections.abc import Callable

from .naming import nth, slug
from .records import Fields

PARENTS = {
    "articles": "knowledge_bases",
    "collections": "knowledge_bases",
    "survey_responses": "surveys",
    "task_comments": "tasks",
    "issue_followers": "issues",
    "issue_voice_calls": "issues",
    "account_relationships": "accounts",
    "custom_objects": "custom_object_types",
}
"""Streams whose records belong to one of another stream, and vanish with it."""

_CALLS = ("Kickoff", "Weekly sync", "Renewal talk", "Incident review", "Roadmap call")
_RECORDERS = ("gong", "grain", "fathom", "granola", "custom_call_recorder")
_SURVEYS = (("Net promoter score", "nps"), ("After closing", "csat"), ("Onboarding", "custom"))
_MACROS = ("Ask for logs", "Say thanks", "Escalate", "Known incident", "Refund")
_GROUPS = ("Replies", "Billing", "Incidents")
_TOPICS = ("Getting started", "Integrations", "Billing", "Troubleshooting")
_SOURCES = ("Public website", "Internal handbook", "Release notes")
_PROJECTS = ("Onboarding", "Migration", "Expansion", "Renewal")
_MILESTONES = ("Kickoff held", "Data imported", "Team trained", "Live")
_TASKS = ("Send the contract", "Import the users", "Set up single sign-on", "Train the team")
_WISHES = ("Dark mode", "Export as CSV", "Audit trail", "Single sign-on", "Webhooks for tasks")
_ACTIONS = ("user.login", "issue.deleted", "api_token.created", "account.merged")
_PROGRESS = ("not_started", "in_progress", "completed")
_PUBLIC: Fields = {
    "ai_agent_access": "inherit",
    "allowed_agent_ids": [],
    "visibility": "public",
}


def _day(n: int, hour: int = 0) -> str:
    """A moment of the nth day of a month that is taken for such times."""
    return f"2026-06-{n % 28 + 1:02d}T{hour:02d}:00:00Z"


def _call_recording(n: int, key: str) -> Fields:
    source = _RECORDERS[n % len(_RECORDERS)]
    return {
        "title": nth(_CALLS, n),
        "account_id": "",
        "source": source,
        "external_id": f"{source}-{n}",
        "url": f"https://{slug(source)}.example/calls/{n}",
        "summary": "They are happy with the import and ask for an export." if n % 3 else "",
        "start_time": _day(n, 10),
        "end_time": _day(n, 11),
        "duration_ms": 3_600_000,
        "participant_emails": [f"guest.{n}@customers.example", "ada.adeyemi@northwind.example"],
        "calendar_event_id": f"event-{n}" if n % 2 == 0 else "",
        "custom_fields": {},
    }


def _survey(n: int, key: str) -> Fields:
    _, kind = _SURVEYS[n % len(_SURVEYS)]
    return {"name": nth(tuple(name for name, _ in _SURVEYS), n), "type": kind}


def _survey_response(n: int, key: str) -> Fields:
    score = {"prompt": "How likely are you to recommend us?", "question_type": "score"}
    comment = {"prompt": "Why?", "question_type": "comment"}
    said = "Quick and friendly." if n % 2 == 0 else ""
    return {
        "account_id": "",
        "contact_id": "",
        "answers": [{**score, "value": str(n % 11)}, {**comment, "value": said}],
    }


def _collection(n: int, key: str) -> Fields:
    title = nth(_TOPICS, n)
    return {
        "title": title,
        "slug": slug(title),
        "description": f"All about {title.lower()}." if n % 2 == 0 else "",
        "icon": "book" if n % 2 == 0 else "",
        "parent_collection_id": "",
        "visibility_config": _PUBLIC,
    }


def _macro(n: int, key: str) -> Fields:
    actions = [{"type": "set_issue_state"}, {"type": "set_issue_tags"}] if n % 2 == 0 else []
    return {
        "name": nth(_MACROS, n),
        "macro_group_id": "",
        "text_html": f"<p>{nth(_MACROS, n)}, please.</p>",
        "text_type": ("reply", "note", "email")[n % 3],
        "actions": actions,
        "has_actions": bool(actions),
        "visibility": {"type": "everyone", "team_ids": [], "user_ids": []},
    }


def _macro_group(n: int, key: str) -> Fields:
    return {"title": nth(_GROUPS, n)}


def _training_data(n: int, key: str) -> Fields:
    document = {
        "id": f"document-{n}",
        "external_id": f"doc-{n}",
        "file_name": "handbook.pdf",
        "file_size": 48_213,
        "file_type": "application/pdf",
        "s3_key": f"training-data/{key}/handbook.pdf",
    }
    scraped = {
        "status": "completed",
        "last_scraped_at": _day(n, 4),
        "pages_scraped": 40,
        "total_pages": 42,
    }
    return {
        "name": nth(_SOURCES, n),
        "type": ("website", "documents")[n % 2],
        "visibility": ("public", "internal_only")[n % 2],
        "exclude_from_kb_search": n % 2 == 1,
        "documents": [document] if n % 2 else [],
        "scrape_status": None if n % 2 else scraped,
    }


def _project(n: int, key: str) -> Fields:
    return {
        "name": nth(_PROJECTS, n),
        "account": None,
        "owner_id": "",
        "description_html": "<p>From the contract to the first day of use.</p>",
        "status": _PROGRESS[n % len(_PROGRESS)],
        "start_date": _day(n),
        "end_date": _day(n + 14) if n % 2 == 0 else "",
        "is_archived": False,
        "archived_at": "",
        "customer_portal_visible": n % 2 == 0,
        "project_template": f"template-{n % 3}" if n % 2 == 0 else None,
        "custom_fields": {},
    }


def _milestone(n: int, key: str) -> Fields:
    return {
        "name": nth(_MILESTONES, n),
        "project": None,
        "account": None,
        "due_date": _day(n, 17) if n % 3 else "",
    }


def _task(n: int, key: str) -> Fields:
    return {
        "title": nth(_TASKS, n),
        "body_html": "<p>By the end of the week.</p>" if n % 2 == 0 else "",
        "status": _PROGRESS[n % len(_PROGRESS)],
        "account": None,
        "project": None,
        "milestone": None,
        "assignee": None,
        "parent_task_id": "",
        "due_date": _day(n, 17) if n % 3 else "",
        "customer_portal_visible": n % 2 == 1,
        "custom_fields": {},
    }


def _task_comment(n: int, key: str) -> Fields:
    return {
        "body_html": f"<p>Step {n + 1} is done.</p>",
        "author": None,
        "is_internal": n % 2 == 1,
        "last_edited_at": "",
    }


def _feature_request(n: int, key: str) -> Fields:
    return {
        "title": nth(_WISHES, n),
        "description": "Asked for in a call, and again in the survey." if n % 3 else "",
        "request_status": ("new", "in_progress", "closed", "archived")[n % 4],
        "account_ids": [],
        "portal_visible_to_account_ids": [],
        "evidence_count": n % 5,
        "custom_fields": {},
    }


def _follower(n: int, key: str) -> Fields:
    return {"type": "user"}


def _voice_call(n: int, key: str) -> Fields:
    return {
        "from_phone_number": f"+1555{n:07d}",
        "to_phone_number": "+15550100000",
        "duration_sec": 60 + n,
        "recordings": [],
    }


def _relationship(n: int, key: str) -> Fields:
    return {
        "child_account_id": "",
        "parent_account_id": "",
        "related_object_id": "",
        "relationship_type": ("parent_account", "partner_account")[n % 2],
    }


def _audit_log(n: int, key: str) -> Fields:
    action = _ACTIONS[n % len(_ACTIONS)]
    return {
        "action": action,
        "actor_user_id": "",
        "actor_contact_id": "",
        "object_type": action.partition(".")[0],
        "object_id": "",
        "source": ("dashboard", "api")[n % 2],
        "link": f"https://app.usepylon.com/settings/audit-logs/{n}" if n % 3 == 0 else "",
        "attributes": {"ip_address": f"192.0.2.{n % 256}"},
        "metadata": {"attempt": n % 3, "changed": ["name"]} if n % 2 == 0 else {},
    }


def _custom_object(n: int, key: str) -> Fields:
    return {"name": f"Object {n + 1}", "type": "", "custom_fields": {}, "relations": []}


FURTHER: dict[str, Callable[[int, str], Fields]] = {
    "call_recordings": _call_recording,
    "surveys": _survey,
    "survey_responses": _survey_response,
    "collections": _collection,
    "macros": _macro,
    "macro_groups": _macro_group,
    "training_data": _training_data,
    "projects": _project,
    "milestones": _milestone,
    "tasks": _task,
    "task_comments": _task_comment,
    "feature_requests": _feature_request,
    "issue_followers": _follower,
    "issue_voice_calls": _voice_call,
    "account_relationships": _relationship,
    "audit_logs": _audit_log,
    "custom_objects": _custom_object,
}
"""These streams, each with the fields of its nth record (counted from 0)."""
