"""What the README, the pages of docs/, the changelog and the CI script say is true."""

import re
import sqlite3
from contextlib import closing, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from cogapp import Cog
from mirroring import rows

from pylon_to_sqlite import cli, endings
from pylon_to_sqlite.metadata import Query, queries
from pylon_to_sqlite.schema import TABLES
from pylon_to_sqlite.streams import STREAMS
from pylon_to_sqlite.views import VIEWS

ROOT = Path(__file__).parent.parent
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for folder in (ROOT, ROOT / "docs", ROOT / "benchmarks")
    for path in folder.glob("*.md")
}
README = PAGES["README.md"]


def blocks(language: str, text: str = README) -> list[str]:
    """The code blocks of a page in a language, without the indentation they stand in."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


QUESTIONS = blocks("sql")


@pytest.mark.parametrize("name", cli.cli.commands)
def test_every_command_is_named(name: str) -> None:
    assert f"\n## pylon-to-sqlite {name}\n" in PAGES["docs/commands.md"]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_every_stream_is_named(stream: object) -> None:
    assert f"\n| `{getattr(stream, 'name', '')}` |" in README


@pytest.mark.parametrize("table", TABLES)
def test_every_table_is_in_the_schema(table: str) -> None:
    assert f"<summary><code>{table}</code> " in PAGES["docs/schema.md"]


def test_there_are_five_questions() -> None:
    assert len(QUESTIONS) == 5 + len(["the one about searching for words"])
    assert len(re.findall(r"^\*\*\d+\. [^*]+\*\*$", README, re.MULTILINE)) == 5


@pytest.mark.parametrize("query", [*queries()], ids=lambda query: query.name)
def test_every_query_is_named_with_its_chart(query: Query) -> None:
    """Those that open with a chart are marked so."""
    assert f"`{query.name}`" in README
    assert bool(re.search(rf"`{query.name}`( and `\w+`)? ▂▅▃", README)) == bool(query.chart)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_named(view: str) -> None:
    assert re.search(rf"^\|.*`{view}`.* \|", README, re.MULTILINE)


@pytest.mark.parametrize("sql", QUESTIONS, ids=range(1, len(QUESTIONS) + 1))
def test_each_question_has_an_answer(sql: str, pylon_db: Path) -> None:
    assert rows(pylon_db, sql)


@pytest.mark.parametrize("sql", QUESTIONS, ids=range(1, len(QUESTIONS) + 1))
def test_each_question_asks_for_live_rows(sql: str) -> None:
    if any(f"FROM {view}\n" in sql for view in VIEWS):
        # Views have no others.
        assert " JOIN " not in sql
        return
    for clause in ("deleted_at IS NULL", "placeholder = 0"):
        assert clause in sql
    if "issue_messages" in sql:
        assert "is_private = 0" in sql


@pytest.fixture(scope="module")
def solved_db(pylon_db: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with a state of its own, which counts as closed, on a third of what is open."""
    path = tmp_path_factory.mktemp("solved") / "pylon.db"
    with closing(sqlite3.connect(pylon_db)) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)
        target.execute(
            "INSERT INTO issue_statuses (slug, label, category, synced_at)"
            " VALUES ('solved', 'Solved', 'closed', '')"
        )
        target.execute(
            "UPDATE issues SET state = 'solved' WHERE state != 'closed' AND number % 3 = 0"
        )
        target.commit()
    return path


@pytest.mark.parametrize(
    ("at", "column", "join"),
    [
        (3, "still_open", "JOIN issue_tags AS t ON t.issue_id = o.id"),
        (4, "open_issues", ""),
    ],
)
def test_what_is_open_is_open_to_the_questions_too(
    solved_db: Path, at: int, column: str, join: str
) -> None:
    """A state of the workspace's own may count as closed."""
    told = sum(row[column] for row in rows(solved_db, QUESTIONS[at - 1]))
    (one,) = rows(solved_db, f"SELECT count(*) AS n FROM issue_overview AS o {join} WHERE is_open")
    assert told == one["n"] > 0


def test_what_is_longest_open_is_open(solved_db: Path) -> None:
    numbers = {row["number"] for row in rows(solved_db, QUESTIONS[4])}
    solved = rows(solved_db, "SELECT number FROM issues WHERE state IN ('solved', 'closed')")
    assert len(numbers) == 20
    assert not numbers & {row["number"] for row in solved}


def test_generated_parts_are_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    generated = [page for page, text in PAGES.items() if "[[[cog" in text]
    said = StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        status = Cog().main(["cog", "--check", "-I", "docs", *generated])
    assert status == 0, f"run just docs\n{said.getvalue()}"
    for script in ("Justfile", ".ci/run"):
        line = f"-I docs {' '.join(sorted(generated))}"
        assert line in (ROOT / script).read_text(encoding="utf-8")


def test_exit_statuses() -> None:
    table = dict(re.findall(r"^\| (\d) \| (.+) \|$", README, re.MULTILINE))
    words = {
        0: "All is well",
        endings.FAILED: "Some streams failed",
        endings.USAGE: "Usage",
        endings.NOT_AUTHORISED: "Not authorised",
        endings.BUSY: "Another sync",
        endings.MORE_TO_DO: "Stopped with more to do",
    }
    assert {int(status) for status in table} == set(words)
    for status, beginning in words.items():
        assert table[str(status)].startswith(beginning)


def test_ci_runs_the_command_of_the_readme() -> None:
    (tests,) = [block.strip() for block in blocks("bash") if "pytest" in block]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert f'\ntests="{tests}"\n' in script
    assert '\nrun "$tests"\n' in script
    (tried,) = re.findall(r"\(tried: (1\.0a\d+)\)", README)
    assert f"'datasette=={tried}'" in script


def test_commands_that_are_shown_exist() -> None:
    commands = "\n".join(one for text in PAGES.values() for one in blocks("bash", text))
    shown = re.findall(r"(?:bin/)?pylon-to-sqlite ([a-z-]+)", commands)
    assert shown
    assert set(shown) <= set(cli.cli.commands)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = re.sub(r"^( *)```.*?^\1```$", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\((?!https?:)([^)]*)\)", text)
    links += re.findall(r'<img src="([^"]+)"', text)
    for link in links:
        name, _, place = link.partition("#")
        target = ((ROOT / page).parent / name).resolve() if name else ROOT / page
        assert target.is_file(), link
        if place:
            assert place in places(target.relative_to(ROOT).as_posix()), link


def places(page: str) -> set[str]:
    """What can be linked to inside of a page."""
    headings = re.findall(r"^#+ (.+)$", PAGES[page], re.MULTILINE)
    named = re.findall(r'<details id="([^"]+)">', PAGES[page])
    told = (re.sub(r"[^a-z0-9 _-]", "", one.lower()) for one in headings)
    return {*named, *(one.replace(" ", "-") for one in told)}


def test_every_page_and_picture_is_linked() -> None:
    linked = {*re.findall(r"\]\((?!https?:)([^)#]+)", README)}
    linked |= {*re.findall(r'<img src="([^"]+)"', README)}
    assert {"CHANGELOG.md", "LICENSE"} <= linked
    pictures = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.png")}
    assert pictures == {path for path in linked if path.endswith(".png")}
    for path in pictures:
        assert (ROOT / path).stat().st_size < 300_000
    assert {page for page in PAGES if page.startswith("docs/")} <= linked


def test_the_changelog_names_the_version() -> None:
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^VERSION = "(.+)"$', setup, re.MULTILINE)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (newest, *_) = re.findall(r"^## (\S+)", changelog, re.MULTILINE)
    assert newest == version
