"""The commands: options in, one line and an exit status out. Imports what is heavy when needed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pylon_to_sqlite.connecting import asked_for, client_of, connected, is_given
from pylon_to_sqlite.display import Display, cost_lines, shown, stream_table
from pylon_to_sqlite.download_options import downloads, downloads_of
from pylon_to_sqlite.endings import FAILED
from pylon_to_sqlite.errors import Unavailable
from pylon_to_sqlite.exits import exit_statuses, leave
from pylon_to_sqlite.forget_command import forget
from pylon_to_sqlite.journal import Journal
from pylon_to_sqlite.options import (
    check_choice,
    check_hidden,
    chooses,
    connects,
    hides,
    paces,
    past,
    stays,
    stream_names,
)
from pylon_to_sqlite.running import Interrupt, mirror_once, stay
from pylon_to_sqlite.upkeep import COMMANDS

if TYPE_CHECKING:
    from pylon_to_sqlite.client import Client
    from pylon_to_sqlite.run import Wishes

db_path = click.Path(path_type=Path)


class Commands(click.Group):
    """The commands, none of which shows a traceback for what the user or Pylon can cause."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command and exit; what it printed is out by then, or the error told. All of click
        is in here, for Ctrl-C may come while it parses, or leaves."""
        run: Callable[[], Any] = partial(
            super().main, args, prog_name, complete_var, False, **extra
        )
        if not standalone_mode:
            return run()
        with exit_statuses():
            try:
                status = run()
                if sys.stdout:
                    sys.stdout.flush()
            except click.ClickException as error:
                error.show()
                status = error.exit_code
            sys.exit(status)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, before click makes something of how it ended."""
        with exit_statuses():
            return super().invoke(ctx)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pylon-to-sqlite")
def cli() -> None:
    """Mirror a Pylon (usepylon.com) workspace into one SQLite file.

    \b
    First:   pylon-to-sqlite auth
    Then:    pylon-to-sqlite sync pylon.db
    Look:    pylon-to-sqlite serve pylon.db
    """
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is shown escaped.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@cli.command()
@connects
def auth(token: str | None, auth: Path, api_url: str | None) -> None:
    """Ask for a token, check it, and keep it in a file.

    An admin creates tokens in Pylon under Settings > API. The file is readable by you only; what
    other tools keep in it stays.
    """
    from pylon_to_sqlite.auth import save

    # Asked for even where the environment has one: this command is for a new token.
    if not is_given("token") or not token:
        token = asked_for()
    client = connected(token, api_url)
    me = client.me()
    save(auth, client.token)
    click.echo(f"This is a token of {shown(me.name)} ({client.api_url}). Kept in {auth}.")


@cli.command("verify-auth")
@connects
def verify_auth(token: str | None, auth: Path, api_url: str | None) -> None:
    """Tell whose token it is, its region, and where it came from."""
    client, source = client_of(token, auth, api_url)
    me = client.me()
    click.echo(f"Organisation: {shown(me.name)} ({shown(me.id)})")
    click.echo(f"API:          {client.api_url} ({client.region})")
    click.echo(f"User:         {shown(me.email or 'an API user')}")
    click.echo(f"Token from:   {source}")


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def streams(as_json: bool) -> None:
    """List every stream: endpoint, how it is kept up to date, requests a run, whether it is on."""
    from pylon_to_sqlite.choice import listing

    rows = listing()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    click.echo(stream_table(rows))


