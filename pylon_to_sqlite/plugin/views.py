"""The pages behind the routes: an address in, a page, another address or a refusal out."""

from datetime import datetime, timezone
from typing import Any

from datasette import Forbidden, Response
from datasette.utils import tilde_decode

from pylon_to_sqlite import meta
from pylon_to_sqlite.plugin import conversation as talk
from pylon_to_sqlite.plugin import figures
from pylon_to_sqlite.plugin import overview as glance
from pylon_to_sqlite.plugin.facts import facts, neighbours
from pylon_to_sqlite.plugin.links import conversation_path
from pylon_to_sqlite.plugin.links import overviews as visible
from pylon_to_sqlite.plugin.pages import Mirror, Row, answer
from pylon_to_sqlite.plugin.sanitise import is_web
from pylon_to_sqlite.plugin.words import minute


async def conversation(datasette: Any, request: Any) -> Response:
    """One issue as a conversation, by its number; an issue's id leads to its number."""
    mirror = await Mirror.of(datasette, request, ["issues", "issue_messages"])
    asked = tilde_decode(request.url_vars["issue"])
    issue = await talk.issue_of(mirror, asked)
    if issue is None or issue["placeholder"]:
        return await mirror.answer("pylon_missing.html", status=404, asked=asked)
    number = issue["number"]
    name = asked if number is None else str(number)
    here = conversation_path(datasette, mirror.name, name)
    if name != asked:
        query = f"?{request.query_string}" if request.query_string else ""
        return Response.redirect(here + query)
    shared: Row = {"name": name, "issue": issue, "row": mirror.row("issues", issue["id"])}
    if issue["deleted_at"]:
        gone = minute(issue["deleted_at"])
        return await mirror.answer("pylon_conversation.html", gone=gone, **shared)
    told = await _told(mirror, issue)
    return await mirror.answer("pylon_conversation.html", gone="", here=here, **shared, **told)


async def _told(mirror: Mirror, issue: Row) -> Row:
    """What is told of an issue that is there."""
    total = await talk.count(mirror, issue["id"])
    pages = max(1, -(-total // talk.PAGE))
    page = await _page(mirror, issue["id"], pages)
    account = issue["account_id"]
    return {
        "in_pylon": issue["link"] if is_web(issue["link"]) else "",
        "messages": await talk.messages(mirror, issue["id"], page),
        "body": None if total else await talk.body(mirror, issue),
        "marked": mirror.request.args.get("message") or "",
        "total": total,
        "page": page,
        "pages": pages,
        "facts": await facts(mirror, issue),
        "others": await neighbours(mirror, issue),
        "account_issues": mirror.table("issues", account_id=account) if account else "",
    }


async def _page(mirror: Mirror, issue: str, pages: int) -> int:
    """Which page is asked for, by its number or by a message on it."""
    message = mirror.request.args.get("message")
    if message:
        return await talk.page_of(mirror, issue, message)
    asked = mirror.request.args.get("page") or "1"
    if not (asked.isascii() and asked.isdecimal()):
        return 1
    return min(max(1, int(asked[:9])), pages)


async def overview(datasette: Any, request: Any) -> Response:
    """A desk at a glance."""
    mirror = await Mirror.of(datasette, request, ["issues"])
    complete, kept = await figures.complete_up_to(mirror)
    is_empty = not await mirror.rows(
        "SELECT 1 FROM issues WHERE deleted_at IS NULL AND placeholder = 0 LIMIT 1"
    )
    shared: Row = {"organization": await _organization(mirror)}
    if complete is None or is_empty:
        links = await glance.links(mirror)
        return await mirror.answer("pylon_overview.html", complete="", **links, **shared)
    scope, form = await glance.asked(mirror, complete)
    fresh = await figures.freshness(mirror)
    if fresh and fresh["last"]:
        fresh["began"] = minute(fresh["last"]["started_at"])
    return await mirror.answer(
        "pylon_overview.html",
        complete=minute(complete),
        age=glance.age(datetime.now(timezone.utc), complete, kept),
        scope=scope,
        form=form,
        freshness=fresh,
        **shared,
        **await glance.links(mirror, scope),
        **await glance.shown(mirror, scope),
    )


async def overviews(datasette: Any, request: Any) -> Response:
    """The way to the overview, or to a choice of them."""
    found = await visible(datasette, request.actor)
    if not found:
        raise Forbidden("view-table")
    if len(found) == 1:
        return Response.redirect(found[0]["href"])
    return await answer(datasette, request, "pylon_choice.html", links=found)


async def _organization(mirror: Mirror) -> str:
    if not await mirror.has("_pylon_meta"):
        return ""
    rows = await mirror.rows(meta.asked(meta.ORGANIZATION_NAME))
    return str(rows[0]["value"] or "") if rows else ""
