"""A workspace and everything that happens in it: issues, replies, edits, merges, deletions."""

from __future__ import annotations

import copy
import threading
import time
from bisect import insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from .belongings import Belongings
from .directory import locked, readable
from .files import FILES_HOST
from .payloads import fresh, issue_payload, message_payload, thread_payload, varied
from .records import Fields, Issue, Message, Thread, merged_custom_fields
from .timeline import Position, Timeline
from .times import business_seconds

_ATTRIBUTES = frozenset(
    ("title", "body_html", "type", "source", "account", "requester", "assignee", "team")
)
_REDACTED = "<p><em>This message has been redacted.</em></p>"


class Workspace(Belongings):
    """One organization's Pylon: change it with these methods, and `api.Api` serves what it holds.

    `at` is everywhere the epoch second at which something happens, by default the clock's now.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        *,
        name: str = "Northwind Support",
        organization_id: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(clock, seed=seed)
        self.organization: Fields = {
            "id": organization_id or self.new_id(),
            "name": name,
            "user": {"id": self.new_id(), "email": "api@northwind.example"},
        }
        self.files: dict[str, bytes] = {}  # by path, see files.py
        self._issues: dict[str, Issue] = {}
        self._ids: dict[int, str] = {}  # by number
        self._deleted: dict[str, Issue] = {}
        self._messages: dict[str, Message] = {}
        self._created, self._updated = Timeline(), Timeline()

    @locked
    def open_issue(
        self,
        *,
        title: str,
        body_html: str,
        account: str | None = None,
        requester: str | None = None,
        type: str = "conversation",
        source: str = "email",
        assignee: str | None = None,
        team: str | None = None,
        tags: Sequence[str] = (),
        custom_fields: Mapping[str, str | list[str]] | None = None,
        at: float | None = None,
        **fields: Any,
    ) -> str:
        """Open an issue, whose body is also its first message. Answers its id."""
        if requester is not None and requester not in self.book.people:
            raise ValueError(f"requester {requester!r} is neither a contact nor a user")
        ms, key = self.moment(at), self.new_id()
        number = len(self.book.numbers) + 1
        issue = Issue(
            key, number, ms, ms, title, body_html, type, source, account, requester, state_since=ms
        )
        self.book.numbers[key] = number
        self._ids[number], self._issues[key] = key, issue
        self._created.put(key, ms)
        given = {"assignee": assignee, "team": team, "tags": tags, **fields}
        self._set(issue, {**given, "custom_fields": custom_fields or {}}, ms)
        files = fields.get("attachment_urls") or ()
        self._write(issue, ms, html=body_html, author=requester, file_urls=files)
        self._touch(issue, ms)
        return key

    @locked
    def reply(
        self,
        issue: str,
        *,
        html: str,
        author: str | None = None,
        author_name: str | None = None,
        private: bool = False,
        thread: str | None = None,
        file_urls: Sequence[str] = (),
        at: float | None = None,
    ) -> str:
        """Write a message, or a private note into an internal thread. Answers its id."""
        target, ms = self._issues[issue], self.moment(at)
        if author is not None and author not in self.book.people:
            raise ValueError(f"author {author!r} is neither a contact nor a user")
        message = self._write(
            target, ms, html=html, author=author, author_name=author_name or "",
            private=private, file_urls=file_urls,
        )  # fmt: skip
        if private:
            message.thread = thread or self._internal_thread(target)
        target.touches += 1
        if author is not None and self.book.people[author].kind == "user":
            self._count_work(target, message)
        self._touch(target, ms)
        return message.id

    @locked
    def add_thread(
        self,
        issue: str,
        *,
        name: str,
        source: str = "slack",
        at: float | None = None,
        **fields: Any,
    ) -> str:
        """Start an internal thread, by default one mirrored in Slack. Answers its id."""
        target, ms, key = self._issues[issue], self.moment(at), self.new_id()
        chat = source != "internal"
        channel = {
            "channel_id": f"C{varied(key, 'channel', 10**8):08d}" if chat else "",
            "thread_id": f"{ms / 1000:.6f}" if chat else "",
        }
        target.threads.append(Thread(key, {"name": name, "source": source, **channel, **fields}))
        self._touch(target, ms)
        return key

    @locked
    def change_issue(
        self, issue: str, *, at: float | None = None, touch: bool = True, **fields: Any
    ) -> None:
        """Change an issue; `touch=False` leaves its updated_at alone, as merges do."""
        target, ms = self._issues[issue], self.moment(at)
        self._set(target, fields, ms)
        if touch:
            self._touch(target, ms)

    @locked
    def rate(self, issue: str, score: int, comment: str = "", *, at: float | None = None) -> None:
        """Answer the satisfaction survey of an issue."""
        self._issues[issue].csat.append({"score": score, "comment": comment})
        self._touch(self._issues[issue], self.moment(at))

    @locked
    def edit_message(
        self, message: str, html: str, *, at: float | None = None, touch: bool = True
    ) -> None:
        """Replace the text of a message."""
        self._messages[message].html = html
        self._touch_around(message, at, touch)

    @locked
    def redact_message(self, message: str, *, at: float | None = None, touch: bool = True) -> None:
        """Replace the text of a message by a notice, and drop its files."""
        self._messages[message].html = _REDACTED
        self._messages[message].file_urls = []
        self._touch_around(message, at, touch)

    @locked
    def move_message(
        self, message: str, thread: str, *, at: float | None = None, touch: bool = True
    ) -> None:
        """Move a private note to another internal thread of its issue."""
        self._messages[message].thread = thread
        self._touch_around(message, at, touch)

    @locked
    def delete_message(self, message: str, *, at: float | None = None, touch: bool = True) -> None:
        """Delete a message; nothing of the issue but updated_at shows it."""
        self._touch_around(message, at, touch)
        gone = self._messages.pop(message)
        self._issues[gone.issue].messages.remove(gone)

    @locked
    def delete_issue(self, issue: str) -> None:
        """Delete an issue, its messages and its threads without a trace."""
        gone = self._issues[issue]
        self._set_parent(gone, None)
        for child in gone.children:
            self._issues[child].parent = None
        for message in gone.messages:
            del self._messages[message.id]
        self._created.drop(issue)
        self._updated.drop(issue)
        gone.children.clear()
        self._deleted[issue] = gone
        del self._issues[issue], self._ids[gone.number]

    @locked
    def restore_issue(self, issue: str) -> None:
        """Bring back an issue that was deleted, with its messages; its updated_at does not move."""
        back = self._deleted.pop(issue)
        self._issues[issue], self._ids[back.number] = back, issue
        self._messages.update({message.id: message for message in back.messages})
        self._created.put(issue, back.created)
        self._updated.put(issue, back.updated)

    @locked
    def merge_accounts(self, into: str, others: Sequence[str]) -> None:
        """Move issues and contacts of other accounts into one; their updated_at does not move."""
        self._record("accounts", into)
        for issue in self._issues.values():
            if issue.account in others:
                issue.account = into
        for contact in self.listed("contacts"):
            if contact.fields["account"] in others:
                contact.fields["account"] = into
        for other in others:
            self.remove("accounts", other)

    @locked
    def merge_issues(self, into: str, other: str, *, at: float | None = None) -> None:
        """Move the messages and threads of another issue into one; the other vanishes."""
        target, gone = self._issues[into], self._issues[other]
        for message in gone.messages:
            message.issue = into
            insort(target.messages, message, key=_age)
        target.threads.extend(gone.threads)
        target.touches += gone.touches
        target.latest_message = max(target.latest_message or 0, gone.latest_message or 0) or None
        gone.messages = []
        for follower in self.children("issue_followers", other):
            self.remove("issue_followers", follower.key)
            self.add_follower(into, follower.fields["id"], at=follower.created / 1000, touch=False)
        self._hand_over("issue_voice_calls", other, into)
        self.delete_issue(other)
        self._touch(target, self.moment(at))

    def records(self, stream: str) -> list[Fields]:
        """The records of a stream, as the API gives them now."""
        if stream != "issues":
            return super().records(stream)
        with self.lock:
            return [self.issue_payload(issue) for issue in self.newest_issues()]

    @locked
    def messages(self, issue: str) -> list[Fields]:
        """The messages of an issue as the API gives them now, oldest first."""
        target = self._issues[issue]
        return [message_payload(message, target, self.book) for message in target.messages]

    @locked
    def threads(self, issue: str) -> list[Fields]:
        """The internal threads of an issue as the API gives them now."""
        return [thread_payload(thread, issue) for thread in self._issues[issue].threads]

    def issue_payload(self, issue: Issue) -> Fields:
        """An issue as the API gives it now."""
        return issue_payload(issue, self.book)

    def resolved(self, stream: str, key: str) -> str | None:
        """The key of the record that a path may mean by `key`, or None when there is none."""
        if stream != "issues":
            return super().resolved(stream, key)
        issue = self.find_issue(key)
        return issue.id if issue else None

    def find_issue(self, id_or_number: str) -> Issue | None:
        """An issue by its id or its number."""
        key = self._ids.get(int(id_or_number)) if id_or_number.isdecimal() else id_or_number
        return self._issues.get(key or "")

    def newest_issues(
        self, before: Position | None = None, updated: tuple[int, int] | None = None
    ) -> Iterator[Issue]:
        """Issues by creation from the newest back, from the first one older than `before`.

        `updated` says that only issues updated in that span (ends included) will be wanted: when
        they are few, they are sorted instead of walking past all the others.
        """
        if updated is not None:
            found = self._updated.between(*updated)
            if len(found) * 4 < len(self._issues):
                few = sorted(((self._issues[key].created, key) for _, key in found), reverse=True)
                return (self._issues[at[1]] for at in few if before is None or at < before)
        return (self._issues[key] for _, key in self._created.newest(before))

    def add_file(self, name: str, content: bytes) -> str:
        """Keep a file of this content. Answers its address, for `file_urls` and the like."""
        path = f"/{self.new_id()}/{name}"
        self.files[path] = content
        return f"https://{FILES_HOST}{quote(path)}"

    @locked
    def snapshot(self) -> Workspace:
        """A copy that stays as the workspace is now, its clock included."""
        own = {name: value for name, value in vars(self).items() if name not in ("lock", "clock")}
        twin, now = object.__new__(type(self)), self.clock()
        vars(twin).update(copy.deepcopy(own), lock=threading.RLock(), clock=lambda: now)
        return twin

    def _set(self, issue: Issue, fields: Mapping[str, Any], ms: int) -> None:
        for name, value in readable(fresh(dict(fields))).items():
            if name in _ATTRIBUTES:
                setattr(issue, name, value)
            elif name == "tags":
                issue.tags = list(value or ())
            elif name == "custom_fields":
                issue.custom_fields = merged_custom_fields(issue.custom_fields, value)
            elif name == "parent_issue_group":
                self._set_parent(issue, value)
            elif name == "state":
                _enter(issue, value, ms)
            else:
                issue.fields[name] = value

    def _set_parent(self, issue: Issue, parent: str | None) -> None:
        if issue.parent is not None:
            self._issues[issue.parent].children.remove(issue.id)
        if parent is not None:
            self._issues[parent].children.append(issue.id)
        issue.parent = parent

    def _write(
        self, issue: Issue, ms: int, *, html: str, author: str | None, author_name: str = "",
        private: bool = False, file_urls: Sequence[str] = (),
    ) -> Message:  # fmt: skip
        if issue.messages and issue.messages[-1].at >= ms:
            taken = {message.at for message in issue.messages}
            while ms in taken:  # what is written later stays later, even on a clock that stands
                ms += 1
        message = Message(
            self.new_id(), issue.id, ms, html, author, author_name, issue.source, private,
            file_urls=list(file_urls),
        )  # fmt: skip
        insort(issue.messages, message, key=_age)
        self._messages[message.id] = message
        issue.latest_message = max(issue.latest_message or ms, ms)
        return message

    def _internal_thread(self, issue: Issue) -> str:
        for thread in issue.threads:
            if thread.fields["source"] == "internal":
                return thread.id
        thread = Thread(self.new_id(), {"name": "Internal notes", "source": "internal"})
        thread.fields.update(channel_id="", thread_id="")
        issue.threads.append(thread)
        return thread.id

    def _count_work(self, issue: Issue, message: Message) -> None:
        if issue.first_response is None and not message.private:
            issue.first_response = message.at
        author = message.author or ""
        seconds, at_work = issue.active.get(author, (0, 0))
        spent = 60 + varied(message.id, "seconds", 240)
        working = min(business_seconds(message.at, message.at + spent * 1000), spent)
        issue.active[author] = (seconds + spent, at_work + working)

    def _touch_around(self, message: str, at: float | None, touch: bool) -> None:
        if touch:
            self._touch(self._issues[self._messages[message].issue], self.moment(at))

    def _touch_parent(self, stream: str, key: str, ms: int) -> None:
        if stream != "issues":
            super()._touch_parent(stream, key, ms)
        else:
            self._touch(self._issues[key], ms)

    def _touch(self, issue: Issue, ms: int) -> None:
        issue.updated = max(issue.updated, ms)
        issue.updates.append(issue.updated)
        self._updated.put(issue.id, issue.updated)


def _age(message: Message) -> Position:
    return message.at, message.id


def _enter(issue: Issue, state: str, ms: int) -> None:
    """Put an issue into a state, and book the time spent in the one it leaves."""
    if state == issue.state:
        return
    left, since = issue.state, issue.state_since
    worked = business_seconds(since, ms)
    issue.seconds_in[left] = issue.seconds_in.get(left, 0) + (ms - since) // 1000
    issue.business_seconds_in[left] = issue.business_seconds_in.get(left, 0) + worked
    issue.state, issue.state_since = state, ms
    issue.resolution = ms if state == "closed" else None