@cli.command()
@click.argument("db", type=db_path)
@click.argument("streams", metavar="[STREAM]...", callback=stream_names, nargs=-1)
@connects
@chooses
@hides
@click.option(
    "--since",
    metavar="DATE",
    callback=past,
    help="Take only issues updated since then (a date, or an RFC 3339 time); remembered in the"
    " file. An earlier date later loads what was skipped.",
)
@click.option(
    "--reconcile",
    is_flag=True,
    help="Compare all issues with Pylon's list of them now; it is done once a day anyway.",
)
@click.option(
    "--verify",
    metavar="DAYS",
    type=click.IntRange(1, 36500),
    help="Read messages, threads and all else of an issue again, of those that had messages in so"
    " many days: edits may leave no other sign.",
)
@click.option("--full", is_flag=True, help="Read everything again, what belongs to issues too.")
@click.option(
    "--allow-deletes",
    metavar="STREAM",
    callback=stream_names,
    multiple=True,
    help="Believe it when Pylon's list of this stream lacks most of what is here.",
)
@click.option(
    "--erase-deleted",
    metavar="DAYS",
    type=click.IntRange(0, 36500),
    help="Erase records for good that are gone from Pylon since so many days, as far as syncs saw,"
    " or that --issue-type left out since then; else they stay, with deleted_at.",
)
@downloads
@paces
@click.option(
    "--dry-run",
    is_flag=True,
    help="Tell how many requests it would take, and how long; write nothing.",
)
@stays
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Print each request.")
def sync(
    db: Path,
    streams: tuple[str, ...],
    token: str | None,
    auth: Path,
    api_url: str | None,
    everything: bool,
    skip: tuple[str, ...],
    issue_type: str | None,
    custom_objects: tuple[str, ...],
    public_only: bool | None,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    pseudonymize: bool | None,
    since: str | None,
    reconcile: bool,
    verify: int | None,
    full: bool,
    allow_deletes: tuple[str, ...],
    erase_deleted: int | None,
    download_attachments: Path | None,
    attachment_limit: int,
    max_time: float | None,
    share: float,
    workers: int,
    dry_run: bool,
    every: float | None,
    log_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Mirror all streams into the SQLite file DB, or those named; a child brings its parent.

    The first run reads everything; later runs read what changed. A run that was stopped goes on
    where it was.

    \b
    Exit status: 0 all well, 1 some streams failed, 2 usage, 3 not authorised,
    4 another sync holds the file, 5 stopped with more to do.
    """
    from pylon_to_sqlite.file import inspect
    from pylon_to_sqlite.run import Wishes
    from pylon_to_sqlite.streams import BY_NAME

    show = Journal(quiet, verbose) if log_json else Display(quiet, verbose, brief=every is not None)
    stopped = "Stopped. What was read is committed; run it again to go on."
    stopped = "Stopped. Nothing was written." if dry_run else stopped
    with exit_statuses(stopped, show.ended):
        if every is not None and dry_run:
            raise click.UsageError("--every is for runs, and --dry-run is none")
        check_choice(streams, everything, skip, since)
        if str(db) in BY_NAME and not db.exists():
            raise click.UsageError(f"{db} is a stream: name the file first, then streams")
        # From here on, for another program may have the file for itself.
        interrupt = Interrupt()
        try:
            # Before the token is looked for: a file that cannot be used is told first.
            inspect(db)
        except Unavailable:
            # The next round may find it as it should be.
            if every is None:
                raise
        left_out, taken_in = check_hidden(db, exclude, include)

        def ask(is_first: bool) -> tuple[Client, Wishes]:
            client, _ = client_of(token, auth, api_url, show.warning)
            client.share = share
            return client, Wishes(
                streams,
                everything=everything,
                skip=skip,
                custom_objects=custom_objects,
                issue_type=issue_type,
                public_only=public_only,
                exclude=left_out,
                include=taken_in,
                pseudonymize=pseudonymize,
                since=since,
                # What is for once is not for each round.
                full=full and is_first,
                reconcile=reconcile and is_first,
                verify=verify if is_first else None,
                allow_deletes=[BY_NAME[name] for name in allow_deletes] if is_first else [],
                erase_deleted=erase_deleted,
                downloads=downloads_of(client, download_attachments, attachment_limit),
                workers=workers,
                until=None if max_time is None else client.clock.steady() + max_time,
            )

        if every is not None:
            stay(db, every, ask, show)
            show.ended("Stopped between two runs.", 0)
            leave(0)
        client, wishes = ask(True)
        if dry_run:
            return _tell_costs(db, client, wishes)
        outcome = mirror_once(db, client, wishes, show, interrupt)
    sys.exit(outcome.ending.exit_status)


def _tell_costs(db: Path, client: Client, wishes: Wishes) -> None:
    from pylon_to_sqlite.estimate import estimate

    found = estimate(db, client, wishes)
    for line in cost_lines(found):
        click.echo(line)
    if found.errors:
        sys.exit(FAILED)


@cli.command()
@click.argument("path")
@connects
@click.option("--paginate", is_flag=True, help="Follow the pages; print the records of all.")
@click.option("--nl", is_flag=True, help="Print one record a line.")
def get(
    path: str, token: str | None, auth: Path, api_url: str | None, paginate: bool, nl: bool
) -> None:
    """Print what Pylon answers to GET PATH, such as /issues/42 or '/accounts?limit=5'."""
    from pylon_to_sqlite.raw import records, request_of

    request = request_of(path)
    client, _ = client_of(token, auth, api_url)
    if not paginate and not nl:
        click.echo(json.dumps(client.raw(request), indent=2))
        return
    found = (
        json.dumps(one, indent=None if nl else 2) for one in records(client, request, paginate)
    )
    if nl:
        for line in found:
            click.echo(line)
        return
    click.echo("[", nl=False)
    for position, text in enumerate(found):
        click.echo(("," if position else "") + "\n" + text, nl=False)
    click.echo("\n]")


@cli.command()
@click.argument("db", type=db_path)
def metadata(db: Path) -> None:
    """Print Datasette metadata for the file DB: descriptions, facets and canned queries."""
    from pylon_to_sqlite.serving import metadata_of

    click.echo(json.dumps(metadata_of(db), indent=4))


# Not -h, which to Datasette means --host.
@cli.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("db", type=db_path)
@click.argument("datasette_args", metavar="[DATASETTE ARGS]...", nargs=-1, type=click.UNPROCESSED)
def serve(db: Path, datasette_args: tuple[str, ...]) -> None:
    """Open the file DB in Datasette, on this machine only, with its overview and conversations.

    What follows DB goes to Datasette, such as --open (the overview, in a browser) or --port 8002.
    """
    from pylon_to_sqlite.serving import serve as serve_

    if str(db).startswith("-"):
        raise click.UsageError(f"the file comes first: serve pylon.db {db} …")
    sys.exit(serve_(db, datasette_args))


@cli.command()
@click.argument("db", type=db_path, default=Path("pylon-demo.db"))
@click.option("--no-serve", is_flag=True, help="Only make the file.")
@click.option("-o", "--open", "is_opened", is_flag=True, help="Open the overview in a browser.")
def demo(db: Path, no_serve: bool, is_opened: bool) -> None:
    """Mirror a sample workspace into DB (pylon-demo.db by default), then open it in Datasette,
    which tells where its overview is.

    The workspace is served on this machine; nothing leaves it and no token is needed. A DB that
    holds an earlier sample is made anew, any other is left alone.
    """
    from pylon_to_sqlite.client import Client
    from pylon_to_sqlite.run import Wishes
    from pylon_to_sqlite.sandbox.demo import CUSTOM_OBJECTS, remove_old_sample, sample_server
    from pylon_to_sqlite.serving import serve as serve_

    with sample_server() as (url, token):
        remove_old_sample(db)
        wishes = Wishes(everything=True, custom_objects=CUSTOM_OBJECTS, workers=4)
        outcome = mirror_once(db, Client(token, url), wishes, Display(False, False))
    if outcome.failed:
        sys.exit(FAILED)
    if not no_serve:
        sys.exit(serve_(db, ["--open"] if is_opened else []))
    click.echo(f"Look at it with: pylon-to-sqlite serve {os.fspath(db)}", err=True)


for command in (*COMMANDS, forget):
    cli.add_command(command)
