"""The commands, against the sandbox over HTTP: what they print, write and exit with."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conftest import FakeClock

from pylon_to_sqlite.auth import SECTION
from pylon_to_sqlite.cli import cli
from pylon_to_sqlite.metadata import metadata_for
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import Server
from pylon_to_sqlite.sandbox.workspace import Workspace
from pylon_to_sqlite.streams import STREAMS

TOKEN = "pylon_api_5ecret"
NAMES = [stream.name for stream in STREAMS]

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory to work in, and no settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in ("PYLON_API_TOKEN", "PYLON_API_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def api(workspace: Workspace) -> Api:
    return Api(workspace, token=TOKEN, allowance=None)


@pytest.fixture
def url(api: Api) -> Iterator[str]:
    with Server(api) as server:
        yield server.url


@pytest.fixture
def run(url: str, api: Api) -> Run:
    """Run a command with the token and the address in the environment. Whatever it is, it ends
    without a traceback, never shows the token, and changes nothing in Pylon."""

    def invoke(*arguments: str, token: str | None = TOKEN, **options: Any) -> Result:
        env = {"PYLON_API_URL": url, "PYLON_API_TOKEN": token, **options.pop("env", {})}
        result = CliRunner().invoke(cli, arguments, env=env, **options)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert "Traceback" not in result.output
        assert "mistake in pylon-to-sqlite" not in result.output
        assert TOKEN not in result.output
        assert (api.writes, api.strays) == ([], [])
        return result

    return invoke


@pytest.fixture
def filled(workspace: Workspace, clock: FakeClock) -> Workspace:
    """Two accounts, two tags and three issues of last week's."""
    accounts = [workspace.add("accounts", name=name) for name in ("Alder", "Birch")]
    contact = workspace.add("contacts", name="Ada", account=accounts[0])
    for value in ("urgent", "billing"):
        workspace.add("tags", value=value)
    for number in range(3):
        workspace.open_issue(
            title=f"Issue {number}",
            body_html="<p>Hello</p>",
            account=accounts[0],
            requester=contact,
            at=clock() - 7 * 86_400 + number,
        )
    return workspace


def rows(sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect("pylon.db")) as connection:
        return connection.execute(sql).fetchall()


# auth


def test_auth_keeps_the_token_for_its_owner_alone(run: Run, url: str, api: Api) -> None:
    """auth asks for the token, checks it, and writes it into a file that nobody else can read."""
    before = os.umask(0)
    try:
        result = run("auth", input=f"  {TOKEN} \n", token=None)
    finally:
        os.umask(before)
    assert (result.exit_code, result.stdout) == (
        0,
        f"This is a token of Northwind Support ({url}). Kept in auth.json.\n",
    )
    assert json.loads(Path("auth.json").read_text()) == {SECTION: {"token": TOKEN}}
    assert oct(Path("auth.json").stat().st_mode & 0o777) == "0o600"
    assert os.listdir() == ["auth.json"]
    assert [one.path for one in api.log] == ["/me"]


def test_auth_leaves_what_other_tools_keep(run: Run) -> None:
    """The file is shared with other tools of the family: theirs stays, ours is replaced."""
    others = {"github_token": "gh", "Zoë": [1], SECTION: {"token": "old"}}
    Path("kept.json").write_text(json.dumps(others))
    Path("kept.json").chmod(0o644)
    assert run("auth", "-a", "kept.json", "--token", TOKEN).exit_code == 0
    kept = json.loads(Path("kept.json").read_text())
    assert kept == {**others, SECTION: {"token": TOKEN}}
    assert oct(Path("kept.json").stat().st_mode & 0o777) == "0o600"
    assert os.listdir() == ["kept.json"]


def test_auth_asks_though_the_environment_has_a_token(run: Run) -> None:
    """The command is for a new token, so the one that is set is not taken for it."""
    assert run("auth", input=f"{TOKEN}\n", token="pylon_api_old").exit_code == 0
    assert json.loads(Path("auth.json").read_text()) == {SECTION: {"token": TOKEN}}


