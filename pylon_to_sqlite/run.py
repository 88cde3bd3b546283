"""One whole run: look at the file, ask whose token it is, hold the file, sync, keep a record."""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pylon_to_sqlite import file
from pylon_to_sqlite.choice import Choice
from pylon_to_sqlite.client import Client, Me
from pylon_to_sqlite.downloads import Downloads
from pylon_to_sqlite.endings import FAILED, Ending, ending_of
from pylon_to_sqlite.errors import MoreToDo, Unauthorized, Unavailable, Unusable
from pylon_to_sqlite.further_streams import CUSTOM_OBJECTS
from pylon_to_sqlite.gather import Gathered, Gathering, Remembering
from pylon_to_sqlite.plan import iso
from pylon_to_sqlite.pseudonyms import Pseudonyms
from pylon_to_sqlite.reading import Progress, Reading, Result, ignore
from pylon_to_sqlite.reconcile import Compared
from pylon_to_sqlite.rows import Drift
from pylon_to_sqlite.runs import Counts
from pylon_to_sqlite.store import Store
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.support_streams import ISSUES
from pylon_to_sqlite.sync import Sync
from pylon_to_sqlite.transactions import BUSY_SECONDS
from pylon_to_sqlite.withdraw import Withdrawn


@dataclass(frozen=True)
class Wishes:
    """What the user asks of a run."""

    names: Sequence[str] = ()
    """The streams to read, which are remembered; none: those that are on."""
    everything: bool = False
    """Mirror all streams from now on."""
    skip: Sequence[str] = ()
    """Streams to leave out from now on."""
    custom_objects: Sequence[str] = ()
    """Kinds of custom objects to mirror from now on."""
    issue_type: str | None = None
    """The one type of issues to mirror from now on, or "all"."""
    public_only: bool | None = None
    """Leave private notes out from now on, or no longer."""
    exclude: Sequence[str] = ()
    """Columns and lists (as table.name) to leave out from now on."""
    include: Sequence[str] = ()
    """Those to take in again from now on."""
    pseudonymize: bool | None = None
    """Replace addresses by pseudonyms from now on, or no longer."""
    since: str | None = None
    full: bool = False
    workers: int = 1
    allow_deletes: Collection[Stream] = ()
    """Streams whose lists may lack most of what is here."""
    reconcile: bool = False
    """Compare all issues now, and not only once a day."""
    verify: float | None = None
    """Read the children of issues again that had messages in so many days."""
    erase_deleted: float | None = None
    """Erase the records for good that Pylon no longer has since so many days."""
    downloads: Downloads | None = None
    """What fetches the contents of files, if they are wanted, and where to."""
    until: float | None = None
    """When to stop with what there is, in seconds of the steady clock."""
    check: Callable[[], None] = ignore
    """Called between requests; may raise to end the run."""

    def choice(self, known: Choice) -> Choice:
        """What is mirrored from now on, where `known` was so far."""
        what = (self.names, self.skip, self.custom_objects, self.issue_type)
        chosen = known.with_wishes(*what, everything=self.everything)
        return chosen.with_privacy(self.public_only, self.exclude, self.include)

    def wants_pseudonyms(self, known: Choice) -> bool:
        """Whether addresses are replaced from now on."""
        return bool(known.pseudonyms) if self.pseudonymize is None else self.pseudonymize

    def doubted_since(self, now: float) -> str | None:
        """Since when there were messages in conversations that are to be read again; None where
        none are."""
        if self.verify is None:
            return None
        return iso(datetime.fromtimestamp(now, timezone.utc) - timedelta(days=self.verify))

    def streams(self, choice: Choice) -> Sequence[Stream]:
        """What this run reads, in order."""
        named = [*self.names]
        if named and self.custom_objects:
            # A kind brings its stream.
            named.append(CUSTOM_OBJECTS.name)
        return choice.streams(named)


