"""What can happen in a workspace: the vocabulary of the tests that let anything happen.

Each change takes the desk, an issue and a number that picks whom it happens to. Those in CHANGES
show in updated_at, or in a list that every run reads whole; those in SILENT do not.
"""

from collections.abc import Callable
from typing import Any

from desk import Desk, open_issue


def pick(choices: Any, which: int) -> Any:
    return choices[which % len(choices)]


def _reply(desk: Desk, issue: str, which: int) -> None:
    author = pick([*desk.contacts, *desk.agents], which)
    desk.workspace.reply(issue, html=f"<p>Reply {which}.</p>", author=author)


def _note(desk: Desk, issue: str, which: int) -> None:
    author = pick(desk.agents, which)
    desk.workspace.reply(issue, html=f"<p>Note {which}.</p>", author=author, private=True)


def _attach(desk: Desk, issue: str, which: int) -> None:
    """To a new message, public or not; sometimes a file that another message has."""
    workspace, author = desk.workspace, pick(desk.agents, which)
    given = [url for one in workspace.messages(issue) for url in one.get("file_urls") or []]
    urls = [workspace.add_file(f"file {which}.txt", f"{workspace.clock()}".encode())]
    urls += [pick(given, which)] if given and which % 3 == 0 else []
    workspace.reply(
        issue, html="<p>See.</p>", author=author, private=which % 2 == 1, file_urls=urls
    )


def _attach_to_issue(desk: Desk, issue: str, which: int) -> None:
    """The issue's own list, which may leave out what it had."""
    workspace = desk.workspace
    stored = workspace.find_issue(issue)
    assert stored is not None
    had = stored.fields.get("attachment_urls") or []
    given = [url for one in workspace.messages(issue) for url in one.get("file_urls") or []]
    new = [workspace.add_file(f"issue {which}.pdf", b"%PDF")] if which % 2 else []
    urls = [*had[which % 3 :], *given[: which % 4], *new]
    workspace.change_issue(issue, attachment_urls=urls)


def _any_message(desk: Desk, issue: str, which: int, do: Callable[[str], None]) -> None:
    if messages := desk.workspace.messages(issue):
        do(pick(messages, which)["id"])


def _edit(desk: Desk, issue: str, which: int) -> None:
    workspace = desk.workspace
    text = f"<p>Edited {which} at {workspace.clock()}.</p>"
    _any_message(desk, issue, which, lambda one: workspace.edit_message(one, text))


def _redact(desk: Desk, issue: str, which: int) -> None:
    _any_message(desk, issue, which, desk.workspace.redact_message)


def _delete_message(desk: Desk, issue: str, which: int) -> None:
    _any_message(desk, issue, which, desk.workspace.delete_message)


def _delete_messages(desk: Desk, issue: str, which: int) -> None:
    for message in desk.workspace.messages(issue):
        desk.workspace.delete_message(message["id"])


def _update(desk: Desk, issue: str, which: int) -> None:
    state = pick(["closed", "waiting_on_you", "on_hold"], which)
    title = f"Title {which} at {desk.workspace.clock()}"
    desk.workspace.change_issue(issue, title=title, state=state, assignee=None)


def _hand_over(desk: Desk, issue: str, which: int) -> None:
    requester = pick([*desk.contacts, *desk.agents], which)
    account = pick(desk.accounts, which)
    desk.workspace.change_issue(issue, requester=requester, account=account, team=None)


def _tag(desk: Desk, issue: str, which: int) -> None:
    tags = [f"tag-{number}" for number in range(which % 4)]
    fields = {"priority": None if which % 2 else "low", "areas": ["export", f"area-{which}"]}
    desk.workspace.change_issue(issue, tags=tags, custom_fields=fields)


def _group(desk: Desk, issue: str, which: int) -> None:
    """The groups are updated too, for their lists of issues change."""
    workspace = desk.workspace
    stored = workspace.find_issue(issue)
    assert stored is not None
    others = [one for one in desk.issues if one != issue]
    groups = {stored.parent, pick(others, which)} - {None}
    workspace.change_issue(issue, parent_issue_group=pick(others, which))
    for group in sorted(filter(None, groups)):
        workspace.change_issue(group, title=f"Group {which} at {workspace.clock()}")


