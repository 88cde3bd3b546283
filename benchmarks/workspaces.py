"""Workspaces of any size for the benchmarks, and what is to be expected of their mirrors."""

import time
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from benchmarks.letters import Letters
from pylon_to_sqlite.sandbox.workspace import Workspace

DAY = 86_400.0
# What was created so long ago, the last of it more than a day: no mirror reads it twice.
_OLDEST, _YOUNGEST = 180 * DAY, 2 * DAY
_LATEST_REPLY = 1.5 * DAY
_SOURCES = ("email", "email", "slack", "chat_widget")
_STATES = ("closed", "closed", "closed", "waiting_on_customer", "waiting_on_you")
_TAGS = ("bug", "billing", "how-to", "outage", "security", "feature-request", "onboarding")
_PLANS = ("free", "team", "enterprise")
_AREAS = ("import", "export", "login", "billing")


class Counts(NamedTuple):
    """Rows of the three large tables."""

    issues: int
    messages: int
    threads: int


class _People(NamedTuple):
    """Who writes, and whose they are."""

    agents: list[str]
    teams: list[str]
    contacts: list[tuple[str, str]]
    """Each with its account."""


def workspace(
    issues: int, messages: int, *, clock: Callable[[], float] = time.time, seed: int = 0
) -> Workspace:
    """A workspace of so many issues with so many messages each, all of it older than a day.

    The same for the same seed and time.
    """
    made = Workspace(clock, seed=seed)
    now, random, letters = clock(), Random(seed), Letters(seed)
    people = _settle(made, issues, now - _OLDEST, random)
    step = (_OLDEST - _YOUNGEST) / max(1, issues)
    for number in range(issues):
        at = now - _OLDEST + number * step
        _converse(made, people, letters, random, number, messages, at, now - _LATEST_REPLY)
    return made


def change(changed: Workspace, share: float) -> int:
    """Let that share of the issues, spread over all, get a reply now. Answers how many they are."""
    keys = [issue.id for issue in changed.newest_issues()]
    chosen = keys[:: max(1, round(1 / share))]
    letters = Letters(len(chosen), pool=100)
    for number, key in enumerate(chosen):
        changed.reply(key, html=letters.message(number), author_name="Helper")
    return len(chosen)


def counts(counted: Workspace) -> Counts:
    """What a mirror of the workspace must hold."""
    with counted.lock:
        issues = list(counted.newest_issues())
    return Counts(
        len(issues),
        sum(len(issue.messages) for issue in issues),
        sum(len(issue.threads) for issue in issues),
    )


def _settle(made: Workspace, issues: int, at: float, random: Random) -> _People:
    """Everything but issues: people, lists, and a knowledge base."""
    roles = [made.add("user_roles", at=at) for _ in range(3)]
    agents = [made.add("users", role=random.choice(roles), at=at) for _ in range(12)]
    teams = [made.add("teams", users=agents[n::4], at=at) for n in range(4)]
    for stream, many in (("issue_statuses", 5), ("ticket_forms", 2), ("activity_types", 3)):
        for _ in range(many):
            made.add(stream, at=at)
    for tag in _TAGS:
        made.add("tags", value=tag, at=at)
    _define_fields(made, at)
    base = made.add("knowledge_bases", at=at)
    letters = Letters(1, pool=200)
    for number in range(30):
        html = "".join(letters.message(number) for _ in range(5))
        fields = {"author_user_id": random.choice(agents), "current_published_content_html": html}
        made.add_article(base, at=at, **fields)
    return _People(agents, teams, _customers(made, issues, agents, at, random))


def _define_fields(made: Workspace, at: float) -> None:
    for object_type in ("issue", "account", "contact"):
        for label, kind in (("Plan", "select"), ("Areas", "multiselect"), ("Order", "text")):
            made.add("custom_fields", object_type=object_type, label=label, type=kind, at=at)


def _customers(
    made: Workspace, issues: int, agents: list[str], at: float, random: Random
) -> list[tuple[str, str]]:
    """Contacts with their accounts: one account for about fifty issues, five contacts each."""
    accounts = [
        made.add(
            "accounts",
            owner=random.choice(agents),
            tags=random.sample(_TAGS, 2),
            custom_fields={"plan": random.choice(_PLANS)},
            at=at,
        )
        for _ in range(issues // 50 + 5)
    ]
    return [
        (made.add("contacts", account=account, custom_fields={"order": str(n)}, at=at), account)
        for account in accounts
        for n in range(5)
    ]


def _converse(
    made: Workspace,
    people: _People,
    letters: Letters,
    random: Random,
    number: int,
    messages: int,
    at: float,
    latest: float,
) -> None:
    """An issue and its conversation, in which each fifth message is a private note."""
    contact, account = random.choice(people.contacts)
    agent = random.choice(people.agents)
    issue = made.open_issue(
        title=letters.title(),
        body_html=letters.message(number),
        account=account,
        requester=contact,
        type="ticket" if number % 3 == 0 else "conversation",
        source=random.choice(_SOURCES),
        assignee=agent,
        team=random.choice(people.teams),
        tags=random.sample(_TAGS, number % 3),
        custom_fields={"plan": random.choice(_PLANS), "areas": random.sample(_AREAS, 2)},
        at=at,
    )
    if number % 4 == 0:
        made.add_thread(issue, name="Escalation", at=at)
    for nth in range(1, messages):
        at = min(at + random.uniform(600, 20_000), latest)
        is_note = nth % 5 == 4
        author = agent if nth % 2 or is_note else contact
        made.reply(issue, html=letters.message(nth), author=author, private=is_note, at=at)
    if number % 10 == 0:
        made.rate(issue, 1 + number // 10 % 5, "Quick and friendly.", at=at)
    made.change_issue(issue, state=random.choice(_STATES), at=at)