def test_a_stream_is_no_file(run: Run) -> None:
    """Its name is taken for one by who forgets the file, which comes first."""
    result = run("sync", "issues")
    assert (result.exit_code, os.listdir()) == (2, [])
    assert "issues is a stream: name the file first, then streams" in result.stderr


def test_auth_that_is_not_answered_is_stopped(run: Run) -> None:
    result = run("auth", input="", token=None)
    assert (result.exit_code, result.stderr.strip()) == (5, "Stopped.")
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{not json", "auth.json is no JSON file: mend it or name another with --auth"),
        ("[]", "auth.json holds no JSON object: mend it or name another with --auth"),
        ("\udcff", "auth.json is no JSON file: mend it or name another with --auth"),
    ],
)
def test_auth_does_not_write_over_a_broken_file(run: Run, content: str, words: str) -> None:
    """What cannot be read is not written over: there may be other tools' tokens in it."""
    broken = content.encode("utf-8", "surrogateescape")
    Path("auth.json").write_bytes(broken)
    result = run("auth", "--token", TOKEN)
    assert (result.exit_code, result.stderr) == (2, f"Error: {words}\n")
    assert Path("auth.json").read_bytes() == broken
    assert os.listdir() == ["auth.json"]


@pytest.mark.parametrize("token", ["pylon_api_wrong", "pylon_api_eu_other", "wr\u00f6ng", "a b"])
def test_auth_keeps_no_token_that_pylon_does_not_accept(run: Run, token: str) -> None:
    """A wrong token is told, without being shown, and nothing is written."""
    result = run("auth", input=f"{token}\n")
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: ")
    assert token not in result.output
    assert os.listdir() == []


# Who is asked, with which token


@pytest.mark.parametrize("source", ["--token", "PYLON_API_TOKEN", "auth.json"])
def test_verify_auth_tells_whose_token_it_is(run: Run, api: Api, url: str, source: str) -> None:
    """The option goes before the environment, and that before the file; and it says which."""
    Path("auth.json").write_text(json.dumps({SECTION: {"token": TOKEN}}))
    Path("auth.json").chmod(0o600)
    wrong = "pylon_api_wrong"
    if source == "--token":
        result = run("verify-auth", "--token", TOKEN, token=wrong)
    else:
        result = run("verify-auth", token=TOKEN if source == "PYLON_API_TOKEN" else None)
    assert (result.exit_code, result.output) == (
        0,
        f"Organisation: Northwind Support ({api.workspace.organization['id']})\n"
        f"API:          {url} (neither US nor EU)\n"
        "User:         api@northwind.example\n"
        f"Token from:   {source}\n",
    )


@pytest.mark.parametrize("command", [["verify-auth"], ["sync", "pylon.db"], ["get", "/me"]])
@pytest.mark.parametrize("content", [None, "{}", '{"pylon": 7}', '{"pylon": {"token": ""}}'])
def test_without_a_token_it_is_told_how_to_get_one(
    run: Run, api: Api, command: list[str], content: str | None
) -> None:
    """Without a token nothing is asked, and the sentence says what to do."""
    if content:
        Path("auth.json").write_text(content)
    result = run(*command, token=None)
    assert (result.exit_code, result.output) == (
        3,
        "Error: there is no token: set PYLON_API_TOKEN, or run pylon-to-sqlite auth, which asks"
        " for one and keeps it in auth.json\n",
    )
    assert (api.log, Path("pylon.db").exists()) == ([], False)


@pytest.mark.parametrize("command", [["verify-auth"], ["sync", "pylon.db"], ["get", "/me"]])
def test_an_address_that_is_none_is_a_usage_error(run: Run, command: list[str]) -> None:
    """A setting that cannot be used is told like any other wrong option."""
    result = run(*command, "--api-url", "http://api.usepylon.com")
    assert result.exit_code == 2
    assert "it must begin with https://" in result.stderr
    assert os.listdir() == []


# streams and metadata


