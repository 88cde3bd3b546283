"""Requests side by side: a lane of workers an endpoint, for their allowances are separate.

Whoever has something to ask is a generator: it yields a Request and is sent its Page, or thrown
its error. All of them run in the thread that runs the lanes, so what they write has one writer.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue

from pylon_to_sqlite.errors import PylonError, Unauthorized
from pylon_to_sqlite.plan import Page, Request

# Yielding None means: nothing to ask until another has got on.
Steps = Generator[Request | None, Page, None]
_Resume = Callable[[], Request | None]
_Turn = tuple[Steps, _Resume]

# How long a signal or the end of the time may wait to be noticed, in seconds.
NOTICE = 0.5


class Lanes:
    """Runs steps to their end; `workers` a lane, 1 of which means: in turn, without threads.

    `fetch` answers a request, in any thread; `check` is called between requests and may raise to
    end the run; `settle` before every wait, for it may be a long one.
    """

    def __init__(
        self,
        fetch: Callable[[Request], Page],
        workers: int,
        check: Callable[[], None],
        settle: Callable[[], None],
    ) -> None:
        self._fetch = until_refused(fetch)
        self._workers = workers
        self._check = check
        self._settle = settle
        self._lanes: dict[str, ThreadPoolExecutor] = {}
        self._flying = 0
        self._landed: SimpleQueue[tuple[Steps, Future[Page]]] = SimpleQueue()
        self._parked: list[Steps] = []

    def run(self, steps: Iterable[Steps]) -> None:
        """Run all to their ends. Raises what one of them raises; the others are then closed."""
        steps = list(steps)
        ready: deque[_Turn] = deque((one, partial(next, one)) for one in steps)
        try:
            while ready or self._flying:
                while ready:
                    self._check()
                    self._resume(*ready.popleft(), ready)
                if self._flying:
                    ready.extend(self._answered())
            if self._parked:
                raise RuntimeError("steps that wait for each other")
        finally:
            for lane in self._lanes.values():
                lane.shutdown(wait=False, cancel_futures=True)
            for one in steps:
                one.close()

    def _resume(self, steps: Steps, resume: _Resume, ready: deque[_Turn]) -> None:
        try:
            request = resume()
        except StopIteration:
            ready.extend(self._woken())
            return
        if request is None:
            self._parked.append(steps)
        elif self._workers == 1:
            # Asked and answered in one go when its turn comes: an answer never lies about.
            ready.append((steps, partial(self._asked, steps, request, ready)))
        else:
            lane = self._lane(f"{request.method} {request.template}")
            self._flying += 1
            future = lane.submit(self._fetch, request)
            future.add_done_callback(lambda answered: self._landed.put((steps, answered)))

    def _asked(self, steps: Steps, request: Request, ready: deque[_Turn]) -> Request | None:
        self._settle()
        try:
            page = self._fetch(request)
        except PylonError as error:
            ready.extend(self._woken())
            return steps.throw(error)
        ready.extend(self._woken())
        return steps.send(page)

    def _answered(self) -> Iterable[_Turn]:
        """Who can go on: those whose answer has come, and after them those who waited for that."""
        if self._landed.empty():
            self._settle()
        try:
            steps, future = self._landed.get(timeout=NOTICE)
        except Empty:
            self._check()
            return
        self._flying -= 1
        error = future.exception()
        if error is None:
            yield steps, partial(steps.send, future.result())
        else:
            yield steps, partial(steps.throw, error)
        yield from self._woken()

    def _woken(self) -> Iterable[_Turn]:
        """Those who had nothing to ask: another has got on, so they may have now."""
        parked, self._parked = self._parked, []
        return [(one, partial(next, one)) for one in parked]

    def _lane(self, template: str) -> ThreadPoolExecutor:
        if template not in self._lanes:
            self._lanes[template] = ThreadPoolExecutor(self._workers, f"lane {template}")
        return self._lanes[template]


def until_refused(fetch: Callable[[Request], Page]) -> Callable[[Request], Page]:
    """`fetch` until a token is refused, from when on nothing is sent: the thread that runs the
    lanes may be busy writing, and workers of other lanes would go on meanwhile."""
    refused: list[Unauthorized] = []

    def fetched(request: Request) -> Page:
        if refused:
            raise refused[0]
        try:
            return fetch(request)
        except Unauthorized as error:
            refused.append(error)
            raise

    return fetched
