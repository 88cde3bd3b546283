"""What a record holds when nobody says otherwise: one line of plausible content for every field.

Empty text is "", an empty object or number None, an empty list []: `payloads` decides from that
in which of Pylon's ways the field is left unset.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .further_defaults import FURTHER
from .naming import nth, person, slug
from .records import Fields

_COMPANIES = (
    "Alder Robotics", "Blue Harbor Foods", "Cobalt Freight", "Delta Looms", "Evergreen Clinics",
    "Foxglove Media", "Granite Insurance", "Heron Analytics", "Indigo Rail", "Juniper Credit",
)  # fmt: skip
_TAGS = ("bug", "billing", "feature-request", "how-to", "outage", "security", "onboarding")
_COLORS = ("#e5484d", "#30a46c", "#0090ff", "#ffb224", "#8e4ec6")
_TEAMS = ("Tier 1", "Tier 2", "Billing", "Platform", "Success")
_ROLES = ("Admin", "Member", "Viewer", "Billing Manager")
_ACTIVITIES = ("Call", "Demo", "Onsite Visit", "Renewal", "QBR")
_STATUSES = (
    ("new", "new"), ("waiting_on_you", "waiting_on_you"), ("on_hold", "on_hold"),
    ("waiting_on_customer", "waiting_on_customer"), ("closed", "closed"),
)  # fmt: skip


def _account(n: int, key: str) -> Fields:
    name = nth(_COMPANIES, n)
    domain = f"{slug(name)}.example"
    channel = {
        "channel_id": f"C{n:08d}",
        "channel_name": f"ext-{slug(name)}",
        "channel_url": f"https://northwind.slack.com/archives/C{n:08d}",
        "is_internal": False,
        "is_primary": True,
        "mirror_to": {"channel_id": f"T{n:08d}", "source": "slack"} if n % 4 == 0 else None,
        "source": "slack",
    }
    return {
        "name": name,
        "type": "customer",
        "domain": domain,
        "domains": [domain] if n % 5 != 4 else [],
        "primary_domain": domain,
        "owner": None,
        "channels": [channel] if n % 2 == 0 else [],
        "crm_settings": (
            {"details": [{"id": f"001{n:012d}", "source": "salesforce"}]} if n % 3 == 0 else None
        ),
        "custom_fields": {},
        "external_ids": [{"external_id": f"ext-{n}", "label": "billing"}] if n % 3 == 0 else [],
        "tags": ["enterprise"] if n % 3 == 0 else [],
        "is_disabled": False,
        "latest_customer_activity_time": "",
    }


def _contact(n: int, key: str) -> Fields:
    name = person(n)
    email = f"{slug(name, '.')}.{n}@customers.example"
    phone = f"+1555{n % 10_000_000:07d}" if n % 3 == 0 else ""
    return {
        "name": name,
        "email": email,
        "emails": [email],
        "avatar_url": f"https://assets.usepylon.com/avatars/{key}.png" if n % 2 == 0 else "",
        "account": None,
        "custom_fields": {},
        "external_ids": [{"external_id": f"person-{n}", "label": "app"}] if n % 4 == 0 else [],
        "integration_user_ids": [{"id": f"U{n:08d}", "source": "slack"}] if n % 2 == 0 else [],
        "phone_numbers": [phone] if phone else [],
        "primary_phone_number": phone,
        "portal_role": ("member", "no_access", "admin")[n % 3],
        "portal_role_id": f"portal-role-{n % 3}" if n % 2 == 0 else "",
    }


def _user(n: int, key: str) -> Fields:
    name = person(n + 5)
    email = f"{slug(name, '.')}.{n}@northwind.example"
    return {
        "name": name,
        "email": email,
        "emails": [email],
        "avatar_url": f"https://assets.usepylon.com/avatars/{key}.png" if n % 2 == 0 else "",
        "role": None,
        "status": ("active", "away", "out_of_office")[n % 3],
    }


def _team(n: int, key: str) -> Fields:
    return {"name": nth(_TEAMS, n), "users": []}


def _tag(n: int, key: str) -> Fields:
    return {
        "value": slug(nth(_TAGS, n)),
        "object_type": "issue",
        "hex_color": _COLORS[n % len(_COLORS)],
    }


def _custom_field(n: int, key: str) -> Fields:
    label = f"Field {n + 1}"
    return {
        "label": label,
        "slug": slug(label, "_"),
        "type": "text",
        "object_type": "issue",
        "description": "",
        "source": "pylon",
        "is_read_only": False,
        "default_value": "",
        "default_values": [],
        "select_metadata": None,
        "number_metadata": None,
    }


def _knowledge_base(n: int, key: str) -> Fields:
    title = f"Help Center {n + 1}" if n else "Help Center"
    return {
        "title": title,
        "slug": slug(title),
        "default_language": "en",
        "supported_languages": ["en"] if n % 2 == 0 else [],
    }


def _article(n: int, key: str) -> Fields:
    title = f"How to set things up, part {n + 1}"
    html = f"<h1>{title}</h1><p>Start with the settings page.</p>"
    return {
        "title": title,
        "slug": slug(title),
        "identifier": str(1000 + n),
        "url": f"https://help.northwind.example/articles/{1000 + n}",
        "author_user_id": "",
        "collection_id": "",
        "current_draft_content_html": html,
        "current_published_content_html": html,
        "is_published": True,
        "is_unlisted": False,
        "tags": [],
        "approval_info": None,
        "visibility_config": {
            "ai_agent_access": "inherit",
            "allowed_agent_ids": [],
            "visibility": "public",
        },
    }


def _ticket_form(n: int, key: str) -> Fields:
    name = f"Contact us {n + 1}" if n else "Contact us"
    subject = {"name": "Subject", "slug": "subject", "type": "text", "description_html": ""}
    return {
        "name": name,
        "slug": slug(name),
        "description_html": "<p>We answer within a day.</p>" if n % 2 == 0 else "",
        "fields": [subject],
        "is_public": True,
        "url": f"https://support.northwind.example/forms/{slug(name)}",
    }


def _user_role(n: int, key: str) -> Fields:
    name = nth(_ROLES, n)
    return {"name": name, "slug": slug(name, "_")}


def _activity_type(n: int, key: str) -> Fields:
    label = nth(_ACTIVITIES, n)
    icon = f"https://assets.usepylon.com/icons/{slug(label)}.svg" if n % 2 == 0 else ""
    return {"label": label, "slug": slug(label, "_"), "icon_url": icon}


def _issue_status(n: int, key: str) -> Fields:
    known = n < len(_STATUSES)
    name, category = _STATUSES[n] if known else (f"custom_status_{n}", "on_hold")
    return {
        "slug": name,
        "label": name.replace("_", " ").capitalize(),
        "category": category,
        "is_archived": False,
        "is_default_status": known,
    }


DEFAULTS: dict[str, Callable[[int, str], Fields]] = {
    "accounts": _account,
    "contacts": _contact,
    "users": _user,
    "teams": _team,
    "tags": _tag,
    "custom_fields": _custom_field,
    "knowledge_bases": _knowledge_base,
    "articles": _article,
    "ticket_forms": _ticket_form,
    "user_roles": _user_role,
    "activity_types": _activity_type,
    "issue_statuses": _issue_status,
    **FURTHER,
}
"""The flat streams, each with the fields of its nth record (counted from 0)."""

TIMES: dict[str, tuple[str, ...]] = {
    "accounts": ("created_at", "updated_at"),
    "custom_fields": ("created_at", "updated_at"),
    "articles": ("created_at", "last_edited_at"),
    "call_recordings": ("created_at", "updated_at"),
    "surveys": ("", "updated_at"),
    "survey_responses": ("submitted_at",),
    "collections": ("created_at",),
    "macros": ("created_at", "updated_at"),
    "macro_groups": ("created_at", "updated_at"),
    "training_data": ("created_at", "updated_at"),
    "projects": ("created_at", "updated_at"),
    "milestones": ("created_at", "updated_at"),
    "tasks": ("created_at", "updated_at"),
    "task_comments": ("created_at", "updated_at"),
    "feature_requests": ("created_at", "updated_at"),
    "issue_voice_calls": ("created_at",),
    "account_relationships": ("created_at", "updated_at"),
    "audit_logs": ("created_at", "action_happened_at"),
    "custom_objects": ("created_at", "updated_at"),
}
"""How a stream names the time of a record's creation ("" for not at all) and, where it has one, of
its last change."""


def _alone(value: str) -> list[str]:
    return [value] if value else []


def _under(text: str) -> str:
    return slug(text, "_")


def _domain(name: str) -> str:
    return f"{slug(name)}.example"


def _options(kind: str) -> Fields | None:
    if kind not in ("select", "multiselect"):
        return None
    labels = ("High", "Low")
    return {
        "options": [
            {"label": label, "slug": slug(label, "_"), "ai_description": f"{label} matters."}
            for label in labels
        ]
    }


def _number(kind: str) -> Fields | None:
    if kind == "decimal":
        return {"format": "currency", "currency": "USD", "decimal_places": 2}
    if kind == "number":
        return {
            "format": "duration",
            "decimal_places": 0,
            "duration_display_format": "hours",
            "duration_input_unit": "minutes",
        }
    return None


FOLLOWS: dict[str, tuple[tuple[str, str, Callable[[str], Any]], ...]] = {
    "accounts": (
        ("domain", "name", _domain),
        ("domains", "domain", _alone),
        ("primary_domain", "domain", str),
    ),
    "contacts": (("emails", "email", _alone),),
    "users": (("emails", "email", _alone),),
    "custom_fields": (
        ("slug", "label", _under),
        ("select_metadata", "type", _options),
        ("number_metadata", "type", _number),
    ),
    "knowledge_bases": (("slug", "title", slug),),
    "articles": (
        ("slug", "title", slug),
        ("current_draft_content_html", "current_published_content_html", str),
    ),
    "ticket_forms": (("slug", "name", slug),),
    "user_roles": (("slug", "name", _under),),
    "activity_types": (("slug", "label", _under),),
    "issue_statuses": (("slug", "label", _under),),
    "collections": (("slug", "title", slug),),
    "macros": (("has_actions", "actions", bool),),
    "account_relationships": (("related_object_id", "parent_account_id", str),),
}
"""Fields that follow from another one which was given: (field, the one given, how)."""


def new_fields(stream: str, n: int, key: str, given: Fields) -> Fields:
    """The fields of a stream's nth record: what is given, what follows from it, and defaults."""
    given = dict(given)
    for field, source, follow in FOLLOWS.get(stream, ()):
        if field not in given and source in given:
            given[field] = follow(given[source])
    return {**DEFAULTS[stream](n, key), **given}
