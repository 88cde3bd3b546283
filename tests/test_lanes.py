"""Who asks is answered, side by side, and all that is written is written by one thread."""

import threading
from collections.abc import Callable, Iterator

import pytest

from pylon_to_sqlite.errors import Gone, MoreToDo, Unauthorized
from pylon_to_sqlite.lanes import Lanes, Steps, until_refused
from pylon_to_sqlite.plan import Page, Request

WORKERS = pytest.mark.parametrize("workers", [1, 3])


def request(path: str, template: str = "/x") -> Request:
    return Request("GET", path, template)


def never() -> None:
    pass


def lanes(
    fetch: Callable[[Request], Page], workers: int, check: Callable[[], None] = never
) -> Lanes:
    return Lanes(fetch, workers, check, lambda: None)


def echo(asked: Request) -> Page:
    return Page([asked.path])


@WORKERS
def test_each_answer_goes_to_who_asked_for_it(workers: int) -> None:
    got: dict[str, list[str]] = {}
    here = threading.get_ident()

    def steps(name: str) -> Steps:
        for number in range(20):
            page = yield request(f"{name}{number}", template=name)
            assert threading.get_ident() == here
            got.setdefault(name, []).extend(page.records)

    lanes(echo, workers).run([steps(name) for name in "abc"])
    assert got == {name: [f"{name}{number}" for number in range(20)] for name in "abc"}


@WORKERS
def test_an_error_is_thrown_where_it_was_asked_and_leaves_the_others_alone(workers: int) -> None:
    ended = []

    def fetch(asked: Request) -> Page:
        if asked.path == "bad":
            raise Gone("gone", status=404)
        return echo(asked)

    def steps(path: str) -> Steps:
        try:
            yield request(path)
            ended.append((path, "there"))
        except Gone:
            page = yield request("other")
            ended.append((path, page.records[0]))

    lanes(fetch, workers).run([steps("bad"), steps("good")])
    assert sorted(ended) == [("bad", "other"), ("good", "there")]


@WORKERS
def test_an_error_that_nobody_catches_ends_the_run(workers: int) -> None:
    def fetch(asked: Request) -> Page:
        raise Unauthorized("no")

    def steps() -> Steps:
        yield request("x")

    with pytest.raises(Unauthorized):
        lanes(fetch, workers).run([steps(), steps()])


def test_nothing_is_sent_once_a_token_was_refused() -> None:
    """By no worker of any lane, though the run may not have noticed yet; other errors are one
    request's own."""
    sent = []

    def fetch(asked: Request) -> Page:
        sent.append(asked.path)
        if asked.path in ("revoked", "gone"):
            raise Unauthorized("no") if asked.path == "revoked" else Gone("gone", status=404)
        return echo(asked)

    fetched = until_refused(fetch)
    with pytest.raises(Gone):
        fetched(request("gone"))
    assert fetched(request("good")) == echo(request("good"))
    for path in ("revoked", "good", "other"):
        with pytest.raises(Unauthorized):
            fetched(request(path))
    assert sent == ["gone", "good", "revoked"]


@WORKERS
def test_who_has_nothing_to_ask_goes_on_when_another_has_got_on(workers: int) -> None:
    work: list[str] = []
    done: list[str] = []
    ended = False

    def maker() -> Steps:
        nonlocal ended
        for number in range(10):
            yield request(f"make {number}", template="make")
            work.append(f"item {number}")
        ended = True

    def reader() -> Steps:
        while not ended or work:
            if not work:
                yield None
                continue
            item = work.pop()
            yield request(item, template="read")
            done.append(item)

    lanes(echo, workers).run([reader(), reader(), maker()])
    assert sorted(done) == [f"item {number}" for number in range(10)]


def test_steps_that_wait_for_each_other_are_told_and_not_waited_for() -> None:
    def steps() -> Steps:
        while True:
            yield None

    with pytest.raises(RuntimeError):
        lanes(echo, 1).run([steps()])


def test_lanes_do_not_wait_for_each_other() -> None:
    """A lane that hangs leaves the others at work, and each has so many workers."""
    released = threading.Event()
    all_in = threading.Barrier(3)
    got: list[str] = []

    def fetch(asked: Request) -> Page:
        if asked.template == "slow":
            all_in.wait(30)
            assert released.wait(30)
        return echo(asked)

    def slow() -> Steps:
        page = yield request("slow", template="slow")
        got.extend(page.records)

    def quick() -> Steps:
        all_in.wait(30)
        for number in range(5):
            page = yield request(f"quick {number}", template="quick")
            got.extend(page.records)
        released.set()

    lanes(fetch, 2).run([slow(), slow(), quick()])
    assert got == [*(f"quick {number}" for number in range(5)), "slow", "slow"]


@WORKERS
def test_the_run_can_be_ended_between_two_requests(workers: int) -> None:
    left: Iterator[bool] = iter([True] * 8)
    got = []

    def check() -> None:
        if not next(left, False):
            raise MoreToDo("the time is up")

    def steps() -> Steps:
        for number in range(100):
            page = yield request(str(number))
            got.extend(page.records)

    with pytest.raises(MoreToDo):
        lanes(echo, workers, check).run([steps()])
    assert 0 < len(got) <= 8


@WORKERS
def test_what_is_written_is_settled_before_anybody_waits(workers: int) -> None:
    """An answer may take a minute, and a reader of the file need not wait for it."""
    settled = threading.Event()

    def fetch(asked: Request) -> Page:
        assert settled.wait(10)
        return echo(asked)

    def steps(path: str) -> Steps:
        for _ in range(3):
            settled.clear()
            yield request(path)

    Lanes(fetch, workers, never, settled.set).run([steps("a"), steps("b")])