def _rate(desk: Desk, issue: str, which: int) -> None:
    desk.workspace.rate(issue, which % 5 + 1, "So & so")


def _thread(desk: Desk, issue: str, which: int) -> None:
    desk.workspace.add_thread(issue, name=f"channel-{which}")


def _newcomer(desk: Desk, issue: str, which: int) -> None:
    """A contact who is in no list that was read yet asks at once."""
    account = pick(desk.accounts, which)
    contact = desk.workspace.add("contacts", name=f"Newcomer {which}", account=account)
    desk.contacts.append(contact)
    desk.issues.append(
        desk.workspace.open_issue(title="New here", body_html="<p>Hi.</p>", requester=contact)
    )


def _account(desk: Desk, issue: str, which: int) -> None:
    desk.workspace.change(
        "accounts",
        pick(desk.accounts, which),
        name=f"Account {which} at {desk.workspace.clock()}",
        domains=[f"{number}.example" for number in range(which % 3)],
        tags=["big"] * (which % 2),
        custom_fields={"account.salesforce.Support_Tier__c": f"tier {which}"},
    )


def _contact(desk: Desk, issue: str, which: int) -> None:
    ids = [{"external_id": str(which), "label": "crm"}] * (which % 2)
    desk.workspace.change(
        "contacts",
        pick(desk.contacts, which),
        account=pick(desk.accounts, which),
        custom_fields={"vip": f"{which}"},
        external_ids=ids,
    )


def _lists(desk: Desk, issue: str, which: int) -> None:
    workspace = desk.workspace
    workspace.add("tags", value=f"tag {which} at {workspace.clock()}")
    workspace.add("users", name=f"Agent {which}")
    workspace.add("custom_fields", object_type="issue", slug=f"f{len(workspace.records('tags'))}")
    workspace.change("users", pick(desk.agents, which), status=f"status {which}")
    workspace.change("teams", desk.team, users=desk.agents[: which % 3])


def _articles(desk: Desk, issue: str, which: int) -> None:
    workspace = desk.workspace
    workspace.change_article(pick(desk.articles, which), title=f"Title {which}")
    base = workspace.add("knowledge_bases", title=f"Base {which}") if which % 3 else desk.base
    desk.articles.append(workspace.add_article(base, title=f"New {which}"))


def _tasks(desk: Desk, issue: str, which: int) -> None:
    """A task changes, with its project; a new one comes, with a comment."""
    workspace, account = desk.workspace, pick(desk.accounts, which)
    task = pick(workspace.listed("tasks"), which)
    workspace.change("tasks", task.key, title=f"Title {which}", assignee=pick(desk.agents, which))
    project = pick(workspace.listed("projects"), which)
    effort = {"effort": f"{which}"}
    workspace.change("projects", project.key, account=account, custom_fields=effort)
    new = workspace.add("tasks", title=f"New {which}", project=project.key)
    workspace.add_task_comment(new, body_html=f"<p>Step {which}.</p>", author=desk.contacts[0])
    comment = pick(workspace.listed("task_comments"), which)
    workspace.change_task_comment(comment.key, body_html=f"<p>Edited {which}.</p>")
    workspace.change("tasks", comment.parent, status="completed")


def _answers(desk: Desk, issue: str, which: int) -> None:
    workspace = desk.workspace
    if which % 3 == 0:
        workspace.add("surveys", name=f"Survey {which}")
    survey = pick(workspace.listed("surveys"), which).key
    workspace.add_survey_response(
        survey, account_id=pick(desk.accounts, which), contact_id=pick(desk.contacts, which)
    )


