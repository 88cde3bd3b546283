"""Every fault at every request of a run, once and for good; then a run that nothing disturbs, and
the mirror says what Pylon says. What docs/faults.md promises of each fault is what is asserted.

A fixed spread of the places is tried here; FAULTS=all in the environment has all of them tried.
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from sqlite3 import connect
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from faulting import FAULTS, NAMES, Fault, Faulty, Place, Small, World
from mirroring import DAY, TOKEN, rows
from oracle import differences, expected

from pylon_to_sqlite.endings import ending_of
from pylon_to_sqlite.errors import PylonError, Unauthorized
from pylon_to_sqlite.run import Outcome
from pylon_to_sqlite.schema import TABLES
from pylon_to_sqlite.streams import BY_NAME

DOCS = (Path(__file__).parent.parent / "docs" / "faults.md").read_text(encoding="utf-8")
ALL = os.environ.get("FAULTS") == "all"
# A request is tried five times, or for an hour where it is the rate limit.
MOST, MOST_REFUSED = 6, 75
COMPARED = {"attachments", *NAMES, *(one.table for name in NAMES for one in BY_NAME[name].links)}
LOOKED_UP = ("accounts", "contacts", "users")


class Row(NamedTuple):
    """What the table promises of a fault: exit statuses, and when the mirror is whole again."""

    first_once: str
    first_for_good: str
    once: str
    for_good: str
    what: str
    whole: str

    def statuses(self, place: Place) -> set[int]:
        """The statuses with which a run that meets it there may end."""
        cells = self[:2] if place.at == 0 else self[2:4]
        return {int(one) for one in re.findall(r"\d", cells[place.for_good])}


def promised() -> dict[str, Row]:
    """The table of the docs."""
    lines = re.findall(r"^\| (.+) \|$", DOCS, re.MULTILINE)
    cells = [line.split(" | ") for line in lines]
    found = {name: rest for name, *rest in cells if len(rest) == len(Row._fields)}
    return {name: Row(*rest) for name, rest in found.items() if name not in ("Fault", "---")}


TABLE = promised()


@cache
def mirror() -> bytes:
    """The file of a first load, for the runs after it."""
    with TemporaryDirectory() as directory:
        world = World(Path(directory) / "pylon.db")
        world.run(Small(world))
        return world.path.read_bytes()


@cache
def requests(is_first_load: bool) -> int:
    """How many there are in a run that nothing disturbs."""
    with TemporaryDirectory() as directory:
        world = a_world(Path(directory) / "pylon.db", is_first_load)
        transport = Small(world)
        world.run(transport)
        return transport.asked


def a_world(path: Path, is_first_load: bool) -> World:
    for one in path.parent.glob(f"{path.name}*"):
        one.unlink()
    return World(path, None if is_first_load else mirror())


def places() -> list[Place]:
    """All there are."""
    return [
        Place(is_first_load, at, for_good)
        for is_first_load in (True, False)
        for at in range(requests(is_first_load))
        for for_good in (False, True)
    ]


def spread(name: str) -> list[Place]:
    """Some of them for this fault: the first request, and others that vary from fault to fault so
    that each is met by some."""
    if ALL:
        return places()
    first, others = [], []
    for place in places():
        (first if place.at == 0 else others).append(place)
    number = [*FAULTS].index(name)
    # Few requests have a cursor to refuse.
    steps = (0, len(others) // 2 + 1) if "cursor" in name else (0,)
    return [first[number % 4], *(others[(7 * number + step) % len(others)] for step in steps)]


@dataclass
class Case:
    """A run that met a fault somewhere, and what became of it."""

    world: World
    fault: Fault
    place: Place
    before: set[tuple[Any, ...]]
    transport: Faulty
    outcome: Outcome | None = None
    error: PylonError | None = None

    @property
    def status(self) -> int:
        ending = self.outcome.ending if self.outcome else ending_of(self.error or Exception())
        return ending.exit_status

    @property
    def words(self) -> str:
        """All that it says."""
        if self.outcome is None:
            return str(self.error)
        told = [(one.error, one.missing, one.unknown) for one in self.outcome.results]
        return f"{told} {self.outcome.compared.error}"


def run(path: Path, fault: Fault, place: Place) -> Case:
    """A run that meets the fault at that place."""
    world = a_world(path, place.is_first_load)
    each = MOST_REFUSED if fault.kind.startswith("429") else MOST
    transport = Faulty(world, fault, place, each * requests(place.is_first_load))
    before = set() if place.is_first_load else live_keys(path)
    case = Case(world, fault, place, before, transport)
    try:
        case.outcome = world.run(transport)
    except PylonError as error:
        case.error = error
    world.api.behave()
    world.off = 0.0
    return case


def live_keys(path: Path) -> set[tuple[Any, ...]]:
    """The records that the mirror says are there."""
    found = set()
    with closing(connect(path)) as connection:
        for name in NAMES:
            wanted = "deleted_at IS NULL" + " AND placeholder = 0" * TABLES[name].has_placeholder
            sql = f"SELECT {', '.join(TABLES[name].key)} FROM {name} WHERE {wanted}"
            found |= {(name, *key) for key in connection.execute(sql)}
    return found


def there_keys(world: World) -> set[tuple[Any, ...]]:
    """The records that Pylon has."""
    wanted = expected(world.desk.workspace, {"everything": True, "custom_objects": ["companies"]})
    return {
        (name, *(row[column] for column in TABLES[name].key))
        for name in NAMES
        for row in wanted[name]
    }


def check_file(case: Case, row: Row) -> None:
    """Right after the run: nothing is lost, nothing is told that is not, and no key is broken."""
    path = case.world.path
    content = b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))
    assert TOKEN.encode() not in content
    if not content:
        assert case.place == (True, 0, case.place.for_good)
        return
    assert rows(path, "PRAGMA foreign_key_check") == []
    gone = (case.before & there_keys(case.world)) - live_keys(path)
    # Of a list that comes empty twice, a handful is believed; never of issues and what is theirs.
    assert not {table for table, *_ in gone if "told gone" not in row.what or "issue" in table}
    (last,) = rows(path, "SELECT * FROM _pylon_runs ORDER BY id DESC LIMIT 1") or [None]
    if case.place.at or case.outcome:
        assert last
        assert (last["exit_status"], last["ended_at"] is None) == (case.status, False)


def check_recovery(case: Case, row: Row) -> None:
    """The next run, some hours and changes later, is well, and makes the mirror whole; or what the
    table says it takes."""
    world = case.world
    world.live_on()
    outcome = world.run(Small(world))
    told = [outcome.compared.error, *(one.error or one.missing for one in outcome.results)]
    assert [one for one in told if one] == []
    left = differences_in(world)
    if "a day later" in row.whole and {one.split()[0] for one in left} <= {*LOOKED_UP}:
        world.clock.sleep(DAY)
        world.run(Small(world))
        left = differences_in(world)
    if "`--full`" in row.whole and all(one.startswith("issue_") for one in left):
        world.run(Small(world), full=True)
        left = differences_in(world)
    assert left == []


def differences_in(world: World) -> list[str]:
    """How the mirror differs from the workspace, in what these runs read."""
    found = differences(world.path, world.desk.workspace)
    return [one for one in found if one.split()[0] in {*COMPARED, "broken"}]


def check(case: Case, row: Row) -> None:
    assert case.status in row.statuses(case.place), case.words
    assert TOKEN not in case.words
    check_file(case, row)
    check_recovery(case, row)


@pytest.mark.parametrize("name", FAULTS)
def test_a_run_survives_it_and_the_next_one_makes_it_good(
    tmp_path: Path, name: str, record_property: Callable[[str, object], None]
) -> None:
    row = TABLE[name]
    seen: dict[tuple[bool, bool], set[int]] = defaultdict(set)
    promises: dict[tuple[bool, bool], set[int]] = {}
    runs = 0
    for place in spread(name):
        case = run(tmp_path / "pylon.db", FAULTS[name], place)
        if not case.transport.met:
            # There is no cursor yet to be refused, for one.
            continue
        try:
            check(case, row)
        except AssertionError as error:
            raise AssertionError(f"{place}: {error}") from error
        runs += 1
        kind = (place.at == 0, place.for_good)
        promises[kind] = row.statuses(place)
        seen[kind].add(case.status)
    assert seen
    record_property("runs", runs)
    if ALL:
        assert dict(seen) == promises, "the table promises no more than what can happen"


def test_the_table_is_about_the_faults_that_are_tried() -> None:
    assert [*TABLE] == [*FAULTS]


def test_the_numbers_in_the_docs_are_those_of_the_matrix() -> None:
    first, later = requests(True), requests(False)
    runs = len(FAULTS) * len(places())
    said = f"{len(FAULTS)} faults at each of {first + later} requests"
    assert said in DOCS
    assert f"({first} of a first load, {later} of a later run)" in DOCS
    assert f"{runs:,} runs" in DOCS


def answered(transport: Small) -> Iterator[tuple[str, str]]:
    """The records of pages that came, with their tables; of conversations that came whole."""
    tables = {
        f"{BY_NAME[name].method} {BY_NAME[name].path}": name
        for name in NAMES
        if not BY_NAME[name].is_by_staleness and "{" not in BY_NAME[name].path
    }
    pages: dict[str, list[str]] = defaultdict(list)
    for what, response in transport.answers:
        if response.status_code != 200:
            continue
        body = response.json()
        ids = [one["id"] for one in body["data"] or []] if isinstance(body["data"], list) else []
        if what in tables:
            yield from ((tables[what], one) for one in ids)
        elif what.endswith("/messages"):
            pages[what] += ids
            if not body["pagination"]["has_next_page"]:
                yield from (("issue_messages", one) for one in pages[what])


@pytest.mark.parametrize("is_first_load", [True, False])
def test_a_token_that_is_revoked_in_the_middle_ends_the_run_at_once(
    tmp_path: Path, is_first_load: bool
) -> None:
    """At any request: nothing is asked after it, all that came before is in the file, and the next
    run, with another token, goes on."""
    step = 1 if ALL or not is_first_load else 3
    for at in range(0, requests(is_first_load), step):
        place = Place(is_first_load, at, True)
        case = run(tmp_path / "pylon.db", FAULTS["401"], place)
        assert isinstance(case.error, Unauthorized)
        assert (case.status, case.transport.asked) == (3, at + 1)
        if at:
            assert {*answered(case.transport)} <= live_keys(case.world.path)
        check(case, TABLE["401"])


def test_a_token_that_is_revoked_ends_workers_side_by_side_too(tmp_path: Path) -> None:
    """Those whose requests were under way get no more than their answers."""
    for at in range(1, requests(False), 6):
        world = a_world(tmp_path / "pylon.db", is_first_load=False)
        transport = Faulty(world, FAULTS["401"], Place(False, at, True), 1000)
        with pytest.raises(Unauthorized):
            world.run(transport, workers=4)
        refused = [one for _, one in transport.answers if one.status_code == 401]
        assert len(refused) <= len(NAMES)
        world.api.behave()
        world.live_on()
        world.run(Small(world), workers=4)
        assert differences_in(world) == []
