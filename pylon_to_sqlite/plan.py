"""What to ask next, and what an answer means for the checkpoint. Pure: no clock, HTTP or SQL."""

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

from pylon_to_sqlite.errors import Unexpected
from pylon_to_sqlite.exchange import Page as Page
from pylon_to_sqlite.exchange import Request as Request
from pylon_to_sqlite.exchange import path_segment as path_segment
from pylon_to_sqlite.stream import PAGE, Link, Stream

# A window begins this long before the watermark: payload times are cut to seconds, and others
# saw changes become searchable seconds to minutes late. Upserts make the overlap free.
OVERLAP = timedelta(minutes=10)
# Children read this soon after their parent changed are read once more: an answer can lag.
LAG = timedelta(minutes=2)
UNTOLD = timedelta(days=1)
# Whether Pylon's time bounds are inclusive is unknown, so a given start is asked a second early.
MARGIN = timedelta(seconds=1)

# Whether Pylon caps the span of a question is in dispute (30 days, or no cap). So ask wide, halve
# what is refused down to this, and try the double again after a week.
SMALLEST_SPAN = timedelta(days=1)
# The cap that is told of; a question asks for a little more on both sides.
TOLD_SPAN = timedelta(days=30) - 10 * MARGIN
GROWS_AFTER = timedelta(days=7)
# Nothing was written before, so here a load begins that has no other start.
BEFORE_PYLON = "2015-01-01T00:00:00Z"

_PLACE = re.compile(r"\{\w+\}")

ISO = "%Y-%m-%dT%H:%M:%SZ"

SavedType = TypeVar("SavedType", bound="Saved")


class Window(NamedTuple):
    """A closed span of the watermark field, in UTC; `after` None reaches back for ever."""

    after: str | None
    before: str


class Saved:
    """What is kept from run to run, as JSON. What is not set is not in it, and what another
    version kept beyond that is of no use."""

    def to_json(self) -> str:
        return json.dumps({name: value for name, value in vars(self).items() if value})

    @classmethod
    def from_json(cls: type[SavedType], text: str) -> SavedType:
        state = json.loads(text)
        return cls(**{name: state[name] for name in cls.__annotations__ if name in state})


@dataclass(frozen=True)
class Checkpoint(Saved):
    """Where a stream is: everything the next run needs to go on where this one stopped.

    Walks use `cursor` alone; streams with a watermark use the rest: all changes in [`since`,
    `watermark`] are in the mirror, `since` None meaning from the beginning, `watermark` None
    meaning that nothing is complete yet. `as_of` is the oldest answer in the window, beyond which
    no watermark goes. `span` is the widest window in seconds that Pylon was found to take at
    `narrowed`. For children `full` is the time of a --full: what was read before it is stale.
    Walks that can ask for what is new have a `watermark` too, and `walked`, when the last whole one
    began. `kind` is the one type of issues that was asked for. `wanted` is an earlier start than
    `since` that was asked for, and not all that is between has been read.
    """

    cursor: str | None = None
    since: str | None = None
    watermark: str | None = None
    window: Window | None = None
    full: str | None = None
    as_of: str | None = None
    span: int | None = None
    narrowed: str | None = None
    walked: str | None = None
    kind: str | None = None
    wanted: str | None = None

    def __post_init__(self) -> None:
        if self.window:
            # From JSON it comes as a list.
            object.__setattr__(self, "window", Window(*self.window))


@dataclass(frozen=True)
class Comparison(Saved):
    """Where the comparison of all issues is: up to which creation time it has `reached`, and
    `until` when it goes, unset where none is under way; when it `began`, and when the last one did
    that was `finished`. `span` is the widest window in seconds that Pylon took in this one. Where
    it cannot be finished, since when it is `failing`, and when that was last `tried`."""

    reached: str | None = None
    until: str | None = None
    began: str | None = None
    finished: str | None = None
    span: int | None = None
    failing: str | None = None
    tried: str | None = None


