"""How long Datasette takes over a large mirror: to start, and for the pages of our own."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from datasette.app import Datasette

from benchmarks.mirrors import MESSAGES, mirrored
from benchmarks.program import line

TITLE = "Pages"
GOAL_MS = 1000.0
TIMES = 7


class Taken(NamedTuple):
    """Wall time and CPU time in milliseconds, the middle of TIMES, and the size of what came."""

    milliseconds: float
    cpu: float
    size: int


def run(quick: bool) -> Iterator[str]:
    """The table, and what missed the goal."""
    with mirrored(quick) as (path, issues):
        yield from table(path, issues)


def table(path: Path, issues: int) -> Iterator[str]:
    """What is measured of a mirror that is there."""
    yield (
        f"Datasette {version('datasette')} over a mirror of {issues:,} issues with {MESSAGES}"
        f" messages each, the middle of {TIMES} times. Pages are asked for in the same process,"
        " which leaves out the network; CPU time says more on a machine that has other work."
    )
    yield ""
    yield line("what", "ms", "CPU ms", "bytes")
    yield line("---", "---:", "---:", "---:")
    slow = []
    for name, taken in asyncio.run(_measured(path)).items():
        yield line(name, f"{taken.milliseconds:.0f}", f"{taken.cpu:.0f}", f"{taken.size:,}")
        if taken.milliseconds >= GOAL_MS:
            slow.append(name)
    yield ""
    yield f"Goal: none takes {GOAL_MS:.0f} ms ({', '.join(slow) or 'none does'})."


async def _measured(path: Path) -> dict[str, Taken]:
    async def start() -> int:
        await Datasette([str(path)]).invoke_startup()
        return 0

    datasette = Datasette([str(path)])
    await datasette.invoke_startup()
    base = f"/{path.stem}"
    one: dict[str, str] = {}
    for table in ("teams", "accounts"):
        answer = await datasette.client.get(f"{base}/{table}.json?_size=1&_shape=array")
        one[table] = answer.json()[0]["id"]
    overview = f"{base}/-/pylon"
    pages = {
        "the overview": overview,
        "… of 52 weeks": f"{overview}?weeks=52",
        "… of a team, 52 weeks": f"{overview}?weeks=52&team={one['teams']}",
        "… of tickets, 52 weeks": f"{overview}?weeks=52&type=ticket",
        "… of an account": f"{overview}?account={one['accounts']}",
        "a conversation": f"{base}/-/conversation/1",
        "the database's page": base,
    }

    def ask(page: str) -> Callable[[], Awaitable[int]]:
        async def asked() -> int:
            found = await datasette.client.get(page)
            if found.status_code != 200 or "longer than this Datasette" in found.text:
                raise RuntimeError(f"{page}: {found.status_code}, or not all of it in time")
            return len(found.content)

        return asked

    taken = {"the start": await _taken(start)}
    return taken | {name: await _taken(ask(page)) for name, page in pages.items()}


async def _taken(work: Callable[[], Awaitable[Any]]) -> Taken:
    taken = []
    for _ in range(TIMES):
        began, began_cpu = time.perf_counter(), time.process_time()
        size = await work()
        wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
        taken.append(Taken(wall * 1000, cpu * 1000, size))
    return sorted(taken)[TIMES // 2]
