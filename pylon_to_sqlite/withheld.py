"""Bodies of issues that were withheld until their messages told that they are public: brought, once
they have. Sends nothing."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from pylon_to_sqlite import plan
from pylon_to_sqlite.errors import Gone, PylonError, Unauthorized
from pylon_to_sqlite.lanes import Steps
from pylon_to_sqlite.plan import Window, iso, moment
from pylon_to_sqlite.reading import Reading
from pylon_to_sqlite.rows import rows_of_page
from pylon_to_sqlite.support_streams import ISSUE_MESSAGES, ISSUES

# As far apart as the issues may be created that one list is asked for: what Pylon always took.
SPAN = timedelta(days=29)
# So many of one span are cheaper asked for by their ids than as a list of all that it holds.
FEW = 3

Awaited = tuple[str, str | None]


def bring_bodies(reading: Reading) -> Steps:
    """Read the issues again whose bodies are awaited, when all messages have been read. What fails
    is left for the next run."""
    results = (reading.results[ISSUES.name], reading.results.get(ISSUE_MESSAGES.name))
    while not all(one is None or one.ended for one in results):
        yield None
    try:
        for awaited in _spans(reading.store.awaited()):
            if len(awaited) <= FEW or awaited[0][1] is None:
                for key, _ in awaited:
                    yield from _by_id(reading, key)
            else:
                yield from _listed(reading, awaited)
    except Unauthorized:
        raise
    except PylonError:
        return


def _spans(awaited: Sequence[Awaited]) -> Iterator[list[Awaited]]:
    """Those that were created near each other; without a time, each alone."""
    near: list[Awaited] = []
    for key, created_at in awaited:
        begins = near[0][1] if near else None
        is_near = begins and created_at and moment(created_at) - moment(begins) < SPAN
        if near and not is_near:
            yield near
            near = []
        near.append((key, created_at))
    if near:
        yield near


def _by_id(reading: Reading, key: str) -> Steps:
    request = plan.request_by_id(ISSUES, key)
    try:
        page = yield request
    except Gone:
        # The comparison sees to it.
        return
    _write(reading, request, page)


def _listed(reading: Reading, awaited: Sequence[Awaited]) -> Steps:
    after, last = str(awaited[0][1]), str(awaited[-1][1])
    window = Window(after, iso(moment(last) + timedelta(seconds=1)))
    cursor: str | None = None
    seen: set[str] = set()
    while True:
        request = plan.request_created(window, cursor)
        page = yield request
        plan.see(request, page, seen)
        _write(reading, request, page)
        if page.cursor is None:
            return
        cursor = page.cursor


def _write(reading: Reading, request: plan.Request, page: plan.Page) -> None:
    """What is written is no change of the issue, which has been counted."""
    asked = f"{request.method} {request.path}"
    batch = rows_of_page(ISSUES, page.records, None, asked)
    holds = reading.choice.holds_issue
    mirrored = [rows for rows in batch if holds(rows.row["type"])]
    reading.store.commit_compared(mirrored, reading.wall())
    reading.results[ISSUES.name].version += 1