@cache
def fingerprint(stream: Stream) -> str:
    """What a checkpoint of this stream depends on; where it differs, the stream starts over. The
    columns are part of it, for a record that does not change is not written again."""
    sources: tuple[Stream | Link, ...] = (stream, *stream.links)
    columns = [
        (one.path, column.name, column.path, column.kind, column.refers)
        for one in sources
        for column in one.columns
    ]
    digest = sha256(repr(columns).encode()).hexdigest()[:12]
    changes = stream.watermark or (stream.recent.field if stream.recent else "")
    return f"{stream.path} {','.join(stream.key)} {changes} {digest}"


def request(
    stream: Stream, checkpoint: Checkpoint, part: str | None = None, after: str | None = None
) -> Request:
    """The next page of `stream`; `part` is the parent's key or the parameter's value; what it asks
    for is newer than `after`."""
    path, params = stream.path, dict(stream.params)
    if "{" in path:
        path = _PLACE.sub(lambda _: path_segment(part), path)
    elif part is not None:
        params[stream.each[0]] = part
    if stream.is_one:
        return Request("GET", path, stream.path, params, is_for_one=True)
    cursor = checkpoint.cursor
    page: dict[str, Any] = {"limit": stream.limit} if stream.limit else {}
    if cursor:
        page |= {"cursor": cursor}
    if stream.method == "GET":
        if after and stream.recent:
            params[stream.recent.field] = after
        params |= {key: str(value) for key, value in page.items()}
        return Request("GET", path, stream.path, params, cursor=cursor, limit=stream.limit)
    if checkpoint.window:
        page |= {"filter": _filter(stream.watermark, *checkpoint.window, checkpoint.kind)}
    elif after and stream.recent:
        page |= {"filter": _filter(stream.recent.field, after)}
    size = (stream.limit, stream.is_cut_off)
    return Request("POST", path, stream.path, params, page, cursor, False, *size)


def request_by_id(stream: Stream, key: str) -> Request:
    """The request for one record of a stream, which a search or a list answers for."""
    path = stream.path.removesuffix("/search")
    return Request("GET", f"{path}/{path_segment(key)}", f"{path}/{{id}}", is_for_one=True)


def window_from(start: str, seconds: int, end: str) -> Window:
    """The window of so many seconds that begins at `start`, and ends at `end` at the latest."""
    return Window(start, min(_less(start, -seconds), end))


def request_created(window: Window, cursor: str | None) -> Request:
    """The next page of the issues that were created in a window, whatever changed since. Asked for
    a second more on both sides: nobody knows whether the bounds belong to it."""
    assert window.after
    params = {
        "start_time": iso(moment(window.after) - MARGIN),
        "end_time": iso(moment(window.before) + MARGIN),
        "limit": str(PAGE),
    }
    if cursor:
        params["cursor"] = cursor
    return Request("GET", "/issues", "/issues", params, cursor=cursor, limit=PAGE)


def _filter(
    field: str, after: str | None, before: str | None = None, kind: str | None = None
) -> dict[str, Any]:
    # Unknown *body* fields are ignored by Pylon, so a filter must be spelt exactly like this.
    wanted = []
    if after:
        start = iso(moment(after) - MARGIN)
        wanted.append({"field": field, "operator": "time_is_after", "value": start})
    if before:
        wanted.append({"field": field, "operator": "time_is_before", "value": before})
    if kind:
        wanted.append({"field": "issue_type", "operator": "equals", "value": kind})
    return {"operator": "and", "subfilters": wanted}


def new_since(stream: Stream, checkpoint: Checkpoint, now: str) -> str | None:
    """Since when a list is to be asked for what is new in it; None: it is to be read whole."""
    recent, watermark, walked = stream.recent, checkpoint.watermark, checkpoint.walked
    if recent is None or watermark is None or walked is None or checkpoint.cursor:
        return None
    is_due = recent.whole_after and abs(moment(now) - moment(walked)) >= recent.whole_after
    # A clock of Pylon's was wrong, then or now: what changed between is anybody's guess.
    if is_due or moment(watermark) - moment(now) > OVERLAP:
        return None
    return iso(moment(min(watermark, now)) - recent.back)


