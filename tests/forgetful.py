"""What a mirror must hold of a workspace once something was forgotten, worked out a second time."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirroring import rows
from oracle import Expected

from pylon_to_sqlite.forgetting import Done, forget
from pylon_to_sqlite.sandbox.workspace import Workspace

NOW = "2026-07-02T12:00:00Z"

# By the name of a column, whose record it names; the row goes when that does.
GOES_WITH = {
    **dict.fromkeys(("contact_id", "author_contact_id", "requester_id"), "contacts"),
    "actor_contact_id": "contacts",
    **dict.fromkeys(("account_id", "parent_account_id", "child_account_id"), "accounts"),
    "related_object_id": "accounts",
    **dict.fromkeys(("issue_id", "child_issue_id"), "issues"),
    "message_id": "issue_messages",
    "project_id": "projects",
    "milestone_id": "milestones",
    **dict.fromkeys(("task_id", "parent_task_id"), "tasks"),
    "survey_response_id": "survey_responses",
    "call_recording_id": "call_recordings",
    "issue_voice_call_id": "issue_voice_calls",
}
# In an entry of the audit log, of whatever kind.
OBJECTS = ("accounts", "contacts", "issues")
EMPTIED = {"assignee_contact_id": "contacts", "parent_issue_group_id": "issues"}


def yes(plan: Any) -> bool:
    return True


def forget_it(path: Path, kind: str, who: str, **options: Any) -> Done:
    done = forget(path, kind, who, NOW, options.pop("agree", yes), **options)
    assert done is not None
    return done


def words(path: Path) -> bytes:
    """All that is on the disk: the file, what is beside it, and directories of files."""
    found = [one for one in sorted(path.parent.rglob("*")) if one.is_file()]
    return b"".join(str(one.name).encode() + one.read_bytes() for one in found)


def found_in(path: Path, traces: Iterable[bytes]) -> list[bytes]:
    """Which of these words are on the disk, however they are written."""
    content = words(path).lower()
    return [trace for trace in traces if trace.lower() in content]


@dataclass
class Less:
    """Takes from the workspace's rows what is forgotten: these records, by stream, with all of
    theirs; and these addresses."""

    workspace: Workspace
    gone: dict[str, set[str]]
    addresses: set[str] = field(default_factory=set)

    def __call__(self, found: Expected) -> Expected:
        for table in found:
            self.gone.setdefault(table, set())
        for participant in found["call_recording_participants"]:
            if participant["email"] in self.addresses:
                self.gone["call_recordings"].add(participant["call_recording_id"])
        for contact in found["contacts"]:
            if contact["email"] in self.addresses:
                self.gone["contacts"].add(contact["id"])
        before = -1
        while before != (before := sum(map(len, self.gone.values()))):
            found = {table: self._left(table, there) for table, there in found.items()}
        for issue in found["issues"]:
            self._leave_no_trace(issue)
        return {
            table: [
                {name: self._clean(name, value) for name, value in row.items()} for row in there
            ]
            for table, there in found.items()
        }

    def _left(self, table: str, there: list[dict[str, Any]]) -> list[dict[str, Any]]:
        left = []
        for row in there:
            if not self._goes(table, row):
                left.append(row)
            elif table != "issue_followers" and "id" in row:
                self.gone[table].add(row["id"])
        return left

    def _goes(self, table: str, row: dict[str, Any]) -> bool:
        if table != "issue_followers" and row.get("id") in self.gone[table]:
            return True
        if table == "audit_logs" and any(row["object_id"] in self.gone[one] for one in OBJECTS):
            return True
        return any(
            row.get(name) is not None and row[name] in self.gone.get(target, ())
            for name, target in GOES_WITH.items()
        )

    def _leave_no_trace(self, issue: dict[str, Any]) -> None:
        for message in self.workspace.messages(issue["id"]):
            if message["id"] not in self.gone["issue_messages"]:
                continue
            if message["message_html"] == issue["body_html"]:
                issue.update(body_html=None, body_text=None)
            files = {url.split("?")[0] for url in message.get("file_urls") or []}
            urls = json.loads(issue["attachment_urls"] or "[]")
            left = [url for url in urls if url not in files]
            issue["attachment_urls"] = json.dumps(left, ensure_ascii=False) if left else None

    def _clean(self, name: str, value: Any) -> Any:
        if name in EMPTIED and value in self.gone[EMPTIED[name]]:
            return None
        if isinstance(value, str):
            # One may end with another.
            for address in sorted(self.addresses, key=len, reverse=True):
                for written in (address, address.title(), address.replace("@", "%40")):
                    value = value.replace(written, "[forgotten]")
        return value


def forgotten(path: Path) -> dict[str, set[str]]:
    """The ids that the file remembers, by stream."""
    found: dict[str, set[str]] = {}
    for row in rows(path, "SELECT stream, key FROM _pylon_forgotten"):
        found.setdefault(row["stream"], set()).add(row["key"])
    return found
