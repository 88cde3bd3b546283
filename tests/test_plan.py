"""The plan: what is asked next, and what an answer means for the checkpoint."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon_to_sqlite.errors import Unexpected
from pylon_to_sqlite.plan import (
    Checkpoint,
    Page,
    Request,
    Window,
    advance,
    fingerprint,
    iso,
    moment,
    open_window,
    path_segment,
    read_again_at,
    request,
    restarted,
)
from pylon_to_sqlite.streams import BY_NAME, STREAMS

ISSUES = BY_NAME["issues"]

APRIL, MAY, JUNE = "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z"
JULY = "2026-07-01T00:00:00Z"
JUNE_LESS_OVERLAP = "2026-05-31T23:50:00Z"

TOLD = "2099-01-01T00:00:00Z"
MORE, LAST = Page([{}], "next", TOLD), Page([{}], None, TOLD)


# What is asked


@pytest.mark.parametrize(
    ("stream", "part", "expected"),
    [
        ("teams", None, Request("GET", "/teams", "/teams")),
        ("users", None, Request("GET", "/users", "/users", {"include_deactivated": "true"})),
        ("accounts", None, Request("GET", "/accounts", "/accounts", {"limit": "999"}, limit=999)),
        (
            "custom_fields",
            "issue",
            Request("GET", "/custom-fields", "/custom-fields", {"object_type": "issue"}),
        ),
        (
            "knowledge_base_articles",
            "k 1",
            Request(
                "GET",
                "/knowledge-bases/k%201/articles",
                "/knowledge-bases/{id}/articles",
                {"limit": "999"},
                limit=999,
            ),
        ),
        (
            "issue_messages",
            "i1",
            Request("GET", "/issues/i1/messages", "/issues/{id}/messages"),
        ),
    ],
)
def test_the_first_page_of_a_list(stream: str, part: str | None, expected: Request) -> None:
    """A list is asked for by GET, with the limit, parameter and parent that its stream says."""
    assert request(BY_NAME[stream], Checkpoint(), part) == expected


def test_the_next_page_of_a_list() -> None:
    """The cursor goes into the query as it came, beside the limit and the parameter."""
    asked = request(BY_NAME["custom_fields"], Checkpoint(cursor="a=&b"), "issue")
    assert asked.params == {"object_type": "issue", "cursor": "a=&b"}
    asked = request(BY_NAME["contacts"], Checkpoint(cursor="a=&b"))
    assert (asked.params, asked.cursor) == ({"limit": "999", "cursor": "a=&b"}, "a=&b")


BEFORE_JULY = {"field": "updated_at", "operator": "time_is_before", "value": JULY}
# A second early: whether the bounds are inclusive is unknown.
AFTER_MAY = {
    "field": "updated_at",
    "operator": "time_is_after",
    "value": "2026-04-30T23:59:59Z",
}


@pytest.mark.parametrize(
    ("checkpoint", "body"),
    [
        (Checkpoint(), {"limit": 999}),
        (
            Checkpoint(window=Window(None, JULY)),
            {"limit": 999, "filter": {"operator": "and", "subfilters": [BEFORE_JULY]}},
        ),
        (
            Checkpoint(window=Window(MAY, JULY), cursor="c"),
            {
                "limit": 999,
                "cursor": "c",
                "filter": {"operator": "and", "subfilters": [AFTER_MAY, BEFORE_JULY]},
            },
        ),
    ],
)
def test_a_search_is_spelt_exactly_as_pylon_reads_it(
    checkpoint: Checkpoint, body: dict[str, object]
) -> None:
    """Pylon ignores what it does not know, so a misspelt filter would give the whole workspace."""
    expected = Request("POST", "/issues/search", "/issues/search", {}, body, checkpoint.cursor)
    expected = replace(expected, limit=999)
    assert request(ISSUES, checkpoint) == expected


@pytest.mark.parametrize(
    ("key", "segment"),
    [
        ("5f0c-1", "5f0c-1"),
        ("a?b#c&d", "a%3Fb%23c%26d"),
        ("a b", "a%20b"),
        ("100%", "100%25"),
        ("%2e%2e", "%252e%252e"),
        ("é", "%C3%A9"),
        ("...", "..."),
        ("{id}", "%7Bid%7D"),
    ],
)
def test_a_key_is_one_segment_of_a_path(key: str, segment: str) -> None:
    """Keys come from outside: whatever they hold, they stay within their segment."""
    assert path_segment(key) == segment
    asked = request(BY_NAME["issue_messages"], Checkpoint(), key)
    assert asked.path == f"/issues/{segment}/messages"


@pytest.mark.parametrize(
    "key",
    [
        *(".", "..", "", None, "a/b", "../me", "5/messages", "/", "a\\b", "a\n", "a\x00b"),
        *("a\u202eb", "\ud800", "x" * 501, "x" * 100_000),
    ],
)
def test_a_key_that_could_name_another_path_is_refused(key: str | None) -> None:
    """No quoting keeps a server from understanding . and .. its own way, and many take %2F for a
    slash."""
    with pytest.raises(Unexpected):
        path_segment(key)
    with pytest.raises(Unexpected):
        request(BY_NAME["issue_messages"], Checkpoint(), key)


def test_streams_do_not_share_a_fingerprint() -> None:
    """A checkpoint is known to be another stream's, or of another definition of its own."""
    assert len({fingerprint(stream) for stream in STREAMS}) == len(STREAMS)
    assert fingerprint(ISSUES).startswith("/issues/search id updated_at ")
    assert fingerprint(replace(ISSUES, watermark="created_at")) != fingerprint(ISSUES)
    assert fingerprint(replace(ISSUES, columns=ISSUES.columns[:-1])) != fingerprint(ISSUES)
    assert fingerprint(replace(ISSUES, links=ISSUES.links[:-1])) != fingerprint(ISSUES)
    assert fingerprint(replace(ISSUES, description="Tickets.")) == fingerprint(ISSUES)