def walked(stream: Stream, checkpoint: Checkpoint, began: str, *, is_whole: bool) -> Checkpoint:
    """The checkpoint after a walk that began at `began`, whose last page left `checkpoint`."""
    if stream.recent is None:
        return Checkpoint()
    as_of = min(began, checkpoint.as_of or began)
    # An old answer may lack what is there: one more walk tells.
    is_current = moment(began) - moment(as_of) <= OVERLAP
    whole = checkpoint.walked if not is_whole else began if is_current else None
    return Checkpoint(watermark=as_of, walked=whole)


def open_window(checkpoint: Checkpoint, since: str | None, now: str) -> Checkpoint | None:
    """The checkpoint with a window to read, or None when all up to `now` is in the mirror.

    `since` is where the user wants the mirror to begin (None: as before); `now` the server's time
    when the run began. An earlier `since` loads what was skipped; a later one takes nothing away.
    """
    watermark = checkpoint.watermark
    if watermark is None:
        start = _first(checkpoint, since)
        if checkpoint.window and start == checkpoint.since:
            return checkpoint
        return replace(checkpoint, since=start, window=Window(start, now), cursor=None, as_of=None)
    checkpoint = replace(checkpoint, wanted=_earlier(checkpoint, since))
    if checkpoint.window:
        return checkpoint
    checkpoint = _grown(checkpoint, now)
    if checkpoint.since and checkpoint.wanted:
        span = checkpoint.span
        start = _less(checkpoint.since, span) if span else checkpoint.wanted
        window = Window(max(start, checkpoint.wanted), checkpoint.since)
        return replace(checkpoint, window=window)
    if watermark == now or (checkpoint.since and checkpoint.since >= now):
        return None
    if moment(watermark) - moment(now) > OVERLAP:
        # A clock of Pylon's was wrong, then or now: what changed between is anybody's guess.
        return replace(checkpoint, window=Window(checkpoint.since, now))
    start = max(iso(moment(watermark) - OVERLAP), checkpoint.since or "")
    end = _less(start, -checkpoint.span) if checkpoint.span else now
    return replace(checkpoint, window=Window(start, min(end, now)))


def _earlier(checkpoint: Checkpoint, since: str | None) -> str | None:
    """The earliest start that this run or one before was asked for, where the mirror does not reach
    back so far yet."""
    asked = min((one for one in (since, checkpoint.wanted) if one), default=None)
    return asked if asked and checkpoint.since and asked < checkpoint.since else None


def _first(checkpoint: Checkpoint, since: str | None) -> str | None:
    """Where a load is to begin that is not complete yet."""
    if since is None or (checkpoint.full and checkpoint.since is None):
        return checkpoint.since
    if checkpoint.full and checkpoint.since:
        # All of this was in the mirror before --full.
        return min(since, checkpoint.since)
    # What a load that is given up has read may have changed since.
    return min(since, checkpoint.window.before) if checkpoint.window else since


def narrowed(checkpoint: Checkpoint, now: str) -> Checkpoint | None:
    """The checkpoint with a smaller window than the one that was refused, None when it cannot be
    smaller."""
    if checkpoint.window is None:
        return None
    after, before = checkpoint.window
    if after is None:
        start = min(BEFORE_PYLON, before)
        end = _less(start, -checkpoint.span) if checkpoint.span else before
        return replace(checkpoint, window=Window(start, min(end, before)), cursor=None)
    whole = moment(before) - moment(after)
    half = TOLD_SPAN if whole / 2 < TOLD_SPAN < whole else whole / 2
    if half < SMALLEST_SPAN:
        return None
    span = int(half.total_seconds())
    is_backwards = checkpoint.watermark is not None and before == checkpoint.since
    window = (
        Window(_less(before, span), before) if is_backwards else Window(after, _less(after, -span))
    )
    return replace(checkpoint, window=window, cursor=None, span=span, narrowed=now)