def _calls(desk: Desk, issue: str, which: int) -> None:
    """A call, and the summary of one that was lately."""
    workspace, account = desk.workspace, pick(desk.accounts, which)
    now = workspace.clock()
    workspace.add("call_recordings", title=f"Call {which}", account_id=account, start_time=now)
    lately = [
        call
        for call in workspace.listed("call_recordings")
        if call.created > 1000 * (now - 10 * 86400)
    ]
    call = pick(lately, which)
    workspace.change("call_recordings", call.key, start_time=now, summary=f"Said {which}.")


def _follow(desk: Desk, issue: str, which: int) -> None:
    workspace = desk.workspace
    workspace.add_follower(issue, pick([*desk.contacts, *desk.agents], which))
    stored = workspace.find_issue(issue)
    if stored and stored.source == "phone":
        workspace.add_voice_call(issue)


def _rest(desk: Desk, issue: str, which: int) -> None:
    """What is read whole in every run."""
    workspace, account = desk.workspace, pick(desk.accounts, which)
    workspace.add("feature_requests", title=f"Wish {which}", account_ids=[account])
    for stream, fields in {
        "feature_requests": {"account_ids": desk.accounts[: which % 3]},
        "macros": {"text_html": f"<p>Text {which}.</p>"},
        "milestones": {"name": f"Milestone {which}"},
        "collections": {"title": f"Collection {which}"},
        "training_data": {"documents": []},
        "custom_objects": {"custom_fields": {"size": f"{which}"}},
    }.items():
        record = pick(workspace.listed(stream), which)
        workspace.change(stream, record.key, **fields)
    workspace.add_custom_object("companies", name=f"Company {which}")
    workspace.add("audit_logs", actor_user_id=pick(desk.agents, which), object_id=account)


CHANGES: dict[str, Callable[[Desk, str, int], object]] = {
    "open": lambda desk, _, which: open_issue(desk, which),
    "reply": _reply,
    "note": _note,
    "attach": _attach,
    "attach to an issue": _attach_to_issue,
    "edit": _edit,
    "redact": _redact,
    "delete a message": _delete_message,
    "delete all messages": _delete_messages,
    "update": _update,
    "hand over": _hand_over,
    "tag": _tag,
    "group": _group,
    "rate": _rate,
    "start a thread": _thread,
    "newcomer": _newcomer,
    "account": _account,
    "contact": _contact,
    "lists": _lists,
    "articles": _articles,
    "tasks": _tasks,
    "answers": _answers,
    "calls": _calls,
    "follow": _follow,
    "rest": _rest,
}


def _reword(desk: Desk, issue: str, which: int) -> None:
    text = f"<p>Reworded {which} at {desk.workspace.clock()}.</p>"
    _any_message(
        desk, issue, which, lambda one: desk.workspace.edit_message(one, text, touch=False)
    )


def _redact_silently(desk: Desk, issue: str, which: int) -> None:
    _any_message(desk, issue, which, lambda one: desk.workspace.redact_message(one, touch=False))


def _delete_message_silently(desk: Desk, issue: str, which: int) -> None:
    _any_message(desk, issue, which, lambda one: desk.workspace.delete_message(one, touch=False))


def _move_message(desk: Desk, issue: str, which: int) -> None:
    """To a thread of the issue that may just have begun."""
    workspace = desk.workspace
    if which % 2 or not workspace.threads(issue):
        workspace.add_thread(issue, name=f"Elsewhere {which}", source="internal")
    thread = pick(workspace.threads(issue), which)["id"]
    notes = [one for one in workspace.messages(issue) if one["is_private"]]
    if notes:
        workspace.move_message(pick(notes, which)["id"], thread, touch=False)


def _delete_issue(desk: Desk, issue: str, which: int) -> None:
    if len(desk.issues) > 2:
        desk.workspace.delete_issue(issue)
        desk.issues.remove(issue)
        desk.gone.append(issue)


def _restore_issue(desk: Desk, issue: str, which: int) -> None:
    if desk.gone:
        back = desk.gone.pop(which % len(desk.gone))
        desk.workspace.restore_issue(back)
        desk.issues.append(back)


def _merge_issues(desk: Desk, issue: str, which: int) -> None:
    other = pick([one for one in desk.issues if one != issue], which)
    if len(desk.issues) > 2:
        desk.workspace.merge_issues(issue, other)
        desk.issues.remove(other)


