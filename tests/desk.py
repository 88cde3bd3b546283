"""A small support desk for the tests of the engine, with something in every table."""

from dataclasses import dataclass, field

from pylon_to_sqlite.sandbox.workspace import Workspace


@dataclass
class Desk:
    """The ids of what the desk holds."""

    workspace: Workspace
    agents: list[str]
    team: str
    accounts: list[str]
    contacts: list[str]
    base: str
    articles: list[str]
    issues: list[str]
    gone: list[str] = field(default_factory=list)
    """Issues that were deleted, but may come back."""
    removed: list[tuple[str, str]] = field(default_factory=list)
    """Other records that were removed: their streams and keys."""


def open_desk(workspace: Workspace, issues: int = 4) -> Desk:
    """Fill an empty workspace."""
    role = workspace.add("user_roles", name="Agent")
    agents = [workspace.add("users", name=name, role=role) for name in ("Ann", "Bo")]
    team = workspace.add("teams", name="First line", users=agents)
    workspace.add("teams", name="Nobody yet", users=[])
    for stream in ("tags", "ticket_forms", "activity_types", "issue_statuses"):
        workspace.add(stream)
    for object_type in ("issue", "account", "contact"):
        workspace.add("custom_fields", object_type=object_type, slug=f"{object_type}.field")
    accounts = [
        workspace.add(
            "accounts",
            name=name,
            owner=agents[0],
            tags=["big", "old"],
            domains=["a.example", "b.example"],
            external_ids=[{"external_id": "7", "label": "crm"}],
            custom_fields={"account.salesforce.Support_Tier__c": "gold"},
        )
        for name in ("Quarry", "Harbour")
    ]
    contacts = [
        workspace.add(
            "contacts",
            name=name,
            account=account,
            custom_fields={"vip": "true"},
            external_ids=[{"external_id": name, "label": "crm"}],
        )
        for name, account in zip(("Zoë", "Yusuf", "李娜"), [*accounts, accounts[0]], strict=True)
    ]
    base = workspace.add("knowledge_bases", title="Help")
    articles = [
        workspace.add_article(base, title=f"Article {number}", author_user_id=agents[1])
        for number in range(3)
    ]
    desk = Desk(workspace, agents, team, accounts, contacts, base, articles, [])
    for number in range(issues):
        open_issue(desk, number)
    open_the_rest(desk)
    return desk


def open_the_rest(desk: Desk) -> None:
    """Two of each kind of record beyond support itself."""
    workspace, (account, *_), (contact, *_) = desk.workspace, desk.accounts, desk.contacts
    for number in range(2):
        add_the_rest(workspace, number, desk.base, account, contact, desk.agents[0])


def add_the_rest(
    workspace: Workspace, number: int, base: str, account: str, contact: str, agent: str
) -> None:
    """One of each kind of record beyond support itself, each naming others."""
    outer = workspace.add_collection(base, title=f"Outer {number}")
    workspace.add_collection(base, title=f"Inner {number}", parent_collection_id=outer)
    group = workspace.add("macro_groups", title=f"Group {number}")
    workspace.add("macros", name=f"Macro {number}", macro_group_id=group)
    workspace.add("training_data", name=f"Handbook {number}")
    project = workspace.add("projects", name=f"Project {number}", account=account, owner_id=agent)
    milestone = workspace.add(
        "milestones", name=f"Milestone {number}", account=account, project=project
    )
    assignee = agent if number % 2 else contact
    task = workspace.add(
        "tasks",
        title=f"Task {number}",
        account=account,
        project=project,
        milestone=milestone,
        assignee=assignee,
    )
    workspace.add("tasks", title=f"Part of {number}", parent_task_id=task)
    workspace.add("feature_requests", title=f"Wish {number}", account_ids=[account])
    survey = workspace.add("surveys", name=f"Survey {number}")
    workspace.add_survey_response(survey, account_id=account, contact_id=contact)
    workspace.add("call_recordings", title=f"Call {number}", account_id=account)
    add_the_optional(workspace, number, task, account, contact, agent)


def add_the_optional(
    workspace: Workspace, number: int, task: str, account: str, contact: str, agent: str
) -> None:
    """One of each kind of record that is mirrored only where somebody asks for it."""
    author = contact if number % 2 else agent
    workspace.add_task_comment(task, body_html=f"<p>Step {number}.</p>", author=author, touch=False)
    others = [one.key for one in workspace.listed("accounts") if one.key != account]
    workspace.add_relationship(account, others[number % len(others)])
    workspace.add("audit_logs", actor_user_id=agent, object_id=account)
    workspace.add_custom_object(
        "companies",
        name=f"Company {number}",
        custom_fields={"size": f"{number}"},
        relations=[{"object_type": "account", "object_id": account}],
    )


def open_issue(desk: Desk, number: int) -> str:
    """One more issue with a conversation; every third is a user's own."""
    workspace = desk.workspace
    requester = [*desk.contacts[:2], desk.agents[0]][number % 3]
    issue = workspace.open_issue(
        title=f"Question {number}",
        body_html=f"<p>Why {number}?</p><p>It was fine before.</p>",
        account=desk.accounts[number % 2],
        requester=requester,
        type=["conversation", "ticket"][number % 2],
        assignee=desk.agents[number % 2],
        team=desk.team,
        tags=["bug", f"tag-{number % 3}"],
        source="phone" if number % 3 == 2 else "email",
        custom_fields={"priority": "high", "areas": ["import", "export"]},
        attachment_urls=[
            workspace.add_file(f"log {number}.txt", b"It said no."),
            f"https://elsewhere.example/{number}/picture.png?width=100",
        ],
    )
    shot = workspace.add_file(f"shot {number}.png", b"\x89PNG%d" % number)
    ledger = workspace.add_file(f"ledger {number}.csv", b"customer,owes\nQuarry,%d" % number)
    workspace.reply(
        issue, html=f"<p>Because {number}.</p>", author=desk.agents[0], file_urls=[shot]
    )
    workspace.reply(
        issue,
        html="<p>Careful: late payer.</p>",
        author=desk.agents[1],
        private=True,
        file_urls=[ledger, shot],
    )
    workspace.reply(issue, html="<p>I am a bot.</p>", author_name="Helper")
    follow(desk, issue, number)
    desk.issues.append(issue)
    return issue


def follow(desk: Desk, issue: str, number: int) -> None:
    """Have a user follow the issue, with a contact every other time; every third came by phone."""
    workspace = desk.workspace
    for person in (desk.agents[number % 2], *desk.contacts[: number % 2]):
        workspace.add_follower(issue, person, touch=False)
    if number % 3 == 2:
        said = [{"speaker": "agent", "text": f"Hello {number}."}]
        recording = {"id": workspace.new_id(), "transcript_segments": said}
        workspace.add_voice_call(issue, recordings=[recording] * (number % 2), touch=False)
