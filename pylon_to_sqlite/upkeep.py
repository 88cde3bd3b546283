"""The commands that keep a mirror well over the years: backup, doctor, runs, status."""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pylon_to_sqlite.connecting import client_of
from pylon_to_sqlite.display import finding_lines, run_lines, status_lines
from pylon_to_sqlite.endings import FAILED
from pylon_to_sqlite.exits import exit_statuses
from pylon_to_sqlite.options import connects

if TYPE_CHECKING:
    from pylon_to_sqlite.client import Client

db_path = click.Path(path_type=Path)


@click.command()
@click.argument("db", type=db_path)
@click.argument("to", type=db_path)
@click.option("--force", is_flag=True, help="Write over TO, if that is a copy of a mirror.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def backup(db: Path, to: Path, force: bool, quiet: bool) -> None:
    """Copy the mirror DB to a new file TO, as it stands, while a sync may be at work.

    The copy is whole or not there, readable by you only, and free of words that were deleted. It is
    a mirror itself: serve and status open it, and a sync goes on with it.
    """
    from pylon_to_sqlite.backup import back_up

    with exit_statuses("Stopped. There is no copy."):
        _heed_signals()
        size = back_up(db, to, force=force)
    if not quiet:
        click.echo(f"{to} holds a copy of {db}, {size / 10**6:,.1f} MB", err=True)


@click.command()
@click.argument("db", type=db_path)
@click.option(
    "--mend", is_flag=True, help="Mend what can be mended; without it nothing is written."
)
@connects
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def doctor(
    db: Path, mend: bool, token: str | None, auth: Path, api_url: str | None, as_json: bool
) -> None:
    """Examine the file DB and all around it: a line a check, and what to do.

    Pylon is asked only where there is a token. Exit status: 0 all well, 1 something is wrong.
    """
    from dataclasses import asdict

    from pylon_to_sqlite.doctor import diagnose
    from pylon_to_sqlite.plan import iso

    def ask() -> Client | None:
        if not token and not auth.exists():
            return None
        return client_of(token, auth, api_url)[0]

    _heed_signals()
    findings = diagnose(db, ask, iso(datetime.now(timezone.utc)), mend=mend)
    is_well = all(one.state != "wrong" for one in findings)
    if as_json:
        found = {"db": os.fspath(db), "ok": is_well, "checks": [asdict(one) for one in findings]}
        click.echo(json.dumps(found, indent=2))
    else:
        for line in finding_lines(findings):
            click.echo(line)
    if not is_well:
        sys.stdout.flush()
        sys.exit(FAILED)


@click.command()
@click.argument("db", type=db_path)
@click.option(
    "--last",
    metavar="N",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many of them.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def runs(db: Path, last: int, as_json: bool) -> None:
    """List the last runs over the file DB: when, what they did, and how they ended."""
    from dataclasses import asdict

    from pylon_to_sqlite.status import runs_of

    found = runs_of(db, last)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    for line in run_lines(found):
        click.echo(line)


def _heed_signals() -> None:
    """Let whatever asks to end do it as Ctrl-C does: nothing half done is left behind."""
    for one in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, signal.default_int_handler)


@click.command()
@click.argument("db", type=db_path)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status(db: Path, as_json: bool) -> None:
    """Tell per stream: rows, those gone from Pylon, up to which change it is complete, parents
    whose children are stale and will be read again, the last run and how it ended."""
    from dataclasses import asdict

    from pylon_to_sqlite.plan import iso
    from pylon_to_sqlite.status import status_of

    status = status_of(db, iso(datetime.now(timezone.utc)))
    if as_json:
        click.echo(json.dumps(asdict(status), indent=2))
        return
    for line in status_lines(os.fspath(db), status):
        click.echo(line)


COMMANDS = (backup, doctor, runs, status)
