"""What a run would cost: requests, and the time that the rate limits make of them. Reads what it
must of Pylon, keeps no more of it than keys and times, and writes to no file."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from pylon_to_sqlite import file
from pylon_to_sqlite.choice import Choice
from pylon_to_sqlite.client import Client
from pylon_to_sqlite.lanes import Lanes
from pylon_to_sqlite.limits import guess_of
from pylon_to_sqlite.plan import Page, Request, moment
from pylon_to_sqlite.pseudonyms import Pseudonyms
from pylon_to_sqlite.reading import Reading, Result, ignore
from pylon_to_sqlite.reconcile import SPANS, is_to_come
from pylon_to_sqlite.run import Wishes, check_organization
from pylon_to_sqlite.schema import TABLES, live
from pylon_to_sqlite.stale import DOUBTED
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.stream import PAGE, Stream
from pylon_to_sqlite.streams import STREAMS
from pylon_to_sqlite.support_streams import ISSUES
from pylon_to_sqlite.sync import Sync

# What tells which parents changed; the rest of a record is nobody's business here.
NEEDED = ("id", "created_at", "updated_at", "type", "source")
MARKS = ("deleted_at", "placeholder")
PARENTS = {child.parent.name for child in STREAMS if child.parent}
REMEMBERED = ("_pylon_checkpoints", "_pylon_children", "_pylon_meta", "_pylon_forgotten")


@dataclass(frozen=True)
class Cost:
    """What one stream takes. It is not `is_known` where only Pylon could tell."""

    name: str
    requests: int | None
    """None where it could not be found out."""
    is_known: bool
    per_minute: float

    @property
    def seconds(self) -> float:
        return 60.0 * (self.requests or 0) / self.per_minute


@dataclass(frozen=True)
class Estimate:
    """What a run takes; `made` requests told it, and `errors` what could not be told."""

    costs: Sequence[Cost]
    made: int
    errors: Sequence[str]

    @property
    def requests(self) -> int:
        return sum(one.requests or 0 for one in self.costs)

    @property
    def seconds(self) -> float:
        """Endpoints are asked side by side."""
        return max((one.seconds for one in self.costs), default=0.0)


class _Cut:
    """Pylon's answers with no more of each record than is needed here, counted by endpoint."""

    def __init__(self, client: Client) -> None:
        self.asked: Counter[str] = Counter()
        self.now = client.now
        self._client = client

    def fetch(self, request: Request) -> Page:
        page = self._client.fetch(request)
        self.asked[request.template] += 1
        records = [
            {name: one[name] for name in NEEDED if name in one} if isinstance(one, dict) else one
            for one in page.records
        ]
        return replace(page, records=records)


def estimate(path: Path, client: Client, wishes: Wishes) -> Estimate:
    """What a sync of `path` would take. Asks Pylon for those lists alone that tell how many
    requests others take. Raises what a run does before it begins."""
    known = file.inspect(path)
    me = client.me()
    check_organization(path, known, me)
    cut = _Cut(client)
    with closing(Store(":memory:")) as store:
        store.prepare(client.wall())
        doubted = wishes.doubted_since(client.clock.now())
        rows = _take_over(path, store, doubted) if known else Counter()
        choice = _chosen(store, wishes, client.wall())
        streams = wishes.streams(choice)
        results = {stream.name: Result(stream) for stream in streams}
        reading = Reading(
            cut, store, client.wall, choice, doubted=wishes.allow_deletes, results=results
        )
        sync = Sync(
            reading,
            since=wishes.since,
            full=wishes.full,
            workers=wishes.workers,
            allow_deletes=STREAMS,
            reconcile=wishes.reconcile,
        )
        if wishes.full:
            sync.begin_full(streams)
        parents = [one for one in streams if any(child.parent is one for child in streams)]
        Lanes(cut.fetch, wishes.workers, ignore, store.transactions.settle).run(sync.steps(parents))
        asked = {one.name: cut.asked[one.path] for one in parents}
        costs = [_cost(stream, reading, asked, rows, client.share) for stream in streams]
        if ISSUES in streams:
            costs += _comparison(reading, wishes, rows[ISSUES.name], client.share)
    errors = [f"{name}: {result.error}" for name, result in results.items() if result.error]
    return Estimate(costs, client.requests, errors)


