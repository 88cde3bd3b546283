"""What is left out is in no output of the program and in no copy, and the rest still answers."""

import time
from pathlib import Path
from typing import Any

import pytest
from asking import QUERIES, answer
from click.testing import CliRunner
from conftest import FakeClock
from desk import Desk, open_desk
from mirroring import ALL, TOKEN, errors, rows, sync
from surfing import visit
from test_privacy import all_excludable

from pylon_to_sqlite.cli import cli
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import Server
from pylon_to_sqlite.sandbox.workspace import Workspace
from pylon_to_sqlite.schema import TABLES
from pylon_to_sqlite.views import VIEWS

TRACES = (b"late payer", b"zoe.quarry@aardvark.example", b"ledger 1.csv", b"ledger%201.csv")
LEFT_OUT = ("--public-only", "--exclude", "contacts.email", "--exclude", "contacts.emails")


def found_in(directory: Path, outputs: list[str], *traces: bytes) -> dict[str, list[bytes]]:
    """Which of the traces stand in a file below the directory, or in an output, and where."""
    places = {str(one): one.read_bytes() for one in directory.rglob("*") if one.is_file()}
    places |= {f"output {at}": one.encode() for at, one in enumerate(outputs)}
    found = {place: [one for one in traces if one in content] for place, content in places.items()}
    return {place: there for place, there in found.items() if there}


def test_no_command_tells_or_copies_what_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the command line and HTTP: written before it was left out, and never after that."""
    # What is of this very second, a sync leaves for the next one.
    ago = [3600.0]
    desk = open_desk(Workspace(lambda: time.time() - ago[0]), issues=2)
    desk.workspace.change("contacts", desk.contacts[0], email="zoe.quarry@aardvark.example")
    ago[0] = 0.0
    monkeypatch.chdir(tmp_path)
    outputs: list[str] = []
    with Server(Api(desk.workspace, allowance=10**6)) as server:

        def run(*arguments: str, status: int = 0) -> None:
            environment = {"PYLON_API_TOKEN": TOKEN, "PYLON_API_URL": server.url}
            result = CliRunner().invoke(cli, arguments, env=environment)
            assert result.exit_code == status, result.output
            outputs.append(result.output)

        run("sync", "pylon.db", "-v")
        # Not by its bytes: an end of a page may stand in the middle of a word.
        notes = "SELECT 1 FROM issue_messages WHERE message_html LIKE '%late payer%'"
        assert len(rows(tmp_path / "pylon.db", notes)) == 2
        email = "SELECT 1 FROM contacts WHERE email = 'zoe.quarry@aardvark.example'"
        assert len(rows(tmp_path / "pylon.db", email)) == 1
        for options in (("-v",), ("--log-json", "-v", "--full")):
            run("sync", "pylon.db", *LEFT_OUT, "--pseudonymize-emails", *options)
            assert found_in(tmp_path, outputs, *TRACES) == {}
        for command in ("status", "runs", "doctor", "metadata"):
            run(command, "pylon.db")
        run("backup", "pylon.db", "copy.db")
        run("sync", "copy.db", status=2)
        assert "copy.db.key" in outputs[-1]
        run("sync", "copy.db", "-v", "--no-pseudonymize-emails", "--dry-run")
        assert found_in(tmp_path, outputs, *TRACES) == {}


def test_though_all_is_left_out_that_can_be_every_page_query_and_view_answers(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    # The address of a conversation has the number of its issue.
    names = [one for one in all_excludable() if one != "issues.number"]
    wishes: dict[str, Any] = {"public_only": True, "pseudonymize": True, "exclude": names}
    assert errors(sync(path, api, clock, **wishes, **ALL)) == {}
    for query in QUERIES.values():
        answer(path, query)
    for view in VIEWS:
        rows(path, f"SELECT * FROM {view}")
    wanted = ["/", "/pylon", "/pylon/-/pylon", "/pylon/-/conversation/1"]
    wanted += [f"/pylon/{name}" for name in (*TABLES, *VIEWS)]
    answers = zip(wanted, visit(path, *wanted), strict=True)
    assert [(one, page.status_code) for one, page in answers if page.status_code != 200] == []