def test_streams_lists_each_stream(run: Run) -> None:
    """streams needs no token, and tells of each stream what it is and how it is kept."""
    result = run("streams", "--json", token=None)
    listed = json.loads(result.stdout)
    assert [one["stream"] for one in listed] == NAMES
    assert listed[NAMES.index("issues")] == {
        "stream": "issues",
        "table": "issues",
        "parent": None,
        "endpoint": "POST /issues/search",
        "kept": "what changed since the last run, by updated_at",
        "requests": "1 for each 999 that changed",
        "is_on": True,
        "link_tables": [
            *("issue_tags", "issue_custom_fields", "issue_csat_responses"),
            *("issue_external_issues", "issue_child_issues"),
        ],
    }
    lines = run("streams", token=None).stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == NAMES
    assert lines[0].split("  ")[0] == "stream and table"


def test_metadata_is_for_a_file_of_that_name(run: Run) -> None:
    """metadata needs neither token nor file; Datasette finds a database by the file's name."""
    result = run("metadata", "some/where.db", token=None)
    assert json.loads(result.stdout) == metadata_for(["where"])
    assert result.exit_code == 0


# get


def test_get_prints_the_whole_answer(run: Run, api: Api, filled: Workspace) -> None:
    """get prints what Pylon says, as JSON."""
    answer = json.loads(run("get", "/issues/2").stdout)
    assert (answer["data"]["title"], sorted(answer)) == ("Issue 1", ["data", "request_id"])
    answer = json.loads(run("get", "/accounts?limit=1").stdout)
    assert [one["name"] for one in answer["data"]] == ["Birch"]
    assert answer["pagination"]["has_next_page"] is True
    assert [(one.path, dict(one.query)) for one in api.log] == [
        ("/issues/2", {}),
        ("/accounts", {"limit": "1"}),
    ]


@pytest.mark.parametrize("nl", [False, True])
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/accounts?limit=1", [("name", "Birch"), ("name", "Alder")]),
        ("/tags", [("value", "urgent"), ("value", "billing")]),
        ("/issues/1", [("title", "Issue 0")]),
        ("/teams", []),
    ],
)
def test_get_paginate_prints_the_records_of_all_pages(
    run: Run, filled: Workspace, path: str, expected: list[tuple[str, str]], nl: bool
) -> None:
    """--paginate follows the pages and prints one array; --nl a record a line."""
    result = run("get", path, "--paginate", *(["--nl"] if nl else []))
    found = map(json.loads, result.stdout.splitlines()) if nl else json.loads(result.stdout)
    for record, (name, value) in zip(found, expected, strict=True):
        assert record[name] == value


def test_get_nl_prints_the_records_of_one_page(run: Run, filled: Workspace) -> None:
    """Without --paginate, --nl prints what was asked for and no more."""
    (line,) = run("get", "/accounts?limit=1", "--nl").stdout.splitlines()
    assert json.loads(line)["name"] == "Birch"


def test_get_asks_for_each_page_once(run: Run, api: Api, filled: Workspace) -> None:
    """The allowance is shared with others: no page is asked for twice."""
    run("get", "/accounts?limit=1", "--paginate")
    asked = [one.query.get("cursor", "") for one in api.log]
    assert len(asked) == len(set(asked)) == 2


@pytest.mark.parametrize(
    "path",
    [
        *("https://evil.example/x", "//evil.example/x", "issues/1", "/../x", "/a b", "/é", ""),
        *("http://127.0.0.1/x", "/x#y", "/%2e%2e/x"),
    ],
)
def test_get_sends_nothing_to_another_place(run: Run, api: Api, path: str) -> None:
    """The token goes to Pylon's API alone: a URL is refused, and nothing is sent."""
    result = run("get", path)
    assert result.exit_code == 2
    words = "is no path of Pylon's API: it must begin with one /"
    assert (result.stdout, words in result.stderr) == ("", True)
    assert api.log == []


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("404", 1, "GET /tags: 404 not_found: not found"),
        ("403", 1, "GET /tags: 403 permission_denied: permission denied"),
        ("401", 3, "Pylon does not accept the token (invalid_api_token: the API token"),
        ("redirect", 1, "GET /tags: 302 Found: redirects are not followed"),
    ],
)
def test_get_tells_a_failure_in_a_line(
    run: Run, api: Api, fault: str, status: int, words: str
) -> None:
    """Each failure is one line, and an exit status that says what kind it is."""
    api.misbehave(fault, "/tags")
    result = run("get", "/tags")
    assert (result.exit_code, result.stdout) == (status, "")
    assert result.stderr.startswith(f"Error: {words}")
    assert result.stderr.count("\n") == 1