# Windows


@pytest.mark.parametrize(
    ("checkpoint", "since", "opened"),
    [
        # The first load: all there is up to now, or from the date on that was given.
        (Checkpoint(), None, Checkpoint(window=Window(None, JULY))),
        (Checkpoint(), MAY, Checkpoint(since=MAY, window=Window(MAY, JULY))),
        # Interrupted, it goes on with its own window; so it does where nothing else is wished.
        *(
            (here, since, here)
            for since in (None, MAY)
            for here in [Checkpoint(since=MAY, window=Window(MAY, JUNE), cursor="c")]
        ),
        # Another date makes it another load: its pages are not those of the old cursor.
        *(
            (
                Checkpoint(since=MAY, window=Window(MAY, JUNE), cursor="c"),
                since,
                Checkpoint(since=since, window=Window(since, JULY)),
            )
            for since in (APRIL, JUNE)
        ),
        (
            Checkpoint(window=Window(None, JUNE), cursor="c"),
            MAY,
            Checkpoint(since=MAY, window=Window(MAY, JULY)),
        ),
        # Started over, the date that was given once still holds.
        (Checkpoint(since=MAY), None, Checkpoint(since=MAY, window=Window(MAY, JULY))),
        # Later runs: what changed since, and some minutes more.
        (
            Checkpoint(watermark=JUNE),
            None,
            Checkpoint(watermark=JUNE, window=Window(JUNE_LESS_OVERLAP, JULY)),
        ),
        # The minutes do not reach back behind the date that was given.
        (
            Checkpoint(since=JUNE, watermark="2026-06-01T00:05:00Z"),
            None,
            Checkpoint(since=JUNE, watermark="2026-06-01T00:05:00Z", window=Window(JUNE, JULY)),
        ),
        # A window that was begun is read to its end first, whatever is wished; that it was, is
        # remembered.
        *(
            (here, since, replace(here, wanted=APRIL if since == APRIL else None))
            for since in (None, APRIL, JUNE)
            for here in [Checkpoint("c", MAY, JUNE, Window(JUNE_LESS_OVERLAP, JUNE))]
        ),
        # An earlier date loads what was skipped, a later one takes nothing away.
        *(
            (
                Checkpoint(since=MAY, watermark=JUNE, wanted=wanted),
                since,
                Checkpoint(since=MAY, watermark=JUNE, window=Window(APRIL, MAY), wanted=APRIL),
            )
            for wanted, since in ((None, APRIL), (APRIL, None), (APRIL, MAY))
        ),
        *(
            (
                Checkpoint(since=MAY, watermark=JUNE),
                since,
                Checkpoint(since=MAY, watermark=JUNE, window=Window(JUNE_LESS_OVERLAP, JULY)),
            )
            for since in (MAY, JUNE, None)
        ),
        # A mirror of everything has nothing that an earlier date could add.
        (
            Checkpoint(watermark=JUNE),
            APRIL,
            Checkpoint(watermark=JUNE, window=Window(JUNE_LESS_OVERLAP, JULY)),
        ),
        # All is there.
        (Checkpoint(watermark=JULY), None, None),
        (Checkpoint(since=MAY, watermark=JULY), JUNE, None),
        # A server whose clock went back, so that nobody knows what was read.
        (
            Checkpoint(watermark="2026-07-02T00:00:00Z"),
            None,
            Checkpoint(watermark="2026-07-02T00:00:00Z", window=Window(None, JULY)),
        ),
    ],
)
def test_the_window_that_a_run_reads(
    checkpoint: Checkpoint, since: str | None, opened: Checkpoint | None
) -> None:
    """In July, from each place that a stream can be in, with each wish of the user's."""
    assert open_window(checkpoint, since, JULY) == opened


