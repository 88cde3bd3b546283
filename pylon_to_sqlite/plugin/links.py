"""Where the pages of our own are linked from: rows, menus, and the pages of Datasette itself."""

from typing import Any
from urllib.parse import quote

from datasette.utils import tilde_encode
from markupsafe import Markup, escape

from pylon_to_sqlite.plugin.access import may
from pylon_to_sqlite.plugin.mirrors import known

# Beside the table, the views that hold an issue's number; in an answer to SQL there is no table.
_NUMBERED = frozenset(
    (
        *("issues", "conversations", "tickets", "public_messages", "private_notes"),
        *("issue_feedback", "issue_overview"),
    )
)
_TOLD = frozenset(("title", "timestamp", "at", "created_at", "link", "text", "excerpt"))
_NUMBERS = frozenset(("number", "issue_number"))


def overview_path(datasette: Any, database: str) -> str:
    """The address of a mirror's overview."""
    return f"{datasette.urls.database(database)}/-/pylon"


def conversation_path(datasette: Any, database: str, issue: object, message: str = "") -> str:
    """The address of an issue's conversation by its number or its id, and of a message there."""
    path = f"{datasette.urls.database(database)}/-/conversation/{tilde_encode(str(issue))}"
    return f"{path}?message={quote(message, safe='')}#{anchor(message)}" if message else path


def anchor(message: str) -> str:
    """The name of a message in its page."""
    return f"m-{quote(message, safe='')}"


def cell(
    datasette: Any, database: str, table: str | None, column: str, value: Any, row: Any
) -> Markup | None:
    """A cell of a mirror that leads to a conversation; None where Datasette shows it as usual."""
    if database not in known(datasette) or value is None:
        return None
    if (
        column in _NUMBERS
        and isinstance(value, int)
        and (table in _NUMBERED if table else _is_of_issue(row))
    ):
        path = conversation_path(datasette, database, value)
        return Markup('<a href="{}" title="The conversation">{}</a>').format(path, value)
    if table == "issue_messages" and column == "issue_id":
        return _issue_of_message(datasette, database, value, row)
    return None


def _is_of_issue(row: Any) -> bool:
    """Whether a row of an answer to SQL tells more of an issue than a number: that alone may be
    any, such as a count."""
    return not _TOLD.isdisjoint(row.keys())


def _issue_of_message(datasette: Any, database: str, value: Any, row: Any) -> Markup:
    """The usual link to the issue's row, and one to the message in its conversation."""
    is_expanded = isinstance(value, dict)
    issue = str(value["value"] if is_expanded else value)
    label = str(value["label"] if is_expanded else issue)
    try:
        message = str(row["id"])
    except (KeyError, IndexError):
        message = ""
    return Markup('<a href="{}">{}</a> <a href="{}">conversation</a>').format(
        f"{datasette.urls.table(database, 'issues')}/{tilde_encode(issue)}",
        label,
        conversation_path(datasette, database, issue, message),
    )


async def overviews(
    datasette: Any, actor: Any, database: str | None = None
) -> list[dict[str, str]]:
    """Menu entries: the overviews that the actor may see, or that of one database."""
    names = [name for name in known(datasette) if database in (None, name)]
    return [
        {
            "href": overview_path(datasette, name),
            "label": "Overview" if len(names) == 1 else f"Overview of {name}",
        }
        for name in names
        if await may(datasette, actor, "view-table", name, "issues")
    ]


async def banner(datasette: Any, request: Any, database: str | None = None) -> Markup:
    """The same, as HTML; nothing where there is nothing to see."""
    links = await overviews(datasette, request.actor if request else None, database)
    if not links:
        return Markup("")
    shown = [
        f'<a href="{escape(link["href"])}"><strong>{escape(link["label"])}</strong></a>'
        for link in links
    ]
    return Markup(f"<p>{' · '.join(shown)}</p>")