def test_what_strangers_typed_cannot_move_the_cursor(run: Run, api: Api) -> None:
    """Control characters in a name or an error are shown, not obeyed."""
    api.workspace.organization["name"] = "\x1b[2JZoë\r\n東"
    assert "\\x1b[2JZoë\\r\\n東" in run("verify-auth").stdout
    api.misbehave("custom", "/tags", status=400, body={"errors": ["\x1b]0;x\x07\nno"]})
    assert run("get", "/tags").stderr == ("Error: GET /tags: 400 \\x1b]0;x\\x07\\nno\n")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o600])
def test_a_token_that_others_can_read_is_warned_of_once(
    run: Run, filled: Workspace, mode: int
) -> None:
    Path("auth.json").write_text(json.dumps({SECTION: {"token": TOKEN}}))
    Path("auth.json").chmod(mode)
    words = "other users of this machine can read the token in auth.json: chmod 600 auth.json"
    is_told = mode != 0o600
    told = run("verify-auth", token=None)
    assert (told.exit_code, told.stderr) == (0, f"Warning: {words}\n" if is_told else "")
    assert run("sync", "pylon.db", "tags", "--quiet", token=None).output == ""
    events = run("sync", "pylon.db", "tags", "--log-json", token=None).stderr.splitlines()
    warnings = [one for one in map(json.loads, events) if one["event"] == "warning"]
    assert [one["message"] for one in warnings] == [words] * is_told


# sync


def test_sync_tells_what_it_did(run: Run, filled: Workspace) -> None:
    """Off a terminal, sync prints a line a stream and one for the run, all to stderr."""
    result = run("sync", "pylon.db", "tags", "accounts")
    assert (result.exit_code, result.stdout) == (0, "")
    *streams, last = result.stderr.splitlines()
    assert sorted(streams) == ["accounts: 2 new, 0 changed", "tags: 2 new, 0 changed"]
    assert last.startswith("Northwind Support: 4 new, 0 changed, 0 gone; 3 requests in ")
    assert last.endswith(", 0.0 s of waiting for the rate limit")


def test_sync_verbose_and_quiet(run: Run, api: Api, filled: Workspace) -> None:
    """-v prints each request as well; -q prints errors only."""
    lines = run("sync", "pylon.db", "tags", "-v").stderr.splitlines()
    assert lines[:3] == ["GET /me 200", "GET /tags 200", "tags: 2 new, 0 changed"]
    assert run("sync", "pylon.db", "tags", "-q").output == ""
    api.misbehave("403", "/tags")
    result = run("sync", "pylon.db", "tags", "-q", "-v")
    assert result.exit_code == 1
    assert result.stderr.startswith("tags: failed: GET /tags: 403 permission_denied")
    assert result.stderr.count("\n") == 1


def test_sync_brings_a_childs_parent(run: Run, filled: Workspace) -> None:
    """A child stream needs its parent's rows, so both are mirrored."""
    lines = run("sync", "pylon.db", "issue_messages").stderr.splitlines()
    assert {line.split(":")[0] for line in lines[:-1]} == {"issues", "issue_messages"}
    assert rows("SELECT count(*) FROM issue_messages") == [(3,)]


def test_a_stream_that_fails_leaves_the_others_alone(run: Run, api: Api, filled: Workspace) -> None:
    """The exit status is 1, the other streams are there, and the next run mends it."""
    api.misbehave("400", "/tags")
    result = run("sync", "pylon.db")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "Failed: tags. Run it again to go on."
    assert rows("SELECT (SELECT count(*) FROM issues), (SELECT count(*) FROM tags)") == [(3, 0)]
    assert run("sync", "pylon.db").exit_code == 0
    assert rows("SELECT count(*) FROM tags") == [(2,)]


