"""Nothing that this program writes or prints has the token in it, whatever happens."""

import gzip
import json
import os
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner, Result
from desk import Desk
from leaks import leaks, spellings
from mirroring import live
from test_end_to_end import COMMAND

from pylon_to_sqlite.cli import cli
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import Server

TOKEN = "pylon_api_eu_7Q+x/4f9c2e8d1b6a"

Run = Callable[..., Result]


@pytest.fixture
def api(workspace: Any) -> Api:
    return Api(workspace, token=TOKEN, region="eu", allowance=None)


@pytest.fixture
def outputs() -> list[str]:
    return []


@pytest.fixture
def run(api: Api, path: Path, outputs: list[str | bytes]) -> Iterator[Run]:
    """The program, whose outputs are kept. The token comes by the environment."""
    with Server(api) as server:
        api.files_url = server.files_url

        def invoke(*arguments: str, token: str = TOKEN) -> Result:
            env = {"PYLON_API_URL": server.url, "PYLON_API_TOKEN": token}
            result = CliRunner().invoke(cli, [str(one) for one in arguments], env=env)
            assert result.exception is None or isinstance(result.exception, SystemExit)
            outputs.extend((result.stdout, result.stderr, repr(result.exception)))
            return result

        yield invoke


def test_the_token_is_in_no_file_and_no_output(
    run: Run, api: Api, desk: Desk, path: Path, outputs: list[str | bytes]
) -> None:
    """Not after any command, nor an error whose words repeat it, nor where a record does."""
    desk.workspace.reply(
        desk.issues[0], html=f"<p>Is {TOKEN} mine?</p>", author=desk.agents[0], private=True
    )
    desk.workspace.change("accounts", desk.accounts[0], name=f"Quarry {TOKEN}")
    files = path.parent / "files"
    assert run("sync", path, "--all", "-v", "--download-attachments", files).exit_code == 0
    repeated = [f"Bearer {TOKEN}", quote(TOKEN, safe=""), b64encode(TOKEN.encode()).decode()]
    for status in (401, 403, 500):
        api.misbehave("custom", "/tags", status=status, body={"errors": repeated})
        run("sync", path, "tags", "--log-json" if status == 403 else "-v")
    api.misbehave("custom", "/tags", status=400, body={"errors": repeated})
    run("get", "/tags")
    run("sync", path, "--reconcile", "--full", "--log-json", "-v", "--verify", "30")
    run("sync", path, "--dry-run")
    run("sync", path, token=f"{TOKEN}x")
    run("sync", path, "--token", f"{TOKEN} é")
    for command in ("status", "runs", "doctor"):
        run(command, path)
        run(command, path, "--json")
    run("doctor", path, "--mend")
    run("backup", path, path.parent / "copy.db")
    run("metadata", path)
    run("verify-auth")
    run("get", "/accounts", "--paginate")
    run("get", "/nowhere")
    assert [*files.rglob("*.csv")], "files were downloaded"
    assert "Quarry …" in {row["name"] for row in live(path, "accounts")}
    assert leaks(path.parent, [TOKEN.encode()], outputs) == []


def test_what_goes_wrong_in_this_program_shows_no_token_either(
    run: Run, path: Path, outputs: list[str | bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake is one line too, with where it happened, and nothing of what was at hand."""

    def mistaken(*_: object, **__: object) -> None:
        raise KeyError(f"Bearer {TOKEN}\x1b[2J\n")

    monkeypatch.setattr("pylon_to_sqlite.client.payload_of", mistaken)
    told = run("sync", path)
    assert (told.exit_code, told.stdout, told.stderr.count("\n")) == (1, "", 1)
    assert told.stderr.startswith("Error: KeyError (at ")
    assert "client.py:" in told.stderr
    assert "mistake in pylon-to-sqlite" in told.stderr
    assert "\x1b" not in told.stderr
    told = run("sync", path, "--log-json")
    assert json.loads(told.stderr.splitlines()[-1])["event"] == "error"
    assert leaks(path.parent, [TOKEN.encode()], outputs) == []


def test_who_stays_or_serves_hands_the_token_to_nobody(
    api: Api, desk: Desk, path: Path, outputs: list[str | bytes]
) -> None:
    """It is on no command line, and Datasette does not get it: what runs there may show it."""
    plugins = path.parent / "plugins"
    plugins.mkdir()
    told = path.parent / "told.txt"
    (plugins / "tell.py").write_text(
        "import os, sys\n"
        f"with open({str(told)!r}, 'w') as file:\n"
        "    print(dict(os.environ), sys.argv, file=file)\n"
    )
    with Server(api) as server:
        env = {"PATH": os.defpath, "PYLON_API_TOKEN": TOKEN, "PYLON_API_URL": server.url}
        stays = subprocess.Popen(
            [*COMMAND, "sync", str(path), "--every", "1h", "-v"],
            env=env,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert stays.stderr
        for line in stays.stderr:
            outputs.append(line)
            if "; next at " in line:
                break
        shown = subprocess.run(["ps", "axww", "-o", "args="], capture_output=True, check=True)
        assert b"--every" in shown.stdout
        outputs.append(shown.stdout)
        stays.terminate()
        outputs.append(stays.stderr.read())
        assert stays.wait(30) == 0
    serves = subprocess.run(
        [*COMMAND, "serve", str(path), "--plugins-dir", str(plugins), "--get", "/-/versions.json"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "datasette" in serves.stdout
    assert "PATH" in told.read_text()
    assert "PYLON_API_TOKEN" not in told.read_text()
    outputs.extend((serves.stdout, serves.stderr))
    assert leaks(path.parent, [TOKEN.encode()], outputs) == []


@pytest.mark.parametrize("way", spellings(TOKEN.encode()))
def test_a_leak_would_be_found(tmp_path: Path, way: str) -> None:
    """In whichever way it is written, in whatever file, packed or not."""
    spelt = spellings(TOKEN.encode())[way]
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "x.db-wal").write_bytes(b"\0\xff" + spelt + b"\0")
    (tmp_path / "x.gz").write_bytes(gzip.compress(spelt))
    found = leaks(tmp_path, [TOKEN.encode(), b"another"], ["fine", spelt])
    assert {one.partition(" has ")[0] for one in found} == {
        *("output 1", "inner/x.db-wal", "x.gz, unpacked"),
    }
    assert leaks(tmp_path, [b"another"], ["fine"]) == []


@pytest.mark.parametrize("before", [b"", b"x", b"xy"])
def test_a_token_in_the_middle_of_base64_would_be_found(tmp_path: Path, before: bytes) -> None:
    assert leaks(tmp_path, [TOKEN.encode()], [b64encode(before + TOKEN.encode() + b"yz")]) != []