@pytest.mark.parametrize(
    ("before", "page", "after"),
    [
        # A walk: only the cursor moves.
        (Checkpoint(), MORE, Checkpoint(cursor="next")),
        (Checkpoint(cursor="c"), MORE, Checkpoint(cursor="next")),
        (Checkpoint(cursor="c"), LAST, Checkpoint()),
        # A window: no page but the last one moves the watermark.
        (
            Checkpoint("c", MAY, JUNE, Window(JUNE, JULY)),
            MORE,
            Checkpoint("next", MAY, JUNE, Window(JUNE, JULY)),
        ),
        (
            Checkpoint("c", MAY, JUNE, Window(JUNE, JULY)),
            LAST,
            Checkpoint(since=MAY, watermark=JULY),
        ),
        (Checkpoint(window=Window(None, JULY)), LAST, Checkpoint(watermark=JULY)),
        (
            Checkpoint(since=MAY, window=Window(MAY, JULY)),
            LAST,
            Checkpoint(since=MAY, watermark=JULY),
        ),
        # What was skipped is there now: the mirror begins earlier, and ends where it did.
        (
            Checkpoint("c", MAY, JUNE, Window(APRIL, MAY)),
            LAST,
            Checkpoint(since=APRIL, watermark=JUNE),
        ),
        (
            Checkpoint("c", MAY, JUNE, Window(APRIL, MAY), JULY),
            MORE,
            Checkpoint("next", MAY, JUNE, Window(APRIL, MAY), JULY),
        ),
    ],
)
def test_the_checkpoint_after_a_page(before: Checkpoint, page: Page, after: Checkpoint) -> None:
    """The cursor moves with each page, the watermark or the beginning with a window's last."""
    if before.window and page.cursor:
        after = replace(after, as_of=before.window.before)
    elif not before.window:
        after = replace(after, as_of=page.told_at)
    assert advance(before, page) == after


@pytest.mark.parametrize(
    ("told", "watermark"),
    [(["2099-01-01T00:00:00Z"], JULY), ([JUNE], JUNE), ([JULY, MAY, JUNE], MAY), ([None], JULY)],
)
def test_no_watermark_goes_beyond_the_oldest_answer_of_its_window(
    told: list[str | None], watermark: str
) -> None:
    """A cache can answer with what was."""
    checkpoint = Checkpoint(window=Window(None, JULY))
    for at in told[:-1]:
        checkpoint = advance(checkpoint, Page([{}], "more", at))
    checkpoint = advance(checkpoint, Page([{}], None, told[-1]))
    assert checkpoint.watermark == watermark


def test_what_another_version_remembered_is_no_obstacle() -> None:
    """A file that an earlier version left in the middle of a walk, say."""
    assert Checkpoint.from_json('{"part": "issue", "cursor": "c"}') == Checkpoint(cursor="c")


def test_starting_over_keeps_the_scope_alone() -> None:
    """Everything in its scope is read again: nothing of where the stream was remains."""
    full = Checkpoint("c", MAY, JUNE, Window(JUNE, JULY), JUNE)
    assert restarted(full) == Checkpoint(since=MAY)


def test_a_start_that_pylons_clock_has_not_reached_ends_the_run() -> None:
    """Where Pylon's clock is behind the date that was given, a run still comes to its end."""
    checkpoint = Checkpoint(since=JULY, watermark=MAY)
    for _ in range(3):
        opened = open_window(checkpoint, None, JUNE)
        if opened is None:
            return
        checkpoint = advance(opened, LAST)
    pytest.fail(f"the same window is opened again and again: {opened}")


# Children


@pytest.mark.parametrize(
    ("changed_at", "read_at", "again_at"),
    [
        ("2026-07-01T00:00:00Z", "2026-07-01T00:00:00Z", "2026-07-01T00:02:00Z"),
        ("2026-07-01T00:00:00Z", "2026-07-01T00:01:59Z", "2026-07-01T00:02:00Z"),
        ("2026-07-01T00:00:00Z", "2026-07-01T00:02:00Z", None),
        ("2026-07-01T00:00:00.900Z", "2026-07-01T00:01:59Z", "2026-07-01T00:02:00Z"),
        ("2026-06-30T23:59:30Z", "2026-07-01T00:00:00Z", "2026-07-01T00:01:30Z"),
        ("2026-07-02T00:00:00Z", "2026-07-01T00:00:00Z", "2026-07-02T00:02:00Z"),
        ("yesterday", "2026-07-01T00:00:00Z", None),
        (None, "2026-07-01T00:00:00Z", None),
    ],
)
def test_children_read_soon_after_a_change_are_read_once_more(
    changed_at: str | None, read_at: str, again_at: str | None
) -> None:
    """An answer can lag behind its parent for a while; after two minutes it is believed."""
    assert read_again_at(changed_at, read_at) == again_at