def test_a_stream_that_never_answered_is_not_available_and_no_failure(
    run: Run, api: Api, filled: Workspace
) -> None:
    """As where the plan lacks it, or the token's rights; one that has answered has failed."""
    api.misbehave("403", "/(tags|surveys)", times=2)
    result = run("sync", "pylon.db")
    assert result.exit_code == 0
    for stream in ("tags", "surveys"):
        assert f"{stream}: not available: GET /{stream}: 403" in result.stderr
    assert status(run)["tags"]["outcome"] == "not available"
    assert run("sync", "pylon.db").exit_code == 0
    assert rows("SELECT count(*) FROM tags") == [(2,)]
    api.misbehave("403", "/tags")
    assert run("sync", "pylon.db").exit_code == 1


def test_a_token_that_ends_meanwhile_ends_the_run(run: Run, api: Api, filled: Workspace) -> None:
    """Once Pylon no longer accepts the token nothing more is asked, and what was read stays."""
    run("sync", "pylon.db", "issues")
    api.misbehave("401", "/issues/.*/messages", times=-1)
    result = run("sync", "pylon.db", "issue_messages", "--workers", "1")
    assert result.exit_code == 3
    assert result.stderr.splitlines()[-1].startswith("Error: Pylon does not accept the token")
    assert api.count("GET /issues/.*/messages") < 3
    assert rows("SELECT count(*) FROM issues") == [(3,)]


def test_since_is_remembered(run: Run, api: Api, filled: Workspace) -> None:
    """--since takes only what was updated since then, in this run and in those to come."""
    since = "2026-06-24T02:00:01+02:00"
    assert run("sync", "pylon.db", "issues", "--since", since).exit_code == 0
    assert rows("SELECT title FROM issues ORDER BY number") == [("Issue 1",), ("Issue 2",)]
    assert run("sync", "pylon.db", "issues", "--full").exit_code == 0
    assert rows("SELECT count(*) FROM issues") == [(2,)]
    assert run("sync", "pylon.db", "issues", "--since", "2026-06-01").exit_code == 0
    assert rows("SELECT count(*) FROM issues") == [(3,)]


@pytest.mark.parametrize(
    ("since", "words"),
    [
        ("yesterday", "is no date: write 2026-07-01, or 2026-07-01T09:00:00Z"),
        ("2026-02-30", "is no date: write"),
        ("2026-07-01T09:00:00", "is no date: write"),
        ("1.7.2026", "is no date: write"),
        ("", "is no date: write"),
        ("2999-01-01", "is in the future"),
    ],
)
def test_a_date_that_is_none_is_a_usage_error(run: Run, api: Api, since: str, words: str) -> None:
    """A wrong date is told with a right one, before anything is asked or written."""
    result = run("sync", "pylon.db", "issues", "--since", since)
    assert result.exit_code == 2
    assert words in result.stderr
    assert (api.log, os.listdir()) == ([], [])


@pytest.mark.parametrize("since", ["0001-01-01", "0999-12-31", "1000-01-01"])
def test_a_date_of_long_ago_is_taken_or_refused(run: Run, filled: Workspace, since: str) -> None:
    """A date before all issues means all of them, or is a usage error; it is no traceback."""
    result = run("sync", "pylon.db", "issues", "--since", since)
    assert result.exit_code in (0, 2)
    if result.exit_code == 0:
        assert rows("SELECT count(*) FROM issues") == [(3,)]


def test_a_stream_that_is_none_is_a_usage_error(run: Run, api: Api) -> None:
    """A wrong name is told with all the right ones, before anything is asked or written."""
    result = run("sync", "pylon.db", "issues", "tickets")
    assert result.exit_code == 2
    assert f"there is no stream 'tickets'. The streams are: {', '.join(NAMES)}" in result.stderr
    assert (api.log, os.listdir()) == ([], [])


def test_a_file_that_cannot_be_used_is_told_before_the_token_is_missed(run: Run) -> None:
    """What is wrong with the file is told first, without a token too."""
    result = run("sync", "missing/pylon.db", token=None)
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: there is no directory missing: create it first\n",
    )


# status


