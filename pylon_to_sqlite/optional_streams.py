"""Streams that are mirrored only where somebody asks for them: most cost a request a record."""

from datetime import timedelta

from pylon_to_sqlite.further_streams import TASKS
from pylon_to_sqlite.stream import (
    PAGE,
    Belonging,
    Column,
    Link,
    Recent,
    Stream,
    fields,
    on_its_side,
    plain,
    reference,
)
from pylon_to_sqlite.support_streams import ACCOUNTS, ISSUE_MESSAGES, ISSUES

# Nobody knows whether these parents' updated_at tells of their children. (Nor of followers; but
# reading them again for all issues would take a request for each.)
A_WEEK = timedelta(days=7)


ISSUE_FOLLOWERS = Stream(
    "issue_followers",
    "/issues/{id}/followers",
    "Who follows an issue.",
    (
        reference("issue_id", "issues", "The issue."),
        *fields("text", id="The user's or contact's id.", type="user or contact."),
        reference("user_id", "users", "Who follows, where it is a user."),
        reference("contact_id", "contacts", "Who follows, where it is a contact."),
    ),
    label="id",
    key=("issue_id", "id"),
    belongs=Belonging(ISSUES, "issue_id", "updated_at"),
    is_optional=True,
    shaped=lambda record: on_its_side(record, "type", "id"),
)

ISSUE_VOICE_CALLS = Stream(
    "issue_voice_calls",
    "/issues/{id}/voice-calls",
    "Calls of issues that came by phone; what was said is in issue_voice_call_recordings.",
    (
        *fields("text", id="The call's id."),
        reference("issue_id", "issues", "The issue."),
        *fields("text", from_phone_number="Who called.", to_phone_number="What was dialled."),
        *fields("integer", duration_sec="How long it took, seconds."),
        *fields("time", created_at="When it was recorded, UTC."),
    ),
    label="created_at",
    # Recordings are left out until their transcript is there.
    belongs=Belonging(
        *(ISSUES, "issue_id", "updated_at", ("source", "phone")),
        # Of an issue that was merged into one which came otherwise.
        only_by=ISSUE_MESSAGES,
        again_after=A_WEEK,
    ),
    is_optional=True,
    links=(
        Link(
            "issue_voice_call_recordings",
            "recordings",
            Column("issue_voice_call_id", "The call.", refers="issue_voice_calls"),
            (
                Column("position", "Place in Pylon's list, from 0.", "integer"),
                *fields("text", id="The recording's id."),
                *fields("array", transcript_segments="What was said, a JSON array of objects."),
                *fields(
                    "address", download_url="Where it is, without the signature that opens it."
                ),
            ),
            "objects",
            "Recordings of calls, with what was said.",
        ),
    ),
)

TASK_COMMENTS = Stream(
    "task_comments",
    "/tasks/{id}/comments",
    "Comments on tasks: public ones, and internal ones (is_internal = 1).",
    (
        *fields("text", id="The comment's id."),
        reference("task_id", "tasks", "The task.", path="task_id"),
        *fields("boolean", is_internal="0: the customer sees it. 1: only the team does."),
        reference("author_user_id", "users", "Its author, a user.", "author.user.id"),
        reference("author_contact_id", "contacts", "Its author, a contact.", "author.contact.id"),
        *fields("html", body_html="What was written, HTML."),
        plain("body_text", "body_html", "What was written, as text."),
        *fields("time", created_at="When it was written, UTC.", updated_at="Last change, UTC."),
        *fields("time", last_edited_at="Last edit, UTC."),
    ),
    label="body_text",
    belongs=Belonging(TASKS, "task_id", "updated_at", again_after=A_WEEK),
    is_optional=True,
)

ACCOUNT_RELATIONSHIPS = Stream(
    "account_relationships",
    "/accounts/{id}/relationships",
    "Which accounts stand below or beside others.",
    (
        *fields("text", id="The relationship's id."),
        reference("child_account_id", "accounts", "The lower account.", path="child_account_id"),
        reference("parent_account_id", "accounts", "The upper one.", path="parent_account_id"),
        reference("related_object_id", "accounts", "The other one.", path="related_object_id"),
        *fields("text", relationship_type="parent_account or partner_account."),
        *fields("time", created_at="When it was created, UTC.", updated_at="Last change, UTC."),
    ),
    label="relationship_type",
    # Pylon gives those in which an account is the lower one.
    belongs=Belonging(ACCOUNTS, "child_account_id", "updated_at", again_after=A_WEEK),
    is_optional=True,
)

AUDIT_LOGS = Stream(
    "audit_logs",
    "/audit-logs/search",
    "Who did what in Pylon.",
    (
        *fields("text", id="The entry's id.", action="What was done, such as user.login."),
        reference("actor_user_id", "users", "Who did it, a user.", path="actor_user_id"),
        reference("actor_contact_id", "contacts", "… a contact.", path="actor_contact_id"),
        *fields("text", object_type="Kind of what it was done to.", object_id="Its id."),
        *fields("text", source="Where it was done, such as dashboard or api."),
        *fields("text", link="Where it can be looked at."),
        *fields("object", attributes="More of it, as JSON.", metadata="More of it, as JSON."),
        *fields("time", action_happened_at="When it was done, UTC."),
        *fields("time", created_at="When it was written down, UTC."),
    ),
    label="action",
    limit=PAGE,
    # Entries are written down late, and nobody takes them back.
    recent=Recent("action_happened_at", timedelta(days=1), None),
    is_optional=True,
)
