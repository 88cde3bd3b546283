"""What is mirrored: the streams of Pylon's API, as data. Everything else derives from STREAMS."""

from collections.abc import Iterable

from pylon_to_sqlite.further_streams import (
    CALL_RECORDINGS,
    CUSTOM_OBJECTS,
    FEATURE_REQUESTS,
    MACRO_GROUPS,
    MACROS,
    MILESTONES,
    ORGANIZATION,
    PROJECTS,
    SURVEY_RESPONSES,
    SURVEYS,
    TASKS,
    TRAINING_DATA,
)
from pylon_to_sqlite.optional_streams import (
    ACCOUNT_RELATIONSHIPS,
    AUDIT_LOGS,
    ISSUE_FOLLOWERS,
    ISSUE_VOICE_CALLS,
    TASK_COMMENTS,
)
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.support_streams import (
    ACCOUNTS,
    ACTIVITY_TYPES,
    CONTACTS,
    CUSTOM_FIELDS,
    ISSUE_MESSAGES,
    ISSUE_STATUSES,
    ISSUE_THREADS,
    ISSUES,
    KNOWLEDGE_BASE_ARTICLES,
    KNOWLEDGE_BASE_COLLECTIONS,
    KNOWLEDGE_BASES,
    TAGS,
    TEAMS,
    TICKET_FORMS,
    USER_ROLES,
    USERS,
)

# In the order in which they are read: what others refer to comes first.
STREAMS: tuple[Stream, ...] = (
    ORGANIZATION,
    USER_ROLES,
    USERS,
    TEAMS,
    TAGS,
    CUSTOM_FIELDS,
    ISSUE_STATUSES,
    ACTIVITY_TYPES,
    TICKET_FORMS,
    ACCOUNTS,
    CONTACTS,
    KNOWLEDGE_BASES,
    KNOWLEDGE_BASE_COLLECTIONS,
    KNOWLEDGE_BASE_ARTICLES,
    MACRO_GROUPS,
    MACROS,
    TRAINING_DATA,
    PROJECTS,
    MILESTONES,
    TASKS,
    FEATURE_REQUESTS,
    SURVEYS,
    SURVEY_RESPONSES,
    CALL_RECORDINGS,
    CUSTOM_OBJECTS,
    ACCOUNT_RELATIONSHIPS,
    TASK_COMMENTS,
    AUDIT_LOGS,
    ISSUES,
    ISSUE_THREADS,
    ISSUE_MESSAGES,
    ISSUE_FOLLOWERS,
    ISSUE_VOICE_CALLS,
)
BY_NAME: dict[str, Stream] = {stream.name: stream for stream in STREAMS}


def with_parents(names: Iterable[str]) -> tuple[Stream, ...]:
    """The streams of these names with their parents, in reading order."""
    wanted = set(names)
    wanted |= {parent.name for name in wanted if (parent := BY_NAME[name].parent)}
    return tuple(stream for stream in STREAMS if stream.name in wanted)
