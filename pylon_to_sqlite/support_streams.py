"""The streams of support itself: who asks, what they ask, what is answered, and by whom."""

from pylon_to_sqlite.stream import (
    PAGE,
    Belonging,
    Column,
    Link,
    Stream,
    custom_fields,
    decided,
    external_ids,
    fields,
    objects,
    plain,
    reference,
    values,
)

ACCOUNTS = Stream(
    "accounts",
    "/accounts",
    "Companies that are customers.",
    (
        *fields("text", id="The account's id.", name="Name of the company."),
        *fields("text", type="Pylon's kind of account, such as customer or partner."),
        *fields("text", domain="Main domain (older name of primary_domain)."),
        *fields("text", primary_domain="Main domain."),
        *fields("array", domains="All its domains, a JSON array; joined in account_domains."),
        *fields("array", tags="Tags, a JSON array; joined in account_tags."),
        reference("owner_id", "users", "The user who looks after it."),
        *fields("boolean", is_disabled="1 where the account is disabled."),
        *fields("array", channels="Chat channels shared with the account, a JSON array."),
        *fields("object", crm_settings="The account's records in CRM systems, as JSON."),
        *fields("time", created_at="When it was created, UTC."),
        *fields("time", updated_at="When it last changed, UTC."),
        *fields("time", latest_customer_activity_time="Last sign of the customer, UTC."),
    ),
    label="name",
    limit=PAGE,
    by_id=True,
    links=(
        values("account", "account_domains", "domains", Column("domain", "A domain.")),
        values("account", "account_tags", "tags", Column("tag", "As in tags.value.")),
        custom_fields("account"),
        external_ids("account"),
    ),
)

CONTACTS = Stream(
    "contacts",
    "/contacts",
    "People who write to support.",
    (
        *fields("text", id="The contact's id.", name="Full name.", email="Main email address."),
        reference("account_id", "accounts", "The company."),
        *fields("array", emails="All email addresses, a JSON array."),
        *fields("text", primary_phone_number="Main phone number."),
        *fields("array", phone_numbers="All phone numbers, a JSON array."),
        *fields("text", avatar_url="Picture."),
        *fields("text", portal_role="Rights in the customer portal: no_access, member, admin."),
        *fields("text", portal_role_id="Id of a portal role of the workspace's own."),
        *fields("array", integration_user_ids="Ids in chat systems, a JSON array of objects."),
    ),
    label="name",
    limit=PAGE,
    by_id=True,
    links=(custom_fields("contact"), external_ids("contact")),
)

USERS = Stream(
    "users",
    "/users",
    "Members of the support organisation, deactivated ones too.",
    (
        *fields("text", id="The user's id.", name="Full name.", email="Main email address."),
        *fields("array", emails="All email addresses, a JSON array."),
        reference("role_id", "user_roles", "The user's role."),
        *fields("text", status="Presence, such as active or away."),
        *fields("text", avatar_url="Picture."),
    ),
    label="name",
    # Who left is still named by issues and messages; where Pylon knows no such parameter, it is
    # ignored.
    params=(("include_deactivated", "true"),),
    by_id=True,
)

TEAMS = Stream(
    "teams",
    "/teams",
    "Teams of users.",
    fields("text", id="The team's id.", name="Name."),
    label="name",
    links=(
        Link(
            "team_members",
            "users",
            Column("team_id", "The team.", refers="teams"),
            (reference("user_id", "users", "A user in it.", path="id"),),
            "values",
            "Who is in which team.",
        ),
    ),
)

TAGS = Stream(
    "tags",
    "/tags",
    "Tags that are defined. Issues name them by value and may carry others.",
    (
        *fields("text", id="The tag's id.", value="The tag as issues and accounts carry it."),
        *fields(
            "text", object_type="What it is for: issue, account, article.", hex_color="Colour."
        ),
    ),
    label="value",
)

CUSTOM_FIELDS = Stream(
    "custom_fields",
    "/custom-fields",
    "Definitions of custom fields; the values stand in the …_custom_fields tables.",
    (
        *fields("text", object_type="What it is a field of: account, issue, contact, ….", id="Id."),
        *fields("text", slug="Its name in the values' tables.", label="Its name for people."),
        *fields(
            "text",
            type="text, number, select, multiselect, date, boolean, ….",
            description="For people.",
        ),
        *fields("text", source="Where values come from: Pylon, or the app they are synced from."),
        *fields("boolean", is_read_only="1 where only the source can change it."),
        *fields("text", default_value="Default of a field with one value."),
        *fields("array", default_values="Defaults of a field with several, a JSON array."),
        *fields("object", select_metadata="The options of a select field, with labels, as JSON."),
        *fields("object", number_metadata="How a number is shown, as JSON."),
        *fields("time", created_at="When it was defined, UTC.", updated_at="Last change, UTC."),
    ),
    label="label",
    key=("object_type", "id"),
    each=(
        "object_type",
        (
            "account",
            "call_recording",
            "contact",
            "issue",
            "meeting",
            "opportunity",
            "project",
            "task",
        ),
    ),
)