@dataclass(frozen=True)
class Outcome:
    """What became of a run."""

    me: Me
    results: Sequence[Result]
    drift: Sequence[Drift]
    """Where Pylon's fields are not what this tool knows, and no run has told it yet."""
    compared: Compared
    erased: int
    """Records that were erased for good."""
    unpurged: str
    """Why something may be left of words that were changed or deleted, "" where nothing is."""
    withdrawn: Withdrawn
    """What was taken out of the file, for its user has chosen to leave it out."""
    gathered: Gathered | None = None
    """What was done for the contents of files, where they were wanted."""

    @property
    def counts(self) -> Counts:
        """What all streams' records did together."""
        total = Counts()
        for result in self.results:
            total.add(result.counts)
        return total

    @property
    def ending(self) -> Ending:
        """How the run ended, for its record and the command line."""
        return _ending(self.results, self.compared, self.gathered)

    @property
    def failed(self) -> bool:
        return self.ending.exit_status != 0


def _ending(
    results: Sequence[Result], compared: Compared, gathered: Gathered | None = None
) -> Ending:
    """How a run ends that came to its end."""
    stopped = gathered.error if gathered else None
    told = (stopped and f"downloads stopped: {stopped}", compared.told)
    error = "; ".join(filter(None, told)) or None
    if stopped or compared.failing or any(result.error for result in results):
        return Ending("failed", FAILED, error)
    return Ending(error=error)


def mirror(
    path: Path,
    client: Client,
    wishes: Wishes,
    on_progress: Callable[[Progress], None],
    on_result: Callable[[Result], None],
    patience: float = BUSY_SECONDS,
) -> Outcome:
    """Mirror the workspace that `client` reads into the file at `path`.

    Raises Unusable, Unauthorized, Busy or Unavailable before anything is written; later only
    Unauthorized, when Pylon stops accepting the token, and Unavailable, when the file can no
    longer be written, both with all that was read before committed. `patience` is for how many
    seconds other programs may write to the file, or have it for themselves.
    """
    known = file.inspect(path, patience=patience)
    # From here on by its whole name: to SQLite `:memory:` and `file:x` would be something else.
    path = path.resolve()
    me = client.me()
    check_organization(path, known, me)
    if wishes.downloads:
        wishes.downloads.folder.claim(me.id)
    file.create(path)
    try:
        with file.held(path):
            # Another sync may have made the file somebody else's meanwhile.
            check_organization(path, file.inspect(path), me)
            is_there, check = file.watched(path), wishes.check

            def checked() -> None:
                is_there()
                check()

            wished = replace(wishes, check=checked)
            with closing(Store(str(path), patience)) as store:
                store.prepare(client.wall(), organization_id=me.id)
                chosen = _hold_to(path, store, wished, client.wall())
                # Pylon's words go into the file too, and onto the terminal.
                client.hide = store.hiding()
                store.remember(organization_name=client.hide(me.name))
                outcome = _run(store, client, wished, me, *chosen, on_progress, on_result)
            is_there()
            return outcome
    except sqlite3.Error as error:
        why = file.told("cannot write to", path, error)
        raise Unavailable(f"{why}. What was committed stays") from None


def _run(
    store: Store,
    client: Client,
    wishes: Wishes,
    me: Me,
    choice: Choice,
    withdrawn: Withdrawn,
    on_progress: Callable[[Progress], None],
    on_result: Callable[[Result], None],
) -> Outcome:
    wall = client.wall

    def check() -> None:
        wishes.check()
        if wishes.until is not None and client.clock.steady() >= wishes.until:
            raise MoreToDo("the time is up")

    # Also what the last run could not, for its time was up.
    store.purge(wall())
    streams = wishes.streams(choice)
    if since := wishes.doubted_since(client.clock.now()):
        _doubt_recent(store, client, streams, since)
    run = store.runs.begin(version_here(), wall())
    held = store.privacy.words
    source = Remembering(client, held) if wishes.downloads else client
    reading = Reading(
        *(source, store, wall, choice),
        doubted=wishes.allow_deletes,
        on_progress=on_progress,
        on_result=on_result,
    )

    def record(ending: Ending) -> None:
        unfinished = {name: one.counts for name, one in reading.results.items() if not one.ended}
        # Who ends a run that waits for another program is not to wait again.
        is_over = ending.outcome == "interrupted"
        with suppress(sqlite3.OperationalError) if is_over else nullcontext():
            store.runs.end(run, ending, unfinished, client.requests, client.waited, wall())

    sync = Sync(
        reading,
        since=wishes.since,
        full=wishes.full,
        workers=wishes.workers,
        allow_deletes=wishes.allow_deletes,
        reconcile=wishes.reconcile,
        check=check,
    )
    with _recorded(record):
        results = sync.run(streams, run)
        found = sync.compared
        if found.missing or found.changed or found.gone:
            counts = Counts(found.missing, found.changed, found.gone)
            store.runs.add(run, ISSUES.name, counts)
        _settle_custom_objects(store, choice, results)
        # What comes now may take long, and nobody is to think the run had died.
        record(_ending(results, sync.compared))
        erased, unpurged = _clean_up(store, client, wishes, sync, results, wall)
        drift, gathered = store.tell_drift(), None
        if wishes.downloads and isinstance(source, Remembering):
            # After all else, for it may take longer than all else.
            workers = (wishes.workers, check, on_progress)
            gathering = Gathering(store, source, wishes.downloads, wall, *workers)
            gathered = gathering.run()
            wishes.downloads.close()
        outcome = Outcome(me, results, drift, sync.compared, erased, unpurged, withdrawn, gathered)
        record(outcome.ending)
    return outcome


