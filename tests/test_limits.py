"""How long to wait: not a moment longer than Pylon says, and never more than our share."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pylon_to_sqlite.errors import MoreToDo
from pylon_to_sqlite.limits import (
    MINUTE,
    PROBE,
    Allowance,
    Clock,
    Ticket,
    guess_of,
    stoppable,
)


class Endpoint:
    """A server's allowance in windows of a minute; what it tells is up to the test."""

    def __init__(
        self, clock: Any, most: int, *, tells_left: bool = True, tells_when: bool = True
    ) -> None:
        self.clock = clock
        self.most = most
        self.tells_left = tells_left
        self.tells_when = tells_when
        self.windows: dict[int, int] = {}
        self.refused = 0

    def ask(self, allowance: Allowance, ticket: Ticket) -> bool:
        """One request; whether it was answered and not refused."""
        window, into = divmod(self.clock.now(), MINUTE)
        if self.windows.get(int(window), 0) >= self.most:
            self.refused += 1
            seconds = MINUTE - into if self.tells_when else MINUTE
            allowance.refused(seconds, is_told=self.tells_when)
            return False
        self.windows[int(window)] = self.windows.get(int(window), 0) + 1
        left = self.most - self.windows[int(window)]
        allowance.answered(ticket, left if self.tells_left else None)
        return True


def drive(
    clock: Any, allowance: Allowance, ask: Callable[[Allowance, Ticket], bool], until: float
) -> int:
    """Send one request after the other until then; how many were answered."""
    answered = 0
    while clock.now() < until:
        given = allowance.take()
        if isinstance(given, Ticket):
            answered += ask(allowance, given)
        else:
            clock.sleep(given)
    return answered


def ticket(allowance: Allowance) -> Ticket:
    """Leave to send a request, which there must be."""
    given = allowance.take()
    assert isinstance(given, Ticket)
    return given


@pytest.mark.parametrize("most", [1, 10, 20, 120, 300])
@pytest.mark.parametrize("guess", [30, 120, 300])
@pytest.mark.parametrize("tells_left", [True, False])
@pytest.mark.parametrize("start", [0, 17, 59])
def test_the_whole_allowance_is_used_in_every_minute(
    clock: Any, most: int, guess: int, tells_left: bool, start: int
) -> None:
    clock.sleep(start)
    endpoint = Endpoint(clock, most, tells_left=tells_left)
    allowance = Allowance(clock.clock, guess, share=1.0)
    end = clock.now() - start + 10 * MINUTE
    assert drive(clock, allowance, endpoint.ask, end) == 10 * most
    assert endpoint.refused <= 10, "one request a minute asks until when"


@pytest.mark.parametrize("most", [10, 20, 120, 300])
@pytest.mark.parametrize("guess", [30, 120, 300])
@pytest.mark.parametrize("start", [0, 17, 59])
def test_a_share_leaves_the_rest_of_each_minute_to_others(
    clock: Any, most: int, guess: int, start: int
) -> None:
    clock.sleep(start)
    endpoint = Endpoint(clock, most)
    allowance = Allowance(clock.clock, guess, share=0.9)
    answered = drive(clock, allowance, endpoint.ask, clock.now() - start + 20 * MINUTE)
    assert endpoint.refused == 0
    assert max(endpoint.windows.values()) <= most * 0.9
    assert answered >= 18 * int(most * 0.9), "but for a minute at the start, all of it is used"


def test_a_server_that_tells_nothing_is_held_to_what_is_documented(clock: Any) -> None:
    endpoint = Endpoint(clock, 300, tells_left=False)
    allowance = Allowance(clock.clock, 120, share=0.9)
    drive(clock, allowance, endpoint.ask, clock.now() + 5 * MINUTE)
    assert set(endpoint.windows.values()) == {108}