def _grown(checkpoint: Checkpoint, now: str) -> Checkpoint:
    if not checkpoint.span or not checkpoint.narrowed:
        return checkpoint
    if moment(now) - moment(checkpoint.narrowed) < GROWS_AFTER:
        return checkpoint
    return replace(checkpoint, span=2 * checkpoint.span, narrowed=now)


def _less(time: str, seconds: int) -> str:
    return iso(moment(time) - timedelta(seconds=seconds))


def advance(checkpoint: Checkpoint, page: Page) -> Checkpoint:
    """The checkpoint after `page`. A watermark moves with the last page of its window alone:
    pages come newest created first, so no earlier page says anything of the later ones."""
    if not checkpoint.window:
        told_at = [time for time in (checkpoint.as_of, page.told_at) if time]
        return replace(checkpoint, cursor=page.cursor, as_of=min(told_at, default=None))
    after, before = checkpoint.window
    as_of = min(checkpoint.as_of or before, page.told_at or before)
    if page.cursor:
        return replace(checkpoint, cursor=page.cursor, as_of=as_of)
    done = replace(checkpoint, cursor=None, window=None, as_of=None)
    if checkpoint.since and before <= checkpoint.since and checkpoint.watermark:
        return replace(done, since=after)
    return replace(done, watermark=min(before, as_of))


def rest_read(stream: Stream, checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint after the rest of a walk that another run had begun: what was there at its
    oldest answer has been read, though nobody knows what is there no longer."""
    if stream.recent is None:
        return Checkpoint()
    is_enough = stream.recent.whole_after is None
    return Checkpoint(watermark=checkpoint.as_of, walked=checkpoint.as_of if is_enough else None)


def see(request: Request, page: Page, seen: set[str]) -> None:
    """Add the page's cursor to those seen. Raises Unexpected where they go round in a circle."""
    if page.cursor is not None and page.cursor in seen:
        raise Unexpected(f"{request.method} {request.path}: its cursors go round in a circle")
    if page.cursor is not None:
        seen.add(page.cursor)


def told(page: Page, now: str) -> Page:
    """The page with a time at which it was true, where Pylon did not say: our own clock, which
    told `now`, may be wrong by hours."""
    return page if page.told_at else replace(page, told_at=iso(moment(now) - UNTOLD))


def restarted(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint for reading everything in its scope again (--full, another definition)."""
    kept = ("span", "narrowed", "kind")
    since = _earlier(checkpoint, None) or checkpoint.since
    return Checkpoint(since=since, **{name: getattr(checkpoint, name) for name in kept})


def of_kind(checkpoint: Checkpoint, kind: str | None) -> Checkpoint:
    """The checkpoint for reading issues of one type alone (None: of both) from here on. What was
    outside so far starts over, what leaves needs no more than another filter."""
    if kind == checkpoint.kind:
        return checkpoint
    kept = restarted(checkpoint) if checkpoint.kind else replace(checkpoint, cursor=None)
    return replace(kept, kind=kind)


def read_again_at(
    changed_at: str | None, read_at: str, after: timedelta | None = None
) -> str | None:
    """When children read at `read_at` must be read once more; None when that is not needed.
    `after` that time they are read whatever their parent tells."""
    again_at = iso(moment(read_at) + after) if after else None
    if changed_at is None:
        return again_at
    try:
        settled = iso(moment(changed_at) + LAG)
    except (ValueError, OverflowError):
        return again_at
    return settled if read_at < settled else again_at


def iso(value: datetime) -> str:
    """UTC as Pylon writes it, in whole seconds."""
    # Not strftime, which writes the year 999 with three digits on some systems.
    return f"{value.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def moment(value: str) -> datetime:
    """The moment of a time as `iso` or rows.utc writes it. Raises ValueError for anything else."""
    return datetime.fromisoformat(value[:19]).replace(tzinfo=timezone.utc)
