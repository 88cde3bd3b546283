"""Options that commands share, and what their values may be: a usage error tells the choices."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]


def stream_names(
    ctx: click.Context, param: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    from pylon_to_sqlite.streams import BY_NAME

    for name in names:
        if name not in BY_NAME:
            raise click.BadParameter(
                f"there is no stream {name!r}. The streams are: {', '.join(BY_NAME)}"
            )
    return names


def kinds(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Kinds of custom objects, as Pylon's addresses name them."""
    from pylon_to_sqlite.errors import Unexpected
    from pylon_to_sqlite.plan import path_segment

    for kind in given:
        try:
            path_segment(kind.strip())
        except Unexpected:
            raise click.BadParameter(f"{kind[:80]!r} is no kind of custom objects") from None
    return tuple(kind.strip() for kind in given)


def past(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A date or an RFC 3339 time in the past, as UTC in whole seconds."""
    from pylon_to_sqlite.plan import ISO, iso
    from pylon_to_sqlite.values import utc

    if value is None:
        return None
    time = utc(f"{value}T00:00:00Z" if len(value) == 10 else value)
    try:
        # A fraction of a second is given up; anything else behind the seconds is no time.
        moment = datetime.strptime(re.sub(r"\.\d+Z$", "Z", time), ISO).replace(tzinfo=timezone.utc)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no date: write 2026-07-01, or 2026-07-01T09:00:00Z"
        ) from None
    if moment > datetime.now(timezone.utc):
        raise click.BadParameter(f"{value!r} is in the future")
    # Before there was Pylon all dates mean the same.
    return iso(max(moment, datetime(2000, 1, 1, tzinfo=timezone.utc)))


def seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A length of time, such as 90s, 20m or 1.5h."""
    if value is None:
        return None
    unit = {"s": 1, "m": 60, "h": 3600}.get(value[-1:], 0)
    try:
        length = float(value[:-1]) * unit
    except ValueError:
        length = 0
    if not 0 < length < 10**9:
        raise click.BadParameter(f"{value!r} is no length of time: write 90s, 20m or 2h")
    return length


def share_of(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """A percentage as a fraction."""
    try:
        percent = float(value.removesuffix("%"))
    except ValueError:
        percent = 0
    if not 1 <= percent <= 100:
        raise click.BadParameter(f"{value!r} is no share: write 1% to 100%")
    return percent / 100


def chooses(command: Command) -> Command:
    """The options that say what is mirrored, and are remembered in the file."""
    options = (
        click.option(
            "--all",
            "everything",
            is_flag=True,
            help="Mirror every stream from now on: those too that are off unless asked for, such as"
            " ones that cost a request an issue. Custom objects need --custom-object.",
        ),
        click.option(
            "--skip",
            metavar="STREAM",
            callback=stream_names,
            multiple=True,
            help="Leave this stream out from now on; naming it later takes it in again.",
        ),
        click.option(
            "--issue-type",
            type=click.Choice(["conversation", "ticket", "all"]),
            help="Mirror only issues of this type from now on.",
        ),
        click.option(
            "--custom-object",
            "custom_objects",
            metavar="KIND",
            callback=kinds,
            multiple=True,
            help="Mirror custom objects of this kind from now on, such as companies; --skip"
            " custom_objects forgets the kinds.",
        ),
    )
    return _with(options, command)


def hides(command: Command) -> Command:
    """The options that say what is left out of records, and are remembered in the file."""
    options = (
        click.option(
            "--public-only/--with-private",
            default=None,
            help="Leave private notes out from now on, with their files and all else that may be"
            " theirs; what the file has of them is removed for good.",
        ),
        click.option(
            "--exclude",
            metavar="TABLE.COLUMN",
            multiple=True,
            help="Leave this column, or list, out from now on, such as contacts.email or"
            " accounts.custom_fields; what the file has of it is removed for good.",
        ),
        click.option(
            "--include",
            metavar="TABLE.COLUMN",
            multiple=True,
            help="Take a column or list in again that was left out.",
        ),
        click.option(
            "--pseudonymize-emails/--no-pseudonymize-emails",
            "pseudonymize",
            default=None,
            help="Replace each e-mail address by a pseudonym from now on, always the same one, by a"
            " key in DB.key; in all that the file has, too.",
        ),
    )
    return _with(options, command)


def check_hidden(db: Path, exclude: Sequence[str], include: Sequence[str]) -> list[list[str]]:
    """The columns and lists to leave out and to take in again, as the file remembers them. Raises
    a usage error for what cannot be left out."""
    from pylon_to_sqlite.errors import Unusable
    from pylon_to_sqlite.file import new_fields_in
    from pylon_to_sqlite.privacy import excludable

    if not exclude and not include:
        return [[], []]
    found = new_fields_in(db)
    try:
        chosen = [[excludable(name, found) for name in names] for names in (exclude, include)]
    except Unusable as error:
        raise click.UsageError(str(error)) from None
    if both := {*chosen[0]} & {*chosen[1]}:
        raise click.UsageError(f"{min(both)} cannot be both left out and taken in")
    return chosen


def paces(command: Command) -> Command:
    """The options that say how fast a run asks, and for how long."""
    options = (
        click.option(
            "--max-time",
            metavar="TIME",
            callback=seconds,
            help="Stop after so long (90s, 20m, 2h) with all that was read; the next run goes on.",
        ),
        click.option(
            "--share",
            metavar="PERCENT",
            default="90%",
            callback=share_of,
            show_default=True,
            help="How much of Pylon's rate limits to use; other tools of your organisation share"
            " them.",
        ),
        click.option(
            "--workers",
            type=click.IntRange(1, 32),
            default=8,
            show_default=True,
            help="Requests under way at once to each endpoint; 1: one at a time over all.",
        ),
    )
    return _with(options, command)


def stays(command: Command) -> Command:
    """The options for who runs unattended."""
    options = (
        click.option(
            "--every",
            metavar="TIME",
            callback=seconds,
            help="Stay, and run again each TIME (15m, 1h) until a signal comes; less often while"
            " Pylon is down. --full, --reconcile, --verify and --allow-deletes are for the first"
            " run alone.",
        ),
        click.option(
            "--log-json",
            is_flag=True,
            help="Print one JSON object a line to stderr for each event, instead of lines for"
            " people.",
        ),
    )
    return _with(options, command)


def check_choice(
    names: Sequence[str], everything: bool, skip: Sequence[str], since: str | None
) -> None:
    """Raise a usage error where what is wished for contradicts itself."""
    from pylon_to_sqlite.streams import with_parents

    named = with_parents(names)
    if everything and names:
        raise click.UsageError("name the streams to read now, or say --all, not both")
    if {stream.name for stream in named} & {*skip}:
        raise click.UsageError("a stream cannot be both named, or a parent of one, and skipped")
    if since and names and not any(stream.watermark for stream in named):
        raise click.UsageError("--since is about issues, and these streams hold none")


def connects(command: Command) -> Command:
    """The options that say whose workspace it is."""
    options = (
        click.option("--token", envvar="PYLON_API_TOKEN", show_envvar=True, help="API token."),
        click.option(
            "-a",
            "--auth",
            type=click.Path(dir_okay=False, path_type=Path),
            default=Path("auth.json"),
            show_default=True,
            help="File with the token, as pylon-to-sqlite auth writes it.",
        ),
        click.option(
            "--api-url",
            envvar="PYLON_API_URL",
            show_envvar=True,
            help="Address of the API; by default told by the token's prefix (US or EU).",
        ),
    )
    return _with(options, command)


def _with(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
