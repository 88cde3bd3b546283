"""`serve` and `demo` as processes: what they say, where they lead, and how they end."""

import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pylon_to_sqlite.errors import Unusable
from pylon_to_sqlite.sandbox.demo import remove_old_sample

COMMAND = [sys.executable, "-m", "pylon_to_sqlite"]


@contextmanager
def started(
    *arguments: str, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, what it said until Datasette ran, and the address where that runs."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stderr
    said = ""
    try:
        for line in process.stderr:
            said += line
            if found := re.search(r"running on (http://\S+)", line):
                yield process, said, found[1]
                break
        else:
            raise AssertionError(said)
    finally:
        # Not kill: then Datasette, a process of its own, would stay.
        process.terminate()
        process.communicate(timeout=60)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_serve_tells_where_the_overview_is(mirror: Path, sign: signal.Signals) -> None:
    port = free_port()
    with started("serve", str(mirror), "--port", str(port)) as (process, said, url):
        overview = f"http://127.0.0.1:{port}/pylon/-/pylon"
        assert said.splitlines()[0] == f"Overview: {overview}"
        assert overview.startswith(url)
        assert "New issues by week" in read(overview)
        process.send_signal(sign)
        assert process.wait(30) == 0


@pytest.mark.parametrize("option", ["--open", "-o"])
def test_it_opens_the_overview(mirror: Path, tmp_path: Path, option: str) -> None:
    opened, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{opened}"\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    strange = mirror.rename(mirror.with_name("my desk.db"))
    port = str(free_port())
    arguments = ("serve", str(strange), option, "-p", port, "--setting", "base_url", "/of/")
    with started(*arguments, BROWSER=f"{browser} %s") as (_, said, url):
        overview = opened.read_text().strip()
        assert f"Overview: {overview}" in said.splitlines()
        assert re.fullmatch(rf"http://127\.0\.0\.1:{port}/of/my[+]desk/-/pylon", overview)
        assert overview.startswith(url)
        assert "New issues by week" in read(overview)


def test_nothing_is_told_of_what_is_not_served(mirror: Path) -> None:
    page = run("serve", str(mirror), "--get", "/pylon/-/pylon")
    assert (page.returncode, page.stderr) == (0, "")
    assert "New issues by week" in page.stdout
    wrong = run("serve", str(mirror), "--nope")
    assert wrong.returncode == 1
    assert "No such option" in wrong.stderr
    assert "Overview" not in wrong.stderr
    with started("serve", str(mirror), "-p", "0") as (_, said, url):
        # Nobody knows yet which port it will be.
        assert "Overview" not in said
        assert "New issues by week" in read(f"{url}/pylon/-/pylon")


def test_a_file_that_is_no_mirror_is_not_served(tmp_path: Path) -> None:
    told = run("serve", str(tmp_path / "none.db"))
    assert told.returncode == 2
    assert told.stderr.startswith("Error: there is no file")


@pytest.mark.parametrize("option", ["-h", "--port", "--open"])
def test_serve_says_that_the_file_comes_first(mirror: Path, option: str) -> None:
    told = run("serve", option, str(mirror))
    assert told.returncode == 2
    assert f"the file comes first: serve pylon.db {option} …" in told.stderr


def test_a_demo_that_was_killed_when_its_file_was_new_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "pylon-demo.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")
    assert path.stat().st_size
    remove_old_sample(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    with pytest.raises(Unusable, match="holds something else than the sample"):
        remove_old_sample(path)
    assert path.exists()


def test_demo_says_where_to_look(tmp_path: Path) -> None:
    """Its port is Datasette's usual one, which somebody else may have taken."""
    path = tmp_path / "pylon-demo.db"
    process = subprocess.Popen(
        [*COMMAND, "demo", str(path)], stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stderr
    try:
        for line in process.stderr:
            if line.startswith("Overview: "):
                break
        assert line == "Overview: http://127.0.0.1:8001/pylon-demo/-/pylon\n"
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        assert process.wait(60) in (0, 1)
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert "New issues by week" in run("serve", str(path), "--get", "/pylon-demo/-/pylon").stdout