def status(run: Run) -> dict[str, dict[str, Any]]:
    found = json.loads(run("status", "pylon.db", "--json", token=None).stdout)
    assert found["organization"] == "Northwind Support"
    assert [one["stream"] for one in found["streams"]] == NAMES
    return {one.pop("stream"): one for one in found["streams"]}


def test_status_of_no_mirror(run: Run) -> None:
    """A file that was never synced is told to be none, and not made one."""
    result = run("status", "pylon.db", token=None)
    assert (result.exit_code, result.output) == (
        2,
        "Error: there is no file pylon.db: pylon-to-sqlite sync pylon.db creates it\n",
    )
    assert os.listdir() == []


def test_status_of_a_mirror(run: Run, api: Api, filled: Workspace) -> None:
    """status tells of each stream what is there, how far it goes and how its last run ended."""
    run("sync", "pylon.db", "issues", "tags", "--since", "2026-06-01")
    filled.add("accounts", name="Cedar")
    api.misbehave("400", "/accounts")
    run("sync", "pylon.db", "accounts")
    found = status(run)
    quiet = {"is_on": True, "gone": 0, "placeholders": 0} | dict.fromkeys(
        ("watermark", "since", "stale")
    )
    for one in found.values():
        one["last_run"] = one["last_run"] and "some time"
    assert found["tags"] == {
        **quiet, "rows": 2, "last_run": "some time", "outcome": "ok", "error": None
    }  # fmt: skip
    assert found["issues"] == {
        **quiet, "rows": 3, "watermark": "2026-07-01T00:00:00Z", "since": "2026-06-01T00:00:00Z",
        "last_run": "some time", "outcome": "ok", "error": None,
    }  # fmt: skip
    error = found["accounts"].pop("error")
    assert error.startswith("GET /accounts: 400")
    assert found["accounts"] == {
        **quiet, "rows": 0, "placeholders": 1, "last_run": "some time", "outcome": "failed"
    }  # fmt: skip
    assert found["issue_messages"] == {
        **quiet, "rows": 0, "stale": 3, "last_run": None, "outcome": None, "error": None
    }  # fmt: skip
    lines = run("status", "pylon.db", token=None).stdout.splitlines()
    assert lines[0].startswith("pylon.db mirrors Northwind Support (")
    assert [line.split()[0] for line in lines[3 : 3 + len(NAMES)]] == NAMES
    assert lines[-1] == f"accounts: {error}"


def test_a_record_that_is_garbled_keeps_nobody_from_reading_the_rest(
    run: Run, filled: Workspace
) -> None:
    run("sync", "pylon.db", "tags")
    for table in ("_pylon_runs", "_pylon_run_streams"):
        with closing(sqlite3.connect("pylon.db")) as connection:
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            for name in names:
                if name not in ("id", "run", "stream"):
                    connection.execute(f"UPDATE {table} SET {name} = ?", [b"\xffgarble"])
            connection.commit()
        for command in ("runs", "status"):
            for options in ([], ["--json"]):
                result = run(command, "pylon.db", *options, token=None)
                assert (result.exit_code, "mistake" in result.stderr) == (0, False), table


def test_what_is_mirrored_is_chosen_once_and_shown(run: Run, api: Api, filled: Workspace) -> None:
    """With --skip, --all, --issue-type and --custom-object, or by name."""
    filled.add_custom_object("companies", name="Cedar")
    run("sync", "pylon.db", "--skip", "tags", "--skip", "issue_threads", "--issue-type", "ticket")
    result = run("sync", "pylon.db", "audit_logs", "--custom-object", "companies")
    assert "custom_objects: 1 new, 0 changed" in result.stderr.splitlines()
    assert "tags" not in result.stderr
    found = status(run)
    off = {name for name, one in found.items() if not one["is_on"]}
    assert off == {
        *("tags", "issue_threads", "account_relationships", "task_comments", "issue_followers"),
        "issue_voice_calls",
    }
    assert api.count("GET /tags") == 0
    lines = run("status", "pylon.db", token=None).stdout.splitlines()
    assert lines[1:3] == [
        "Of issues it holds only those of type ticket.",
        "Custom objects: companies.",
    ]
    assert [line.split()[:2] for line in lines if line.startswith("tags ")] == [["tags", "off"]]
    for wrong in (["tags", "--skip", "tags"], ["--all", "tags"], ["--custom-object", ".."]):
        assert run("sync", "pylon.db", *wrong).exit_code == 2
    run("sync", "pylon.db", "--all", "--issue-type", "all")
    assert all(one["is_on"] for one in status(run).values())