def _hold_to(path: Path, store: Store, wishes: Wishes, now: str) -> tuple[Choice, Withdrawn]:
    """Have the file hold what is chosen, and no more, before anything is asked for. Raises Unusable
    where that is not possible; then all stays as it was."""
    known = store.memory.choice()
    choice = wishes.choice(known)
    wants = wishes.wants_pseudonyms(known)
    pseudonyms = file.key_beside(path, known.pseudonyms) if wants else None
    choice = replace(choice, pseudonyms=pseudonyms.fingerprint if pseudonyms else "")
    # Which key it was does not matter: what they stand for cannot be told from pseudonyms.
    before = known.privacy((pseudonyms or Pseudonyms(b"")) if known.pseudonyms else None)

    def remove(contents: Collection[str]) -> None:
        if wishes.downloads is None:
            raise Unusable(
                f"{len(contents):,} files were downloaded that are now to be left out: say where"
                " they are with --download-attachments DIR, and they are removed. Nothing was"
                " changed"
            )
        wishes.downloads.folder.remove(contents)

    return choice, store.hold_to(choice, before, choice.privacy(pseudonyms), now, remove)


@contextmanager
def _recorded(record: Callable[[Ending], None]) -> Iterator[None]:
    """Whatever ends the run is in its record."""
    try:
        yield
    except BaseException as error:
        with suppress(sqlite3.Error):
            record(ending_of(error))
        raise


def _doubt_recent(store: Store, client: Client, streams: Sequence[Stream], since: str) -> None:
    """Have the children of issues read again that had messages since then."""
    for stream in streams:
        if stream.is_by_staleness and stream.parent is ISSUES:
            store.doubt_children(stream, since, client.now())


def _settle_custom_objects(store: Store, choice: Choice, results: Sequence[Result]) -> None:
    """A word that was misspelt is not asked for for ever."""
    unknown = {value for result in results for value in result.unknown}
    kept = [kind for kind in choice.custom_objects if kind not in unknown]
    if kept != [*choice.custom_objects]:
        store.memory.save_choice(replace(choice, custom_objects=kept))


def _clean_up(
    store: Store,
    client: Client,
    wishes: Wishes,
    sync: Sync,
    results: Sequence[Result],
    wall: Callable[[], str],
) -> tuple[int, str]:
    """Erase what is to be, and leave nothing of words that are gone; gives how many records it was,
    and why something may be left."""
    erased = 0
    if wishes.erase_deleted is not None:
        now = datetime.fromtimestamp(client.clock.now(), timezone.utc)
        erased = store.erase(iso(now - timedelta(days=wishes.erase_deleted)), iso(now))
    found = sync.compared
    counts = [one.counts for one in results]
    has_changed = found.changed or found.gone or any(one.changed or one.gone for one in counts)
    # Names that only references tell are in no count.
    return erased, store.purge(wall()) if has_changed or store.is_unpurged() else ""


@cache
def version_here() -> str:
    return version("pylon-to-sqlite")


def check_organization(path: Path, known: file.Mirror | None, me: Me) -> None:
    """Raise Unauthorized where the file is another organisation's."""
    if known and known.organization_id not in ("", me.id):
        raise Unauthorized(
            f"{path} mirrors {known.organization_name} ({known.organization_id}), but the token is"
            f" one of {me.name} ({me.id}): use that organisation's token, or another file"
        )
