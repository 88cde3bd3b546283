"""What syncs saw of how issues changed."""

from pathlib import Path
from typing import Any

from desk import Desk
from mirroring import DAY, die, rows, sync

from pylon_to_sqlite.sandbox.api import Api

CHANGES = 'SELECT issue_id, "column", old, new FROM issue_changes ORDER BY id'


def changes(path: Path) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in rows(path, CHANGES)]


def test_changes_of_an_issue_are_noted_when_they_are_seen(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """Old and new, once; a new issue has none, nor has what changed back in between."""
    assert changes(mirror) == []
    workspace, (first, second) = desk.workspace, desk.issues[:2]
    workspace.change_issue(first, state="on_hold", assignee=desk.agents[1], team=None)
    workspace.change_issue(first, custom_fields={"priority": "urgent"}, tags=["bug", "tag-0", "x"])
    workspace.change_issue(second, account=desk.accounts[0], type="conversation", title="Other")
    workspace.change_issue(desk.issues[2], state="closed")
    workspace.change_issue(desk.issues[2], state="new")
    clock.sleep(DAY)
    assert die(mirror, api, clock, 2, "issues", answered=True)
    sync(mirror, api, clock)
    assert sorted(changes(mirror)) == sorted(
        [
            (first, "state", "new", "on_hold"),
            (first, "assignee_id", desk.agents[0], desk.agents[1]),
            (first, "team_id", desk.team, None),
            (first, "tags", '["bug", "tag-0"]', '["bug", "tag-0", "x"]'),
            (first, "priority", "high", "urgent"),
            (second, "account_id", desk.accounts[1], desk.accounts[0]),
            (second, "type", "ticket", "conversation"),
        ]
    )
    seen = {row["seen_at"] for row in rows(mirror, "SELECT seen_at FROM issue_changes")}
    assert len(seen) == 1
    clock.sleep(DAY)
    sync(mirror, api, clock, full=True)
    assert len(changes(mirror)) == 7


def test_moves_without_a_sign_are_noted_when_issues_are_compared(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    desk.workspace.merge_accounts(desk.accounts[0], desk.accounts[1:])
    clock.sleep(60)
    sync(mirror, api, clock, reconcile=True)
    assert sorted(changes(mirror)) == sorted(
        (issue, "account_id", desk.accounts[1], desk.accounts[0]) for issue in desk.issues[1::2]
    )
