"""Sets up the desk of the sample: settings, staff, customers and the knowledge bases."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timezone
from random import Random
from typing import Any

from ..workspace import Workspace
from .people import Customer, Person, Staff
from .scripts import Chunk, chunks, data, html

_DAY = 86_400
_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "\u0131": "i", "đ": "d", "ð": "d", "æ": "ae", "ß": "ss"}
)
_TIERS = {"Starter": "Community", "Growth": "Standard", "Scale": "Priority", "Enterprise": "Gold"}


def settings(workspace: Workspace, start: float) -> None:
    """Tags, statuses, custom fields, ticket forms and activity types."""
    desk = data("desk.json")
    for object_type, colors in desk["tags"].items():
        for value, color in colors.items():
            workspace.add("tags", value=value, object_type=object_type, hex_color=color, at=start)
    for status in desk["statuses"]:
        known = {"is_default_status": True, "is_archived": False, **status}
        workspace.add("issue_statuses", at=start, **known)
    for label in desk["activity_types"]:
        workspace.add("activity_types", label=label, at=start)
    custom_fields(workspace, desk["custom_fields"], start)
    for form in desk["forms"]:
        url = f"https://support.northwind.example/forms/{_address(form['name'], '-')}"
        form["fields"] = [_form_field(slug) for slug in form["fields"]]
        workspace.add("ticket_forms", at=start, url=url, **form)


def custom_fields(workspace: Workspace, fields: list[dict[str, Any]], start: float) -> None:
    """Custom fields as they are in the files, where options are labels by their slugs."""
    for field in fields:
        options = field.pop("options", {})
        if options:
            named = [
                {"slug": slug, "label": label, "ai_description": ""}
                for slug, label in options.items()
            ]
            field["select_metadata"] = {"options": named}
        workspace.add("custom_fields", at=start, **field)


def _form_field(slug: str) -> dict[str, str]:
    types = {"priority": "select", "product_area": "multiselect", "description": "richtext"}
    name = slug.replace("_", " ").capitalize()
    return {"name": name, "slug": slug, "type": types.get(slug, "text"), "description_html": ""}


def staff(workspace: Workspace, start: float, now: float) -> Staff:
    """The people of the desk, their roles and teams."""
    desk = data("desk.json")
    roles = {role["slug"]: workspace.add("user_roles", at=start, **role) for role in desk["roles"]}
    people: dict[str, Person] = {}
    for key, about in desk["users"].items():
        email = about.get("email") or f"{_address(about['name'])}@northwind.example"
        user = workspace.add(
            "users",
            name=about["name"],
            email=email,
            role=roles[about["role"]],
            status="active",
            at=start,
        )
        left = now - about["left_days"] * _DAY if "left_days" in about else float("inf")
        people[key] = Person(user, about["name"], about["call"], about["call"], left=left)
    teams: dict[str, tuple[str, list[Person]]] = {}
    for key, team in desk["teams"].items():
        members = [people[user] for user in team["users"]]
        staying = [person.id for person in members if person.left > now]
        team_id = workspace.add("teams", name=team["name"], users=staying, at=start)
        teams[key] = team_id, members
    return Staff(people, teams, [people[key] for key in desk["engineers"]])


def customers(workspace: Workspace, staff: Staff, random: Random, now: float) -> list[Customer]:
    """The accounts and their contacts."""
    found: list[Customer] = []
    for record in data("accounts.json"):
        age = random.uniform(20, 60) if "trial" in record["tags"] else random.uniform(200, 1100)
        created = now - age * _DAY
        channels = _channels(record, random)
        record["channel"] = channels[0]["channel_id"] if channels else ""
        account = workspace.add(
            "accounts",
            name=record["name"],
            domain=record["domain"],
            type="prospect" if "trial" in record["tags"] else "customer",
            owner=staff.people[record["owner"]].id,
            tags=record["tags"],
            is_disabled=record.get("disabled", False),
            channels=channels,
            external_ids=[{"external_id": f"0015g{random.randrange(10**10):010d}", "label": "crm"}],
            crm_settings={"details": [{"id": f"0015g{len(found):010d}", "source": "salesforce"}]},
            custom_fields=_account_fields(record, random, now),
            at=created,
        )
        people = [
            _contact(workspace, account, record, line.split("|"), created + place * 3600)
            for place, line in enumerate(record["contacts"])
        ]
        found.append(Customer(account, record, people, created))
    return found


def _account_fields(record: dict[str, Any], random: Random, now: float) -> dict[str, Any]:
    renewal = datetime.fromtimestamp(now + random.uniform(-5, 340) * _DAY, timezone.utc)
    fields = {
        "plan_tier": record["plan"].lower(),
        "renewal_date": f"{renewal:%Y-%m-%d}",
        "industry": record["industry"],
        "employees": str(record["employees"]),
        "region": record["region"].lower(),
        "warehouse": record["warehouse"],
        "connectors": [name.lower().replace(" ", "_") for name in record["sources"]],
        "account.salesforce.Support_Tier__c": _TIERS[record["plan"]],
    }
    return {**fields, "arr": str(record["arr"])} if record["arr"] else fields


def _channels(record: dict[str, Any], random: Random) -> list[dict[str, Any]]:
    if record["via"] not in ("slack", "microsoft_teams"):
        return []
    name = f"ext-{record['domain'].split('.')[0]}"
    number = f"C0{random.randrange(10**9):09d}"
    where = {
        "slack": f"https://northwind.slack.com/archives/{number}",
        "microsoft_teams": f"https://teams.microsoft.com/l/channel/{number}",
    }
    channel = {"channel_id": number, "channel_name": name, "channel_url": where[record["via"]]}
    return [{**channel, "is_internal": False, "is_primary": True, "source": record["via"]}]


def _contact(
    workspace: Workspace, account: str, record: dict[str, Any], about: list[str], at: float
) -> Person:
    name, title, calls = about[:3]
    formal, _, call = calls.partition("/")
    email = f"{about[3] if len(about) > 3 else _address(name)}@{record['domain']}"
    technical = any(word in title for word in ("Data", "Engineer", "IT", "Analy", "Architect"))
    contact = workspace.add(
        "contacts",
        name=name,
        email=email,
        account=account,
        custom_fields={"job_title": title, "technical": "true" if technical else "false"},
        at=at,
    )
    return Person(contact, name, formal, call or formal, title, record["name"])


def strangers(workspace: Workspace, start: float) -> dict[str, Person]:
    """People who write without belonging to an account."""
    people = {}
    for key, about in data("desk.json")["strangers"].items():
        contact = workspace.add("contacts", name=about["name"], email=about["email"], at=start)
        call = about.get("call", about["name"])
        people[key] = Person(contact, about["name"], call, call)
    return people


def library(workspace: Workspace, staff: Staff, random: Random, now: float) -> None:
    """The knowledge bases and their articles."""
    desk = data("desk.json")
    bases = {
        key: workspace.add("knowledge_bases", at=now - 700 * _DAY, **about)
        for key, about in desk["knowledge_bases"].items()
    }
    tags = {
        tag["value"]: tag for tag in workspace.records("tags") if tag["object_type"] == "article"
    }
    for article in chunks("articles.txt"):
        written = now - random.uniform(40, 600) * _DAY
        base = article.head.get("base", "help")
        key = workspace.add_article(bases[base], at=written, **_article(article, tags, staff))
        if random.random() < 0.6:
            edited = random.uniform(written, now)
            workspace.change_article(key, at=edited, title=article.title)


def _article(article: Chunk, tags: dict[str, Any], staff: Staff) -> dict[str, Any]:
    slug = _address(article.title, "-")
    body = html(article.body)
    published = article.head.get("state") != "draft"
    return {
        "title": article.title,
        "slug": slug,
        "url": f"https://docs.rillway.example/{article.head['about']}/{slug}",
        "author_user_id": staff.people[article.head["by"]].id,
        "tags": [tags[article.head["about"]]],
        "is_published": published,
        "current_draft_content_html": body,
        "current_published_content_html": body if published else "",
        "visibility_config": {
            "ai_agent_access": "inherit",
            "visibility": article.head.get("visibility", "public"),
        },
    }


def _address(name: str, joint: str = ".") -> str:
    """A name as the local part of an address: plain letters, joined by dots."""
    plain = unicodedata.normalize("NFKD", name.lower().translate(_PLAIN))
    spoken = (c for c in plain if c != "'" and not unicodedata.combining(c))
    kept = "".join(c if c.isascii() and c.isalnum() else " " for c in spoken)
    return joint.join(kept.split())
