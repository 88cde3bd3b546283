"""What README.md and the pages beside this file have generated, by cog: see the Justfile."""

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from click.testing import CliRunner

from pylon_to_sqlite.cli import cli
from pylon_to_sqlite.schema import TABLES, Table


def streams() -> str:
    """A table of all streams."""
    return text(_streams())


def schema() -> str:
    """A table of columns for each table of the sample workspace's mirror."""
    return text(_schema())


def commands() -> str:
    """The help of the program and of each command."""
    return text(_commands())


def text(lines: Iterator[str]) -> str:
    return "\n" + "\n".join(lines) + "\n\n"


def _streams() -> Iterator[str]:
    head = ("stream and table", "link tables", "endpoint", "how it is kept up to date")
    yield cells(*head, "requests a run", "on")
    yield cells(*["---"] * 6)
    for stream in json.loads(said("streams", "--json")):
        yield cells(
            f"`{stream['stream']}`",
            ", ".join(f"`{table}`" for table in stream["link_tables"]),
            f"`{stream['endpoint']}`",
            stream["kept"],
            stream["requests"],
            "yes" if stream["is_on"] else "if asked for",
        )


def _schema() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pylon.db"
        said("demo", str(path), "--no-serve")
        with closing(sqlite3.connect(path)) as connection:
            yield ", ".join(f"[{name}](#{name})" for name in TABLES)
            yield ""
            for table in TABLES.values():
                yield from _described(connection, table)


def _described(connection: sqlite3.Connection, table: Table) -> Iterator[str]:
    meanings = {column.name: column.description for column in table.columns}
    refers = {
        key[3]: f"`{key[2]}.{key[4]}`"
        for key in connection.execute(f"PRAGMA foreign_key_list({table.name})")
    }
    summary = f"<code>{table.name}</code> {table.description}"
    yield f'<details id="{table.name}"><summary>{summary}</summary>'
    yield ""
    yield cells("column", "type", "meaning", "refers to")
    yield cells(*["---"] * 4)
    for _, name, kind, _, _, key in connection.execute(f"PRAGMA table_info({table.name})"):
        meaning = meanings.get(name, "As Pylon gives it.")
        yield cells(f"**`{name}`**" if key else f"`{name}`", kind, meaning, refers.get(name, ""))
    yield ""
    yield "</details>"


def _commands() -> Iterator[str]:
    yield from _help()
    for name in cli.commands:
        yield ""
        yield f"## pylon-to-sqlite {name}"
        yield ""
        yield from _help(name)


def _help(*names: str) -> Iterator[str]:
    yield "```text"
    yield said(*names, "--help").rstrip()
    yield "```"


def said(*arguments: str) -> str:
    """What a command prints."""
    result = CliRunner().invoke(cli, arguments, prog_name="pylon-to-sqlite", terminal_width=80)
    assert result.exit_code == 0, result.output
    return result.output


def cells(*texts: str) -> str:
    """A row of a table."""
    return "| " + " | ".join(one.replace("|", "\\|") for one in texts) + " |"