def _merge_accounts(desk: Desk, issue: str, which: int) -> None:
    into, *others = desk.accounts
    if others:
        other = pick(others, which)
        desk.workspace.merge_accounts(into, [other])
        desk.accounts.remove(other)


def _move_issue(desk: Desk, issue: str, which: int) -> None:
    desk.workspace.change_issue(issue, account=pick(desk.accounts, which), touch=False)


def _rename(desk: Desk, issue: str, which: int) -> None:
    """A custom field gets another label, or another slug, which its values follow."""
    workspace = desk.workspace
    field = pick(workspace.listed("custom_fields"), which)
    workspace.change("custom_fields", field.key, label=f"Label {which} at {workspace.clock()}")
    workspace.change_issue(
        issue, custom_fields={"areas": None, f"areas_{which}": ["import"]}, touch=False
    )


_LISTS = ["tags", "teams", "contacts", "accounts", "ticket_forms", "custom_fields", "users"]


def _remove(desk: Desk, issue: str, which: int) -> None:
    """A record goes that others may go on naming, but not all of its kind."""
    workspace = desk.workspace
    stream = pick(_LISTS, which)
    records = workspace.listed(stream, deactivated=True)
    named = {*desk.accounts[:1], *desk.contacts[:1], *desk.agents, desk.team}
    if gone := [one.key for one in records[1:] if one.key not in named]:
        key = pick(gone, which)
        workspace.remove(stream, key)
        desk.removed.append((stream, key))
        for keys in (desk.accounts, desk.contacts):
            if key in keys:
                keys.remove(key)


_FURTHER = [
    *("tasks", "projects", "milestones", "survey_responses", "surveys", "call_recordings"),
    *("feature_requests", "macros", "macro_groups", "custom_objects", "task_comments"),
    *("issue_followers", "account_relationships"),
]


def _remove_further(desk: Desk, issue: str, which: int) -> None:
    workspace = desk.workspace
    stream = pick(_FURTHER, which)
    if gone := workspace.listed(stream)[1:]:
        key = pick(gone, which).key
        workspace.remove(stream, key)
        desk.removed.append((stream, key))


def _quiet_children(desk: Desk, issue: str, which: int) -> None:
    """What no updated_at tells of."""
    workspace = desk.workspace
    person = pick([*desk.contacts, *desk.agents], which)
    workspace.add_follower(issue, person, touch=False)
    task = pick(workspace.listed("tasks"), which).key
    workspace.add_task_comment(task, body_html=f"<p>Quiet {which}.</p>", touch=False)


def _remove_article(desk: Desk, issue: str, which: int) -> None:
    if len(desk.articles) > 1:
        article = desk.articles.pop(which % len(desk.articles))
        desk.workspace.remove_article(article)
        desk.removed.append(("articles", article))


def _restore(desk: Desk, issue: str, which: int) -> None:
    if desk.removed:
        desk.workspace.restore(*desk.removed.pop(which % len(desk.removed)))


def _deactivate(desk: Desk, issue: str, which: int) -> None:
    desk.workspace.deactivate_user(pick(desk.agents, which))


def _reactivate(desk: Desk, issue: str, which: int) -> None:
    desk.workspace.reactivate_user(pick(desk.agents, which))


SILENT: dict[str, Callable[[Desk, str, int], object]] = {
    "reword": _reword,
    "redact silently": _redact_silently,
    "delete a message silently": _delete_message_silently,
    "move a message": _move_message,
    "delete an issue": _delete_issue,
    "restore an issue": _restore_issue,
    "merge issues": _merge_issues,
    "merge accounts": _merge_accounts,
    "move an issue": _move_issue,
    "rename": _rename,
    "remove": _remove,
    "remove an article": _remove_article,
    "remove further": _remove_further,
    "follow quietly": _quiet_children,
    "restore": _restore,
    "deactivate": _deactivate,
    "reactivate": _reactivate,
}