def _chosen(store: Store, wishes: Wishes, now: str) -> Choice:
    """What is mirrored from now on; what is taken in again is to be read again."""
    known = store.memory.choice()
    choice = wishes.choice(known)
    # The key does not matter: no words are here.
    before = known.privacy(Pseudonyms(b"") if known.pseudonyms else None)
    after = choice.privacy(Pseudonyms(b"") if wishes.wants_pseudonyms(known) else None)
    store.hold_to(choice, before, after, now, ignore)
    return choice


def _take_over(path: Path, store: Store, doubted: str | None) -> Counter[str]:
    """Let the store know what the file remembers, which parents it holds, and which children are
    doubted that were written since then; gives how many live rows each stream has there."""
    rows: Counter[str] = Counter()
    with file.reading(path) as there, store.transactions.one():
        sql = "SELECT name FROM sqlite_master WHERE type = 'table'"
        tables = {name for (name,) in there.execute(sql)}
        for name in tables & {*REMEMBERED, *PARENTS}:
            found = {row[1] for row in there.execute(f"PRAGMA table_info({name})")}
            ours = set(store.tables.types(name)) & found
            if name not in REMEMBERED:
                ours &= {*NEEDED, *MARKS}
            _fill(store, name, [*ours], there.execute(f"SELECT {', '.join(ours)} FROM {name}"))
        for name, columns, where in _telling():
            if name in tables:
                told = there.execute(f"SELECT {', '.join(columns)} FROM {name} WHERE {where}")
                _fill(store, name, columns, told)
        if doubted and "issue_messages" in tables:
            issues = there.execute(DOUBTED, {"since": doubted})
            store.db.conn.executemany(
                "UPDATE _pylon_children SET again_at = '' WHERE parent = ?", issues
            )
        for stream in STREAMS:
            if stream.name in tables:
                count = f"SELECT count(*) FROM {stream.name} WHERE {live(TABLES[stream.name])}"
                rows[stream.name] = there.execute(count).fetchone()[0]
    return rows


def _fill(
    store: Store, table: str, columns: Sequence[str], rows: Iterable[tuple[object, ...]]
) -> None:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    sql = f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})"
    store.db.conn.executemany(sql, rows)


def _telling() -> Iterator[tuple[str, tuple[str, ...], str]]:
    """What tells which parents may have children, where not all may: tables, columns, and WHERE."""
    for stream in STREAMS:
        if stream.belongs and (column := stream.belongs.only[0]):
            yield stream.name, ("id", stream.owner), "1"
            if other := stream.belongs.only_by:
                where = f"lower({column}) = '{stream.belongs.only[1]}'"
                yield other.name, ("id", other.owner, column), where


def _cost(
    stream: Stream, reading: Reading, asked: Mapping[str, int], rows: Counter[str], share: float
) -> Cost:
    store, now = reading.store, reading.source.now()
    checkpoint = store.memory.checkpoint(stream)
    per_minute = guess_of(stream.method, stream.path) * share
    pages = ceil(rows[stream.name] / stream.limit) if stream.limit else 1
    is_known = True
    requests: int | None
    if any(reading.results[one].error for one in (stream.name, *_parent(stream)) if one in asked):
        requests = None
    elif stream.is_by_staleness:
        requests = store.count_stale(stream, now, checkpoint.full)
    elif stream.name in asked:
        requests = asked[stream.name]
    elif stream.parent:
        parents = len(store.parents(stream.parent))
        requests, is_known = max(parents, pages), not stream.limit
    elif stream.part_column:
        requests, is_known = max(len(reading.choice.values(stream)), pages), not stream.limit
    else:
        requests = 1 if reading.new_since(stream, checkpoint) else max(1, pages)
        is_known = not stream.limit or stream.is_cut_off
    return Cost(stream.name, requests, is_known, per_minute)


def _parent(stream: Stream) -> tuple[str, ...]:
    return (stream.parent.name,) if stream.parent else ()


def _comparison(reading: Reading, wishes: Wishes, issues: int, share: float) -> Iterator[Cost]:
    """Of all issues, where a run would make it."""
    last, now = reading.store.memory.comparison(), reading.source.now()
    is_asked = wishes.reconcile or ISSUES in wishes.allow_deletes
    if issues and (is_asked or is_to_come(last, now)):
        oldest = reading.store.oldest_issue() or now
        if wishes.reconcile:
            oldest = min(oldest, reading.store.earliest())
        spans = (moment(now) - moment(oldest)).total_seconds() / SPANS[0]
        requests = max(1, ceil(issues / PAGE), ceil(spans))
        per_minute = guess_of("GET", "/issues") * share
        yield Cost("comparing all issues", requests, is_known=False, per_minute=per_minute)
