"""The soak in short: half a minute of what is run for ten by hand, and that it would notice."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from soak import Soak
from soak_desk import PRIVATE
from soak_end import examined
from soak_reading import counted
from soak_report import Series


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="memory is measured by /proc")
def test_a_short_soak_loses_nothing_and_shows_no_reader_an_error(tmp_path: Path) -> None:
    """Five seconds of changes, faults and kills. For ten minutes of it: python tests/soak.py"""
    report = Soak(tmp_path, 4, 5.0, pause=0.05, issues=8).run()
    assert report.problems == [], "\n".join(report.lines())
    # Or else nothing has been tried.
    assert sum(report.desk["changes"].values()) > 20
    assert report.desk["faults"]
    assert report.tally.killed["sync"]
    assert report.tally.runs["sync"] > 5
    assert report.rounds
    assert {"check", "conversation", "data", "overview", "query", "search"} <= {*report.found.pages}
    assert report.found.is_private_seen
    assert len(report.memory) == 2


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        (
            "UPDATE issue_messages SET issue_id = 'x' WHERE rowid = 1",
            "issue_messages.issue_id names nobody",
        ),
        (
            "UPDATE issues SET deleted_at = 'x' WHERE number = 1",
            "a live message of an issue that is gone",
        ),
        (
            f"UPDATE issue_messages SET message_html = '{PRIVATE}' WHERE is_private = 0",
            "a private note that is not called so",
        ),
        (
            f"UPDATE issue_messages SET message_text = '{PRIVATE}' WHERE is_private = 0",
            "a private note in public_messages",
        ),
        ("DELETE FROM issues_fts_docsize WHERE id = 1", "live issues that are in no index"),
        (
            "INSERT INTO contacts_fts_docsize VALUES (99, x'00')",
            "contacts in an index that are not live",
        ),
    ],
)
def test_the_rules_tell_what_is_broken(mirror: Path, sql: str, rule: str) -> None:
    with closing(sqlite3.connect(mirror)) as connection:
        assert connection.execute(counted()).fetchall() == []
        connection.execute(sql)
        assert rule in {name for name, _ in connection.execute(counted())}


def test_words_that_were_taken_back_are_found_in_a_file(mirror: Path) -> None:
    with closing(sqlite3.connect(mirror)) as connection:
        connection.execute("UPDATE issue_messages SET message_text = 'zq1zq zq2zq'")
        connection.commit()
    shutil.copy(mirror, mirror.with_name("copy.db"))
    assert [*examined(mirror, {"zq3zq"})] == []
    assert [*examined(mirror, {"zq2zq"})] == [
        "pylon.db holds words that were taken back: {'zq2zq'}"
    ]


@pytest.mark.parametrize(
    ("values", "grew", "rose"),
    [
        ([100] * 9, False, False),
        ([9, 9, 9, 100, 100, 100, 101, 102, 104], False, False),
        ([3, 20, 3, 3, 20, 3, 20, 20, 3], True, False),
        ([*range(90)], True, True),
    ],
)
def test_what_grows_is_told_from_what_begins_or_comes_and_goes(
    values: list[float], grew: bool, rose: bool
) -> None:
    assert (Series(values).grew(2), Series(values).rose(2)) == (grew, rose)