def test_a_429_without_a_word_is_waited_out_for_a_minute(clock: Any) -> None:
    allowance = Allowance(clock.clock, 120, share=1.0)
    assert isinstance(allowance.take(), Ticket)
    allowance.refused(MINUTE, is_told=False)
    assert allowance.take() == MINUTE
    clock.sleep(MINUTE)
    assert isinstance(allowance.take(), Ticket)


def test_what_others_use_up_is_noticed(clock: Any) -> None:
    """Another tool takes half of each minute; still no request of ours is wasted."""
    endpoint = Endpoint(clock, 120)
    allowance = Allowance(clock.clock, 120, share=0.9)

    def ask(allowance: Allowance, ticket: Ticket) -> bool:
        window = int(clock.now() // MINUTE)
        endpoint.windows[window] = max(60, endpoint.windows.get(window, 0))
        return endpoint.ask(allowance, ticket)

    answered = drive(clock, allowance, ask, clock.now() + 10 * MINUTE)
    assert endpoint.refused == 0
    assert 9 * 48 <= answered <= 10 * 60


def test_while_one_worker_asks_the_others_hold_back(clock: Any) -> None:
    allowance = Allowance(clock.clock, 120, share=1.0)
    allowance.answered(ticket(allowance), 0)
    ticket(allowance)
    assert [allowance.take() for _ in range(3)] == [PROBE] * 3
    allowance.refused(17, is_told=True)
    assert [allowance.take() for _ in range(2)] == [17, 17]


def test_answers_in_another_order_are_no_new_minute(clock: Any) -> None:
    allowance = Allowance(clock.clock, 10, share=1.0)
    tickets = [ticket(allowance) for _ in range(10)]
    for remaining in (5, 9, 8, 0, 7, 6, 1, 3, 2, 4):
        allowance.answered(tickets[9 - remaining], remaining)
    ticket(allowance)
    assert allowance.take() == PROBE, "one asks, and that is all"


@pytest.mark.parametrize("most", [1, 2, 5])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_of_the_smallest_allowance_one_request_a_minute_is_used(
    clock: Any, most: int, share: float
) -> None:
    """A share of one request is no request at all, and a lane that stands still for ever."""
    endpoint = Endpoint(clock, most)
    answered = drive(
        clock, Allowance(clock.clock, 120, share), endpoint.ask, clock.now() + 20 * MINUTE
    )
    assert 18 * max(1, int(most * share)) <= answered <= 20 * max(1, most)


@pytest.mark.parametrize("share", [0.1, 0.9, 1.0])
def test_a_minute_that_others_have_used_up_is_not_taken_for_all_minutes(
    clock: Any, share: float
) -> None:
    endpoint = Endpoint(clock, 20)
    endpoint.windows[int(clock.now() // MINUTE)] = 19
    allowance = Allowance(clock.clock, 120, share)
    answered = drive(clock, allowance, endpoint.ask, clock.now() + 10 * MINUTE)
    assert answered >= 8 * int(20 * share)


def test_one_refusal_without_a_word_does_not_make_the_allowance_small_for_ever(clock: Any) -> None:
    """Such as some firewall may send. Where the server never tells what is left, what was guessed
    is what is tried again, little by little."""
    allowance = Allowance(clock.clock, 120, share=0.9)
    asked = 0

    def ask(allowance: Allowance, ticket: Ticket) -> bool:
        nonlocal asked
        asked += 1
        if asked == 5:
            allowance.refused(MINUTE, is_told=False)
            return False
        allowance.answered(ticket, None)
        return True

    drive(clock, allowance, ask, clock.now() + 30 * MINUTE)
    before = asked
    drive(clock, allowance, ask, clock.now() + 10 * MINUTE)
    assert asked - before >= 10 * 108


def test_workers_side_by_side_learn_what_there_is(clock: Any) -> None:
    """Their requests are counted before their answers are there: the share is of all, no less."""
    endpoint = Endpoint(clock, 20)
    allowance = Allowance(clock.clock, 20, share=0.9)
    for _ in range(8):
        flying = [given for _ in range(12) if isinstance(given := allowance.take(), Ticket)]
        lefts = []
        for _ in flying:
            window = int(clock.now() // MINUTE)
            endpoint.windows[window] = endpoint.windows.get(window, 0) + 1
            lefts.append(endpoint.most - endpoint.windows[window])
        for one, left in zip(flying, sorted(lefts), strict=True):
            allowance.answered(one, left)
        if not flying:
            wait = allowance.take()
            assert not isinstance(wait, Ticket)
            clock.sleep(wait)
    assert set(endpoint.windows.values()) == {18}


@pytest.mark.parametrize("share", [0.1, 0.25, 0.9])
@pytest.mark.parametrize("workers", [2, 8])
def test_the_share_is_kept_by_workers_who_pass_the_turn_of_the_minute_together(
    clock: Any, workers: int, share: float
) -> None:
    """Requests that were sent in one minute of ours and counted in the next of Pylon's count
    too: only where nothing has been heard yet may a few more be sent."""
    endpoint = Endpoint(clock, 120)
    allowance = Allowance(clock.clock, 120, share)
    clock.sleep(31)
    for _ in range(4000):
        flying = [one for _ in range(workers) if isinstance(one := allowance.take(), Ticket)]
        clock.sleep(0.4)
        for one in flying:
            window = int(clock.now() // MINUTE)
            endpoint.windows[window] = endpoint.windows.get(window, 0) + 1
            allowance.answered(one, endpoint.most - endpoint.windows[window])
    used = [endpoint.windows[window] for window in sorted(endpoint.windows)][1:-1]
    assert sum(one > 120 * share for one in used) <= 1
    assert max(used) <= 120 * share + workers


def test_a_late_answer_of_the_minute_before_tells_nothing_of_this_one(clock: Any) -> None:
    allowance = Allowance(clock.clock, 20, share=0.9)
    first, late = ticket(allowance), ticket(allowance)
    allowance.answered(first, 19)
    clock.sleep(MINUTE)
    flying = ticket(allowance)
    allowance.answered(late, 0)
    allowance.answered(flying, 19)
    for used in range(17):
        allowance.answered(ticket(allowance), 18 - used)
    assert not isinstance(allowance.take(), Ticket)


def test_a_clock_that_is_set_back_makes_nobody_wait(clock: Any) -> None:
    wall = [clock.now()]
    allowance = Allowance(Clock(lambda: wall[0], clock.sleep, clock.now), 120, share=1.0)
    ticket(allowance)
    allowance.refused(30, is_told=True)
    wall[0] -= 3600
    assert allowance.take() == 30
    clock.sleep(30)
    ticket(allowance)


def test_a_sleeper_wakes_when_the_time_is_up() -> None:
    clock = stoppable(threading.Event(), time.monotonic() + 0.05)
    clock.sleep(0)
    with pytest.raises(MoreToDo):
        clock.sleep(60)
    with pytest.raises(MoreToDo):
        clock.sleep(60)


def test_a_request_without_an_answer_does_not_count_for_ever(clock: Any) -> None:
    allowance = Allowance(clock.clock, 2, share=1.0)
    for _ in range(50):
        ticket(allowance)
        allowance.failed()


@pytest.mark.parametrize(
    ("method", "template", "guess"),
    [
        ("GET", "/issues", 30),
        ("POST", "/issues/search", 120),
        ("GET", "/issues/{id}/messages", 120),
        ("GET", "/issues/{id}/threads", 120),
        ("GET", "/accounts", 300),
    ],
)
def test_documents_are_the_first_guess(method: str, template: str, guess: int) -> None:
    assert guess_of(method, template) == guess


def test_a_sleeper_wakes_when_the_run_is_stopped() -> None:
    stop = threading.Event()
    clock = stoppable(stop)
    clock.sleep(0)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(MoreToDo):
        clock.sleep(60)