KNOWLEDGE_BASES = Stream(
    "knowledge_bases",
    "/knowledge-bases",
    "Knowledge bases.",
    (
        *fields("text", id="The knowledge base's id.", title="Name.", slug="Name in its address."),
        *fields("text", default_language="Language code."),
        *fields("array", supported_languages="Language codes, a JSON array."),
    ),
    label="title",
)

KNOWLEDGE_BASE_COLLECTIONS = Stream(
    "knowledge_base_collections",
    "/knowledge-bases/{id}/collections",
    "Collections of a knowledge base's articles, in a tree.",
    (
        *fields("text", id="The collection's id."),
        reference("knowledge_base_id", "knowledge_bases", "The knowledge base."),
        reference(
            "parent_collection_id",
            "knowledge_base_collections",
            "The collection it is in.",
            path="parent_collection_id",
        ),
        *fields("text", title="Name.", slug="Name in its address.", description="Description."),
        *fields("text", icon="Picture."),
        *fields("object", visibility_config="Who may read it, as JSON."),
        *fields("time", created_at="When it was created, UTC."),
    ),
    label="title",
    belongs=Belonging(KNOWLEDGE_BASES, "knowledge_base_id"),
)

KNOWLEDGE_BASE_ARTICLES = Stream(
    "knowledge_base_articles",
    "/knowledge-bases/{id}/articles",
    "Articles of the knowledge bases, in their default language.",
    (
        *fields("text", id="The article's id."),
        reference("knowledge_base_id", "knowledge_bases", "The knowledge base."),
        *fields("text", title="Title.", identifier="Short name in addresses.", slug="Slug."),
        *fields("text", url="Where it is published."),
        reference(
            "collection_id",
            "knowledge_base_collections",
            "The collection it is in.",
            path="collection_id",
        ),
        reference("author_user_id", "users", "Who wrote it.", path="author_user_id"),
        *fields("boolean", is_published="1 where published.", is_unlisted="1: by link only."),
        *fields("html", current_published_content_html="What readers see, HTML."),
        plain("published_text", "current_published_content_html", "What readers see, as text."),
        *fields("html", current_draft_content_html="The newest draft, HTML."),
        plain("draft_text", "current_draft_content_html", "The newest draft, as text."),
        *fields("array", tags="Its tags, a JSON array of objects."),
        *fields("object", visibility_config="Who may read it, as JSON."),
        *fields("object", approval_info="State of its review, as JSON."),
        *fields("time", created_at="When it was created, UTC."),
        *fields("time", last_edited_at="Last edit, UTC.", last_published_at="Published, UTC."),
    ),
    label="title",
    belongs=Belonging(KNOWLEDGE_BASES, "knowledge_base_id"),
    limit=PAGE,
)

TICKET_FORMS = Stream(
    "ticket_forms",
    "/ticket-forms",
    "Forms that customers fill in.",
    (
        *fields("text", id="The form's id.", name="Name.", slug="Name in its address."),
        *fields("html", description_html="Description, HTML."),
        *fields("text", url="Where it is."),
        *fields("boolean", is_public="1 where anybody can fill it in."),
        *fields("array", fields="The form's fields, a JSON array."),
    ),
    label="name",
)

USER_ROLES = Stream(
    "user_roles",
    "/user-roles",
    "Roles of users.",
    fields("text", id="The role's id.", name="Name.", slug="Short name."),
    label="name",
)

ACTIVITY_TYPES = Stream(
    "activity_types",
    "/activity-types",
    "Kinds of custom activities.",
    fields("text", id="The type's id.", label="Name.", slug="Short name.", icon_url="Icon."),
    label="label",
)

ISSUE_STATUSES = Stream(
    "issue_statuses",
    "/issue-statuses",
    "States an issue can be in; issues.state holds the slug.",
    (
        *fields("text", slug="The state as issues carry it.", label="Name for people."),
        *fields("text", category="The built-in state it counts as."),
        *fields(
            "boolean", is_default_status="1 for built-in ones.", is_archived="1: no longer used."
        ),
    ),
    label="label",
    key=("slug",),
)