def test_a_dry_run_tells_the_cost_and_writes_nothing(run: Run, api: Api, filled: Workspace) -> None:
    result = run("sync", "pylon.db", "--dry-run")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["stream", "requests", "at", "takes"]
    (messages,) = (line.split() for line in lines if line.startswith("issue_messages"))
    assert messages == ["issue_messages", "3", "108", "a", "minute", "1.7", "s"]
    assert lines[-1].startswith("At least ")
    assert os.listdir() == []
    assert run("sync", "pylon.db", "--dry-run", "--skip", "nothing").exit_code == 2


# As a process of its own

PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell in the background took
from pylon_to_sqlite.cli import cli
cli(prog_name="pylon-to-sqlite")
"""


class Interrupting(Api):
    """Presses Ctrl-C when a second page is asked for, and answers when the program has ended."""

    process: subprocess.Popen[str] | None = None

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.outlived = threading.Event()

    def handle(self, method: str, path: str, query: Any, *rest: Any) -> Any:
        if "cursor" in query and self.process:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=20)
                self.outlived.set()
        return super().handle(method, path, query, *rest)


def test_ctrl_c_keeps_what_was_read(run: Run, workspace: Workspace) -> None:
    """Ctrl-C exits with 5 and a sentence, without waiting for Pylon's answer; what was read is
    there, and the next run goes on behind it."""
    for number in range(1001):
        workspace.add("accounts", name=f"Account {number}")
    api = Interrupting(workspace, token=TOKEN, allowance=None)
    with Server(api) as server:
        command = [sys.executable, "-c", PROGRAM, "sync", "pylon.db", "accounts"]
        env = {**os.environ, "PYLON_API_TOKEN": TOKEN, "PYLON_API_URL": server.url}
        api.process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        stdout, stderr = api.process.communicate(timeout=60)
    assert (api.process.returncode, stdout, api.outlived.wait(20)) == (5, "", True)
    last = "Stopped. What was read is committed; run it again to go on."
    assert (stderr.splitlines()[-1], "Traceback" in stderr) == (last, False)
    assert rows("SELECT count(*) FROM accounts") == [(999,)]
    assert rows("SELECT outcome FROM _pylon_runs") == [("interrupted",)]
    assert status(run)["accounts"]["outcome"] == "interrupted"
    lines = run("sync", "pylon.db", "accounts", "-v").stderr.splitlines()
    assert lines[:-1] == [
        "GET /me 200",
        *["GET /accounts 200"] * 3,  # the page that was missing, and then the whole
        "accounts: 2 new, 0 changed",
    ]
    assert status(run)["accounts"]["outcome"] == "ok"


def test_the_program_in_a_process_of_its_own(url: str, filled: Workspace) -> None:
    """python -m pylon_to_sqlite is the same program."""
    env = {**os.environ, "PYLON_API_TOKEN": TOKEN, "PYLON_API_URL": url}
    command = [sys.executable, "-m", "pylon_to_sqlite"]
    done = subprocess.run(
        [*command, "sync", "pylon.db", "-q"], env=env, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert rows("SELECT count(*) FROM issue_messages") == [(3,)]
    done = subprocess.run([*command, "--help"], capture_output=True, text=True)
    assert done.stdout.startswith("Usage: pylon-to-sqlite [OPTIONS] COMMAND [ARGS]...")


HEAVY = ("httpx", "sqlite_utils", "selectolax", "datasette", "sqlite3", "ssl")
IMPORTS = f"""
import sys
from pylon_to_sqlite.cli import cli
for command in [[], *([name] for name in cli.commands)]:
    cli([*command, "--help"], standalone_mode=False)
print([name for name in {HEAVY} if name in sys.modules])
"""


def test_help_is_quick() -> None:
    """Help, of the program and of each command, loads nothing that is heavy."""
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "[]"
