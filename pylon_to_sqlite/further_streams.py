"""Streams beyond support itself: calls, surveys, projects, and what answers are written with."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pylon_to_sqlite.stream import (
    PAGE,
    Belonging,
    Column,
    Link,
    Recent,
    Stream,
    custom_fields,
    fields,
    objects,
    on_its_side,
    plain,
    reference,
    values,
)

CALL_RECORDINGS = Stream(
    "call_recordings",
    "/call-recordings/search",
    "Calls that were recorded, with their summaries; these come some time after the call.",
    (
        *fields("text", id="The recording's id.", title="Title.", source="Recorder, such as gong."),
        reference("account_id", "accounts", "The customer's company.", path="account_id"),
        *fields("time", start_time="When the call began, UTC.", end_time="When it ended, UTC."),
        *fields("integer", duration_ms="How long it took, milliseconds."),
        *fields("array", participant_emails="Who took part, a JSON array of addresses."),
        *fields("text", summary="What was said, in short.", url="Where it can be heard."),
        *fields("text", external_id="Its id at the recorder.", calendar_event_id="The meeting."),
        *fields("time", created_at="When Pylon got it, UTC.", updated_at="Last change, UTC."),
    ),
    label="title",
    limit=PAGE,
    # Summaries come after the call, and nothing but its beginning can be asked for.
    recent=Recent("start_time", timedelta(days=14)),
    links=(
        values(
            "call_recording",
            "call_recording_participants",
            "participant_emails",
            Column("email", "Address of somebody who took part."),
        ),
        custom_fields("call_recording"),
    ),
)

SURVEYS = Stream(
    "surveys",
    "/surveys",
    "Surveys that are sent to customers.",
    (
        *fields("text", id="The survey's id.", name="Name.", type="nps, csat or custom."),
        *fields("time", updated_at="When it last changed, UTC."),
    ),
    label="name",
)

SURVEY_RESPONSES = Stream(
    "survey_responses",
    "/surveys/{id}/responses",
    "What customers answered to surveys; the answers stand in survey_answers.",
    (
        *fields("text", id="The response's id."),
        reference("survey_id", "surveys", "The survey."),
        reference("account_id", "accounts", "The company of who answered.", path="account_id"),
        reference("contact_id", "contacts", "Who answered.", path="contact_id"),
        *fields("time", submitted_at="When it was sent, UTC."),
    ),
    label="submitted_at",
    belongs=Belonging(SURVEYS, "survey_id"),
    limit=PAGE,
    recent=Recent("submitted_after"),
    links=(
        Link(
            "survey_answers",
            "answers",
            Column("survey_response_id", "The response.", refers="survey_responses"),
            (
                Column("position", "Place in the response, from 0.", "integer"),
                *fields("text", prompt="What was asked.", question_type="Kind of question."),
                *fields("text", value="What was answered."),
            ),
            "objects",
            "Answers to surveys, one row a question.",
        ),
    ),
)

MACRO_GROUPS = Stream(
    "macro_groups",
    "/macro-groups",
    "Folders of macros.",
    (
        *fields("text", id="The group's id.", title="Name."),
        *fields("time", created_at="When it was created, UTC.", updated_at="Last change, UTC."),
    ),
    label="title",
)

MACROS = Stream(
    "macros",
    "/macros",
    "Texts and actions that agents answer with.",
    (
        *fields("text", id="The macro's id.", name="Name."),
        reference("macro_group_id", "macro_groups", "Its group.", path="macro_group_id"),
        *fields("text", text_type="reply, note or email."),
        *fields("html", text_html="The text, HTML."),
        plain("text", "text_html", "The text."),
        *fields("boolean", has_actions="1 where it does something too."),
        *fields("array", actions="What it does, a JSON array."),
        *fields("object", visibility="Who can use it, as JSON."),
        *fields("time", created_at="When it was created, UTC.", updated_at="Last change, UTC."),
    ),
    label="name",
)

TRAINING_DATA = Stream(
    "training_data",
    "/training-data",
    "What Pylon's AI answers from.",
    (
        *fields("text", id="Id.", name="Name.", type="Kind.", visibility="Who may see it."),
        *fields("boolean", exclude_from_kb_search="1: not for searches of knowledge bases."),
        *fields("object", scrape_status="How far it was read, as JSON."),
        *fields("time", created_at="When it was created, UTC.", updated_at="Last change, UTC."),
    ),
    label="name",
    links=(
        Link(
            "training_data_documents",
            "documents",
            Column("training_data_id", "The training data.", refers="training_data"),
            (
                Column("position", "Place in Pylon's list, from 0.", "integer"),
                *fields("text", id="The document's id.", external_id="Id where it is from."),
                *fields("text", file_name="Name of the file.", file_type="Its type."),
                *fields("integer", file_size="Its size, bytes."),
                *fields("text", s3_key="Where Pylon keeps it."),
            ),
            "objects",
            "Documents of training data.",
        ),
    ),
)

PROJECTS = Stream(
    "projects",
    "/projects/search",
    "Projects with customers, such as onboardings.",
    (
        *fields("text", id="The project's id.", name="Name."),
        reference("account_id", "accounts", "The customer's company."),
        reference("owner_id", "users", "Who leads it.", path="owner_id"),
        *fields("html", description_html="Description, HTML."),
        plain("description_text", "description_html", "Description."),
        *fields("time", start_date="When it begins.", end_date="When it is to end."),
        *fields("boolean", is_archived="1 where archived."),
        *fields("time", archived_at="When it was archived, UTC."),
        *fields("boolean", customer_portal_visible="1 where the customer portal shows it."),
        Column("project_template_id", "The template it was made of.", path="project_template.id"),
        *fields("time", created_at="When it was created, UTC.", updated_at="Last change, UTC."),
    ),
    label="name",
    limit=PAGE,
    recent=Recent("updated_at"),
    links=(custom_fields("project"),),
)

MILESTONES = Stream(
    "milestones",
    "/milestones/search",
    "Milestones of projects.",
    (
        *fields("text", id="The milestone's id.", name="Name."),
        reference("account_id", "accounts", "The customer's company."),
        reference("project_id", "projects", "The project."),
        *fields("time", due_date="When it is due."),
        *fields("time", created_at="When it was created, UTC.", updated_at="Last change, UTC."),
    ),
    label="name",
    limit=PAGE,
)

TASKS = Stream(
    "tasks",
    "/tasks/search",
    "Tasks, of projects or by themselves.",
    (
        *fields("text", id="The task's id.", title="Title.", status="State."),
        *fields("html", body_html="Description, HTML."),
        plain("body_text", "body_html", "Description."),
        reference("account_id", "accounts", "The customer's company."),
        reference("project_id", "projects", "The project."),
        reference("milestone_id", "milestones", "The milestone."),
        reference("assignee_user_id", "users", "Who does it, a user.", "assignee.user.id"),
        reference("assignee_contact_id", "contacts", "… a contact.", "assignee.contact.id"),
        reference("parent_task_id", "tasks", "The task it is a part of.", path="parent_task_id"),
        *fields("array", subtask_ids="Its parts, a JSON array of ids."),
        *fields("time", due_date="When it is due."),
        *fields("boolean", customer_portal_visible="1 where the customer portal shows it."),
        *fields("time", created_at="When it was created, UTC.", updated_at="Last change, UTC."),
    ),
    label="title",
    limit=PAGE,
    recent=Recent("updated_at"),
    links=(custom_fields("task"),),
)

FEATURE_REQUESTS = Stream(
    "feature_requests",
    "/feature-requests/search",
    "What customers wish for; which accounts asked is in feature_request_accounts.",
    (
        *fields("text", id="The request's id.", title="Title.", description="Description."),
        *fields("text", request_status="State, such as new."),
        *fields("array", account_ids="Who asked, a JSON array of account ids."),
        *fields("array", portal_visible_to_account_ids="Who sees it, a JSON array of account ids."),
        *fields("integer", evidence_count="How often it was asked for."),
        *fields("time", created_at="When it was created, UTC.", updated_at="Last change, UTC."),
    ),
    label="title",
    limit=1000,
    is_cut_off=True,
    links=(
        values(
            "feature_request",
            "feature_request_accounts",
            "account_ids",
            Column("account_id", "An account that asked.", refers="accounts"),
        ),
        custom_fields("feature_request"),
    ),
)

ORGANIZATION = Stream(
    "organization",
    "/me",
    "Whose workspace this is: one row.",
    (
        *fields("text", id="The organisation's id.", name="Its name."),
        Column("user_id", "The user of the token that read it last.", path="user.id"),
        Column("user_email", "That user's address.", path="user.email"),
    ),
    label="name",
    is_one=True,
)


def _with_related(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A custom object whose relations are references, where they are to records of Pylon's own."""
    found = record.get("relations")
    if not isinstance(found, list):
        return record
    related = [
        on_its_side(one, "object_type", "object_id") if isinstance(one, dict) else one
        for one in found
    ]
    return {**record, "relations": related}


CUSTOM_OBJECTS = Stream(
    "custom_objects",
    "/custom-objects/{type}",
    "Records of the workspace's own kinds; Pylon does not list the kinds, so you name them.",
    (
        *fields("text", id="The object's id.", type="Its kind.", name="Name."),
        *fields("time", created_at="When it was created, UTC.", updated_at="Last change, UTC."),
    ),
    label="name",
    each=("type", ()),
    # The highest that this endpoint takes.
    limit=100,
    links=(
        custom_fields("custom_object"),
        objects(
            "custom_object",
            "relations",
            "What a custom object is linked to.",
            *fields("text", object_type="Kind of the other: account, ….", object_id="Its id."),
            reference("account_id", "accounts", "The other, where it is an account."),
            reference("contact_id", "contacts", "… a contact."),
            reference("issue_id", "issues", "… an issue."),
            reference("user_id", "users", "… a user."),
        ),
    ),
    shaped=_with_related,
)