ISSUES = Stream(
    "issues",
    "/issues/search",
    "Requests of customers: conversations and tickets.",
    (
        *fields("text", id="The issue's id."),
        *fields("integer", number="The number people use."),
        *fields("text", title="Title.", type="conversation or ticket."),
        *fields(
            "text", state="A slug of issue_statuses: new, waiting_on_you, ….", source="Channel."
        ),
        reference("account_id", "accounts", "The customer's company."),
        Column("requester_id", "Who asked: a contact's or a user's id.", path="requester.id"),
        Column("requester_email", "Address of who asked.", path="requester.email"),
        decided("requester_contact_id", "contacts", "Who asked, where it is a contact."),
        decided("requester_user_id", "users", "Who asked, where it is a user."),
        reference("assignee_id", "users", "The user it is assigned to."),
        reference("team_id", "teams", "The team it is assigned to."),
        *fields("array", tags="Tags, a JSON array; joined in issue_tags."),
        *fields("html", body_html="What was asked, HTML; usually the first message too."),
        plain("body_text", "body_html", "What was asked, as text."),
        *fields("time", created_at="When it was opened, UTC.", updated_at="Last change, UTC."),
        *fields("time", latest_message_time="Latest message, UTC."),
        *fields("time", first_response_time="First response, UTC."),
        *fields("integer", first_response_seconds="Time to the first response, seconds."),
        *fields("integer", business_hours_first_response_seconds="… in business hours, seconds."),
        *fields("time", first_response_breach_time="When the first response is late, UTC."),
        *fields("time", resolution_time="When it was resolved, UTC."),
        *fields("integer", resolution_seconds="Time to the resolution, seconds."),
        *fields("integer", business_hours_resolution_seconds="… in business hours, seconds."),
        *fields("time", resolution_breach_time="When the resolution is late, UTC."),
        *fields("time", snoozed_until_time="Put aside until then, UTC."),
        *fields("object", time_in_status_seconds="Seconds in each state by slug, as JSON."),
        *fields("object", business_hours_time_in_status_seconds="… in business hours, as JSON."),
        *fields("integer", active_time_seconds="Time users worked on it, seconds."),
        *fields("integer", business_hours_active_time_seconds="… in business hours, seconds."),
        *fields("array", active_time_by_user="… of each user, a JSON array."),
        *fields("array", team_slas="SLA times of each team, a JSON array."),
        *fields("integer", number_of_touches="How often it was touched."),
        *fields("boolean", customer_portal_visible="1 where the customer portal shows it."),
        *fields("boolean", author_unverified="1 where an author's identity is not verified."),
        *fields("addresses", attachment_urls="Files, a JSON array of addresses, unsigned."),
        reference("parent_issue_group_id", "issues", "The group of issues it belongs to."),
        *fields("object", slack="Where it is in Slack, as JSON."),
        *fields("object", chat_widget_info="Where the chat began, as JSON."),
        *fields("text", link="The issue in Pylon."),
    ),
    label="title",
    watermark="updated_at",
    limit=PAGE,
    links=(
        values("issue", "issue_tags", "tags", Column("tag", "As in tags.value.")),
        custom_fields("issue"),
        objects(
            "issue",
            "csat_responses",
            "What customers answered when asked how satisfied they were.",
            *fields("integer", score="The score."),
            *fields("text", comment="Their words."),
        ),
        objects(
            "issue",
            "external_issues",
            "Issues in trackers (Linear, Jira, GitHub, …) that belong to this one.",
            *fields("text", source="The tracker.", external_id="Id there.", link="Address there."),
        ),
        Link(
            "issue_child_issues",
            "child_issues",
            Column("issue_id", "The group.", refers="issues"),
            (reference("child_issue_id", "issues", "An issue in the group.", path="id"),),
            "values",
            "Which issues a group of issues holds.",
        ),
    ),
)

ISSUE_THREADS = Stream(
    "issue_threads",
    "/issues/{id}/threads",
    "Threads of an issue: in chat channels, and internal ones.",
    (
        *fields("text", id="The thread's id."),
        reference("issue_id", "issues", "The issue.", path="issue_id"),
        *fields("text", name="Name.", source="Channel."),
        *fields("text", channel_id="The chat platform's channel."),
        *fields("text", thread_id="The chat platform's thread (not a key of this table)."),
    ),
    label="name",
    belongs=Belonging(ISSUES, "issue_id", "updated_at"),
)

ISSUE_MESSAGES = Stream(
    "issue_messages",
    "/issues/{id}/messages",
    "Messages of an issue: public replies, and private notes (is_private = 1).",
    (
        *fields("text", id="The message's id."),
        reference("issue_id", "issues", "The issue."),
        *fields("boolean", is_private="0: the customer saw it. 1: an internal note."),
        *fields("time", timestamp="When it was written, UTC."),
        Column("author_name", "Who wrote it.", path="author.name"),
        reference("author_contact_id", "contacts", "Its author, a contact.", "author.contact.id"),
        reference("author_user_id", "users", "Its author, a user.", "author.user.id"),
        Column("author_avatar_url", "The author's picture.", path="author.avatar_url"),
        *fields("html", message_html="What was written, HTML."),
        plain("message_text", "message_html", "What was written, as text."),
        *fields("text", source="Channel."),
        reference("thread_id", "issue_threads", "The internal thread of a note.", "thread_id"),
        *fields("addresses", file_urls="Files, a JSON array of addresses, unsigned."),
        *fields("object", email_info="Sender and recipients of an email, as JSON."),
    ),
    label="message_text",
    # What was asked is the first of them.
    belongs=Belonging(ISSUES, "issue_id", "updated_at", always_some=True),
)