# Laws

TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)).map(
    lambda time: iso(time.replace(tzinfo=timezone.utc))
)
WINDOWS = st.builds(Window, st.none() | TIMES, TIMES)
CHECKPOINTS = st.builds(
    Checkpoint,
    cursor=st.none() | st.text(min_size=1),
    since=st.none() | TIMES,
    watermark=st.none() | TIMES,
    window=st.none() | WINDOWS,
    full=st.none() | TIMES,
    span=st.none() | st.integers(1, 10**9),
    narrowed=st.none() | TIMES,
)


@given(CHECKPOINTS)
def test_a_checkpoint_survives_the_file(checkpoint: Checkpoint) -> None:
    """What the next run reads is what this one wrote."""
    assert Checkpoint.from_json(checkpoint.to_json()) == checkpoint


@given(TIMES)
def test_a_moment_is_what_was_written(time: str) -> None:
    """`iso` and `moment` undo each other."""
    assert iso(moment(time)) == time


START = datetime(2026, 7, 1, tzinfo=timezone.utc)
RUNS = st.lists(
    st.tuples(
        st.integers(0, 5_000),  # seconds that have passed on Pylon's clock
        st.none() | st.integers(0, 20_000),  # how far back the user's --since is
        st.lists(st.integers(1, 3), max_size=3),  # pages of each window that is read
        st.integers(0, 8),  # pages until the run dies
        st.sampled_from([False, False, False, True]),  # --full
    ),
    min_size=1,
    max_size=8,
)


class Answering:
    """Pylon for one window after the other; knows which of them were read to their last page."""

    def __init__(self) -> None:
        self.read: list[tuple[datetime | None, datetime]] = []

    def answer(self, asked: Request, pages: int) -> Page:
        """The page after that of the cursor; a cursor of another window is a mistake."""
        assert asked.body is not None
        bounds = asked.body["filter"]["subfilters"]
        before = moment(bounds[-1]["value"])
        after = moment(bounds[0]["value"]) if len(bounds) == 2 else None
        page, _, window = (asked.cursor or f"0 {after} {before}").partition(" ")
        assert window == f"{after} {before}", "a cursor was taken to another window"
        if int(page) + 1 < pages:
            return Page([{}], f"{int(page) + 1} {window}", TOLD)
        self.read.append((after, before))
        return Page([{}], None, TOLD)

    def covers(self, start: datetime | None, end: datetime) -> bool:
        """Whether the windows that were read leave no gap from `start` to `end`, also where
        Pylon takes neither bound of a window to be in it."""
        beginning = datetime.min.replace(tzinfo=timezone.utc)
        reached = start or beginning
        for after, before in sorted((after or beginning, before) for after, before in self.read):
            if after == beginning or after + timedelta(seconds=1) <= reached:
                reached = max(reached, before)
        return reached >= end


@settings(max_examples=300, deadline=None)
@given(RUNS)
def test_what_a_checkpoint_says_has_been_read_has_been_read(
    runs: list[tuple[int, int | None, list[int], int, bool]],
) -> None:
    """Over any runs, each dying after any page with any --since, the windows that were read to
    their last page cover all from `since` to the watermark without a gap."""
    pylon, stored, now = Answering(), Checkpoint().to_json(), START
    wishes: list[str] = []
    for passed, back, pages, alive, full in runs:
        now += timedelta(seconds=passed)
        since = None if back is None else iso(now - timedelta(seconds=back))
        checkpoint = Checkpoint.from_json(stored)
        if full and checkpoint.watermark and not checkpoint.full:
            checkpoint = replace(restarted(checkpoint), full=iso(now))
            stored = checkpoint.to_json()
        while alive and (opened := open_window(checkpoint, since, iso(now))):
            stored, checkpoint = opened.to_json(), opened
            wishes += [since] if since and checkpoint.watermark else []
            of_window = pages.pop(0) if pages else 1
            while alive and checkpoint.window:
                alive -= 1
                page = pylon.answer(request(ISSUES, checkpoint), of_window)
                checkpoint = advance(checkpoint, page)
                stored = checkpoint.to_json()
        if checkpoint.watermark:
            start = moment(checkpoint.since) if checkpoint.since else None
            assert pylon.covers(start, moment(checkpoint.watermark))
            if alive:
                # Also of runs before, which died.
                assert all(checkpoint.since is None or checkpoint.since <= one for one in wishes)
        if alive:
            assert checkpoint.watermark == iso(now)
