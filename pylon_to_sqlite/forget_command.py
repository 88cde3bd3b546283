"""The command that erases a customer from a mirror, and keeps them out of it."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pylon_to_sqlite.display import shown, table
from pylon_to_sqlite.endings import FAILED
from pylon_to_sqlite.exits import exit_statuses

if TYPE_CHECKING:
    from pylon_to_sqlite.folder import Folder
    from pylon_to_sqlite.forgetting import Done, Kept, Plan
    from pylon_to_sqlite.subjects import Subject

KINDS = ("contact", "account", "issue")


@click.command()
@click.argument("db", type=click.Path(path_type=Path))
@click.argument("kind", type=click.Choice(KINDS), required=False)
@click.argument("who", metavar="[EMAIL|ID]", required=False)
@click.option(
    "--files",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="The directory of sync --download-attachments: their files are removed from it.",
)
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option("--dry-run", is_flag=True, help="Tell what would be erased; erase nothing.")
@click.option("--undo", is_flag=True, help="Let them come again; the next sync reads all anew.")
@click.option("--list", "is_list", is_flag=True, help="List who is kept out.")
@click.option("--json", "as_json", is_flag=True, help="The list as JSON.")
def forget(
    db: Path,
    kind: str | None,
    who: str | None,
    files: Path | None,
    yes: bool,
    dry_run: bool,
    undo: bool,
    is_list: bool,
    as_json: bool,
) -> None:
    """Erase a contact (by EMAIL or ID), an account (by id or name) or an issue (by id or number)
    from the mirror DB for good, with all that belongs to them, and keep them out of later syncs.

    Pylon itself is not changed. What is to be erased is shown first, table by table.

    \b
    Exit status: 0 done, 1 something is left, and told what, 2 usage, or nobody
    of that name, 4 a sync holds the file, 5 stopped.
    """
    from pylon_to_sqlite import forgetting

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if is_list:
        if kind or undo or dry_run or files:
            raise click.UsageError("--list takes nothing but DB and --json")
        _list(forgetting.kept_out(db), as_json=as_json)
        return
    if kind is None or who is None:
        raise click.UsageError("say whom: contact EMAIL, or an ID; account ID; issue NUMBER")
    if as_json or (undo and (dry_run or files)):
        raise click.UsageError("--json goes with --list, and --dry-run and --files with no --undo")
    now = f"{datetime.now(timezone.utc).replace(tzinfo=None).isoformat(timespec='seconds')}Z"
    if undo:
        forgetting.undo(db, kind, who, now)
        click.echo(f"{kind} {shown(who)} is kept out no longer for itself.")
        if left := forgetting.kept_out(db):
            belongs = f"What belongs to {_many(len(left), 'other', 'others')} stays out, also if"
            click.echo(f"{belongs} it is that: --list tells who they are.")
        click.echo("The next sync reads everything anew, which takes as long as a first load.")
    elif yes or dry_run or sys.stdin.isatty():
        _forget(db, kind, who, now, files, is_agreed=yes, dry_run=dry_run)
    else:
        raise click.UsageError("nobody is here to be asked: say --yes, or --dry-run to look")


def _forget(
    db: Path,
    kind: str,
    who: str,
    now: str,
    files: Path | None,
    *,
    is_agreed: bool,
    dry_run: bool,
) -> None:
    from pylon_to_sqlite import forgetting

    def agree(plan: Plan) -> bool:
        for line in _plan_lines(plan, is_named=files is not None):
            click.echo(line)
        if dry_run or is_agreed:
            return not dry_run
        return click.confirm("Erase this for good, and keep it out of later syncs?")

    with exit_statuses("Stopped."):
        done = forgetting.forget(db, kind, who, now, agree, _folder(files))
    if done is None:
        click.echo("Nothing was erased.")
        return
    for line in _done_lines(db, done):
        click.echo(line)
    if done.unpurged or done.files:
        sys.stdout.flush()
        sys.exit(FAILED)


def _folder(path: Path | None) -> Folder | None:
    from pylon_to_sqlite.folder import Folder

    return None if path is None else Folder(path)


def _list(kept: list[Kept], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([one._asdict() for one in kept], indent=2))
    elif not kept:
        click.echo("Nobody is kept out.")
    else:
        rows = [(one.kind, shown(one.key), one.forgotten_at, one.others) for one in kept]
        click.echo(table([("what", "id", "forgotten", "with others"), *rows]))


def _plan_lines(plan: Plan, *, is_named: bool) -> Iterator[str]:
    """What is to be erased."""
    yield f"To be forgotten: {_called(plan.subject)}"
    rows = [(name, n, "") for name, n in sorted(plan.rows.items())]
    rows += [(name, n, "addresses replaced in") for name, n in sorted(plan.replaced.items())]
    if rows:
        yield table([("table", "rows", ""), *rows])
    if plan.files and is_named:
        yield f"{_many(plan.files, 'file', 'files')} that nobody else has will be removed too."
    elif plan.files:
        yield (
            f"{_many(plan.files, 'file', 'files')} of theirs stay on the disk unless you name the"
            " directory of sync --download-attachments with --files DIR."
        )
    yield from _name_lines(plan)
    if plan.other_tables:
        tables = shown(", ".join(plan.other_tables))
        yield f"Tables that are not this tool's are not looked into: {tables}."
    yield "Pylon itself, and copies of this file, keep what they have."


def _name_lines(plan: Plan) -> Iterator[str]:
    """Names, of which nobody can say whose they are."""
    for name, of, column, count in plan.named:
        literal = shown(name).replace("'", "''")
        yield f"The name {shown(name)} stays in {of}.{column}, {count:,} times. To look at them:"
        yield f"  SELECT id, {column} FROM {of} WHERE instr(lower({column}), lower('{literal}'));"


def _done_lines(db: Path, done: Done) -> Iterator[str]:
    if done.plan.is_nothing:
        yield "It was forgotten before, and nothing of it is here."
    else:
        yield f"Forgotten: {sum(done.plan.rows.values()):,} rows are erased for good."
    if done.unpurged:
        yield (
            f"Old pages of the file may still hold some of it, for this kept it from being written"
            f" anew: {shown(done.unpurged)}. The next sync does it, or pylon-to-sqlite doctor {db}"
            " --mend."
        )
    if done.files:
        yield (
            f"{_many(done.files, 'file', 'files')} of theirs are left where sync"
            " --download-attachments keeps them: run this again with --files DIR, or a sync with"
            " --download-attachments DIR."
        )


def _called(subject: Subject) -> str:
    kind = subject.stream.name.removesuffix("s")
    records = [f"{kind} {shown(key)} ({shown(name)})" for key, name in subject.names.items()]
    return ", ".join(records) or f"the address {shown(subject.address or '')}, which no contact has"


def _many(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"
