"""What the README has for machines that nobody sits at: cron's lines and the systemd unit work."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from desk import Desk
from mirroring import TOKEN, rows

from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.server import Server

README = Path(__file__).parent.with_name("README.md").read_text(encoding="utf-8")
PROGRAM = "/srv/pylon-to-sqlite/.venv/bin/pylon-to-sqlite"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_crons_lines_run_with_hardly_any_environment_and_say_nothing(
    tmp_path: Path, desk: Desk
) -> None:
    """As cron runs them: by a plain shell, in the home directory, and again the day after."""
    directory = tmp_path / "srv" / "support"
    (directory / "copies").mkdir(parents=True)
    (directory / "auth.json").write_text(json.dumps({"pylon": {"token": TOKEN}}))
    (directory / "auth.json").chmod(0o600)
    (directory / "pylon.env").write_text(f"PYLON_API_TOKEN={TOKEN}\n")
    # All that stands before the command is when it runs.
    lines = [line.split(maxsplit=5)[5] for block in blocks("cron") for line in block.splitlines()]
    assert [line.split(PROGRAM)[1].split()[0] for line in lines] == [
        *("sync", "sync", "backup", "doctor")
    ]
    with Server(Api(desk.workspace, token=TOKEN, allowance=None)) as server:
        for line in (*lines, lines[2]):
            command = line.replace(PROGRAM, f"{sys.executable} -m pylon_to_sqlite")
            command = command.replace("/srv", f"{tmp_path}/srv").replace("\\%", "%")
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYLON_API_URL": server.url},
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            # The clock of the workspace stands still, which is all that doctor has to tell.
            is_doctor = " doctor " in line
            assert (done.returncode, done.stderr) == (0, ""), line
            wrong = [one for one in done.stdout.splitlines() if one.startswith("WRONG")]
            assert {one.split()[1] for one in wrong} <= ({"clock"} if is_doctor else set())
            assert is_doctor or done.stdout == ""
    (copy,) = (directory / "copies").iterdir()
    assert re.fullmatch(r"[1-7]\.db", copy.name)
    assert len(rows(copy, "SELECT 1 FROM issues")) == len(desk.issues)


def test_systemd_has_nothing_to_say_of_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd here to hold the unit against")
    (text,) = (block for block in blocks("ini") if "[Service]" in block)
    unit = tmp_path / "pylon-to-sqlite.service"
    unit.write_text(text.replace(PROGRAM, sys.executable))
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
