"""The overview: its figures are those of the workspace, whatever is chosen; and who sees them."""

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import mean, median
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from conftest import FakeClock
from datasette.database import Database, QueryInterrupted
from desk import Desk
from mirroring import sync
from surfing import IS_1, by_class, links, page, tree, visit, words
from test_conversation import change

from pylon_to_sqlite.metadata import queries
from pylon_to_sqlite.plugin import figures, overview
from pylon_to_sqlite.plugin.words import span
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.sample import fill
from pylon_to_sqlite.sandbox.workspace import Workspace
from pylon_to_sqlite.schema import INDEXES

HOME = "/pylon/-/pylon"
NOW = datetime.fromisoformat("2026-07-01T00:00:00+00:00")
Issue = dict[str, Any]


@pytest.fixture(scope="module")
def sample() -> Workspace:
    clock = FakeClock()
    workspace = Workspace(clock)
    fill(workspace, now=clock())
    return workspace


def cards(text: str) -> dict[str, Element]:
    return {words(next(one.iter("h2"))): one for one in by_class(tree(text), "card")}


def table(card: Element) -> list[list[str]]:
    """The rows of a card's figures without heading, without their bars."""
    found = [[words(cell) for cell in row.iter("td")] for row in card.iter("tr")]
    return [[cell for at, cell in enumerate(row) if cell or at != 1] for row in found if row]


def tiles(text: str) -> dict[str, tuple[str, str]]:
    return {
        words(next(one.iter("h2"))): (
            words(by_class(one, "value")[0]),
            words(by_class(one, "against")[0]),
        )
        for one in by_class(tree(text), "tile")
    }


def at(value: str) -> datetime:
    return datetime.fromisoformat(value.replace("Z", "+00:00"))


def monday(value: str) -> date:
    day = at(value).date()
    return day - timedelta(days=day.weekday())


def mondays(weeks: int) -> list[date]:
    this = monday("2026-07-01")
    return [this - timedelta(weeks=back) for back in range(weeks - 1, -1, -1)]


def known(values: Iterable[Any]) -> list[Any]:
    """Unset comes as null, "" or not at all."""
    return [value for value in values if value not in (None, "")]


CHOICES: dict[str, tuple[str, Callable[[Issue], bool], int]] = {
    "everything": ("", lambda _: True, 12),
    "four weeks": ("?weeks=4", lambda _: True, 4),
    "half a year": ("?weeks=26", lambda _: True, 26),
    "tickets": ("?type=ticket", lambda issue: issue["type"].lower() == "ticket", 12),
    "what is none": ("?type=x&weeks=13&team=x", lambda _: True, 12),
}


def choose(sample: Workspace, name: str) -> tuple[str, list[Issue], int]:
    query, is_chosen, weeks = CHOICES[name]
    return query, [one for one in sample.records("issues") if is_chosen(one)], weeks


@pytest.mark.parametrize("name", CHOICES)
def test_volume_and_first_response_by_week(sample: Workspace, pylon_db: Path, name: str) -> None:
    query, issues, weeks = choose(sample, name)
    shown = cards(page(pylon_db, HOME + query))
    volume, response = [], []
    for week in mondays(weeks):
        ours = [one for one in issues if monday(one["created_at"]) == week]
        kinds = Counter(one["type"].lower() for one in ours)
        volume.append([str(week), str(kinds["conversation"]), str(kinds["ticket"])])
        seconds = known(one.get("first_response_seconds") for one in ours)
        response.append([str(week), span(median(seconds)) if seconds else "", str(len(seconds))])
    assert table(shown["New issues by week"]) == volume
    found = table(shown["Time to the first response"])
    assert [[row[0], *([""] if len(row) == 2 else []), *row[1:]] for row in found] == response


@pytest.mark.parametrize("name", CHOICES)
def test_satisfaction_by_week(sample: Workspace, pylon_db: Path, name: str) -> None:
    query, issues, weeks = choose(sample, name)
    expected = []
    for week in mondays(weeks):
        scores = [
            one["score"]
            for issue in issues
            if monday(issue["created_at"]) == week
            for one in issue.get("csat_responses") or []
        ]
        expected.append([str(week), *([f"{mean(scores):.1f}"] if scores else []), str(len(scores))])
    found = table(cards(page(pylon_db, HOME + query))["Satisfaction"])
    assert [[row[0], *known(row[1:])] for row in found] == expected


@pytest.mark.parametrize("name", CHOICES)
def test_the_past_week_against_the_one_before(sample: Workspace, pylon_db: Path, name: str) -> None:
    query, issues, _ = choose(sample, name)

    def within(field: str, first: int, last: int) -> list[Issue]:
        return [
            one
            for one in issues
            if one.get(field)
            and NOW - timedelta(days=first) <= at(one[field]) < NOW - timedelta(days=last)
        ]

    new, new_before = within("created_at", 7, -1), within("created_at", 14, 7)
    times = [
        median(seconds) if seconds else None
        for seconds in (
            known(one.get("first_response_seconds") for one in ones) for ones in (new, new_before)
        )
    ]
    medians = ["none" if one is None else span(one) for one in times]
    pace = ""
    if None not in times and medians[0] != medians[1]:
        pace = "slower: " if times[0] > times[1] else "faster: "
    resolved = [len(within("resolution_time", *days)) for days in ((7, -1), (14, 7))]
    open_ = [one for one in issues if one["state"] != "closed"]
    ours = [one for one in open_ if waits(sample, one)]
    assert tiles(page(pylon_db, HOME + query)) == {
        "New issues": (str(len(new)), f"{len(new_before)} in the 7 days before"),
        "Resolved issues": (str(resolved[0]), f"{resolved[1]} in the 7 days before"),
        "First response, median": (medians[0], f"{pace}{medians[1]} in the 7 days before"),
        "Open now": (str(len(open_)), f"{len(ours)} of them wait for us"),
    }


def test_what_became_of_the_first_response_is_told_in_colour_and_word(
    mirror: Path, desk: Desk
) -> None:
    first, second, *_ = desk.issues
    change(mirror, "UPDATE issues SET created_at = '2026-06-20T00:00:00Z' WHERE id = ?", second)
    change(mirror, "UPDATE issues SET first_response_seconds = NULL")
    change(mirror, "UPDATE issues SET first_response_seconds = 7200 WHERE id = ?", second)
    expected = [(60, "better", "faster: 2 h"), (9000, "worse", "slower: 2 h"), (7201, "", "2 h")]
    for seconds, tone, told in expected:
        change(mirror, "UPDATE issues SET first_response_seconds = ? WHERE id = ?", seconds, first)
        text = page(mirror, HOME)
        assert tiles(text)["First response, median"][1] == f"{told} in the 7 days before"
        for name in ("better", "worse"):
            assert len(by_class(tree(text), name)) == (name == tone)
    # The colour is not that of all lines below a tile's figure.
    style = (Path(overview.__file__).parent / "static" / "pages.css").read_text(encoding="utf-8")
    assert style.index(".tile .against {") < style.index(".tile .better {")


def waits(sample: Workspace, issue: Issue) -> bool:
    """Whether the last public message by a person is the customer's."""
    said = [
        one
        for one in sample.messages(issue["id"])
        if not one["is_private"] and {"contact", "user"} & {*known_keys(one["author"])}
    ]
    return bool(said) and "contact" in known_keys(said[-1]["author"])


def known_keys(author: Issue) -> list[str]:
    return [key for key, value in author.items() if value]


def test_who_waits_is_one_question_with_one_answer(mirror: Path, desk: Desk) -> None:
    """Bots end no waiting, nor do notes; of two in one second the later to come counts."""
    change(mirror, "UPDATE issues SET state = 'on_hold'")
    change(mirror, "DELETE FROM issue_messages")
    customer, agent = desk.contacts[0], desk.agents[0]
    told: list[tuple[int, str | None, str | None, int | None, str]] = [
        *((0, customer, None, 0, "10"), (0, None, agent, 0, "10")),
        *((1, None, agent, 0, "10"), (1, customer, None, 0, "10")),
        *((2, customer, None, 0, "10"), (2, None, None, 0, "11"), (2, None, agent, 1, "12")),
        *((3, None, agent, 0, "10"), (3, customer, None, None, "11")),
    ]
    for at_, (issue, contact, user, private, hour) in enumerate(told):
        change(
            mirror,
            "INSERT INTO issue_messages (id, issue_id, author_contact_id, author_user_id,"
            " is_private, timestamp) VALUES (?, ?, ?, ?, ?, ?)",
            *(f"m{at_}", desk.issues[issue], contact, user, private, f"2026-07-01T{hour}:00:00Z"),
        )
    text = page(mirror, HOME)
    assert tiles(text)["Open now"] == ("4", "2 of them wait for us")
    assert sum(int(row[-1]) for row in table(cards(text)["Open issues"])) == 2
    denied = {"databases": {"pylon": {"tables": {"issue_messages": {"allow": False}}}}}
    text = page(mirror, HOME, metadata=denied)
    assert tiles(text)["Open now"] == ("4", "")
    assert "For us" not in words(cards(text)["Open issues"])


def test_a_drill_down_shows_what_is_counted(mirror: Path, desk: Desk) -> None:
    first, second, third, fourth = desk.issues
    change(mirror, "UPDATE issues SET state = NULL WHERE id IN (?, ?)", first, second)
    change(mirror, "UPDATE issues SET state = 'on_hold' WHERE id IN (?, ?)", third, fourth)
    change(mirror, "UPDATE issues SET type = 'Ticket', tags = '[\"a&b\"]' WHERE id = ?", first)
    change(mirror, "UPDATE issues SET created_at = '2026-01-01T00:00:00Z' WHERE id = ?", second)
    change(mirror, "DELETE FROM issue_tags WHERE issue_id = ?", first)
    change(mirror, "INSERT INTO issue_tags (issue_id, tag) VALUES (?, 'a&b')", first)
    change(mirror, "UPDATE issues SET deleted_at = '2026-07-01T00:00:00Z' WHERE id = ?", fourth)
    account = desk.accounts[0]
    for query in ("", "?weeks=4", "?type=ticket", f"?account={account}&type=ticket&weeks=26"):
        shown = cards(page(mirror, HOME + query))
        counted = 0
        for heading in ("Open issues by state", "Busiest accounts", "Tags"):
            for row in shown[heading].iter("tr"):
                found = dict(links(row))
                if found:
                    ((label, address),) = found.items()
                    assert label
                    base, _, filters = address.partition("?")
                    (answer,) = visit(mirror, f"{base}.json?_shape=array&{filters}")
                    assert len(answer.json()) == int(words(list(row.iter("td"))[-1])), address
                    counted += 1
        assert counted >= 3
    assert "none" in {row[0] for row in table(cards(page(mirror, HOME))["Open issues by state"])}


def test_a_figure_of_some_leads_to_no_query_of_all(pylon_db: Path) -> None:
    def led(query: str) -> dict[str, str]:
        found = tree(page(pylon_db, HOME + query))
        return {
            words(heading): address for heading in found.iter("h2") for _, address in links(heading)
        }

    assert led("?weeks=26")["New issues by week"].startswith(
        f"/pylon/volume_by_week?since={mondays(26)[0]}#"
    )
    assert led("")["Open now"] == "/pylon/waiting_for_us"
    for query in ("?type=ticket", "?account=nobody"):
        assert set(led(query)) == {"The mirror"}


def test_issues_of_no_type_are_neither(mirror: Path, desk: Desk) -> None:
    change(mirror, "UPDATE issues SET type = 'Ticket'")
    change(mirror, "UPDATE issues SET type = NULL WHERE id = ?", desk.issues[0])
    card = cards(page(mirror, HOME))["New issues by week"]
    assert words(by_class(card, "legend")[0]) == "conversationsticketsother"
    assert table(card)[-1] == ["2026-06-29", "0", "3", "1"]
    assert len(by_class(by_class(card, "chart")[0], "third")) == 1


def test_issues_of_no_known_age(mirror: Path, desk: Desk) -> None:
    change(mirror, "UPDATE issues SET state = 'new'")
    change(mirror, "UPDATE issues SET created_at = 'never' WHERE id = ?", desk.issues[0])
    change(mirror, "UPDATE issues SET created_at = NULL WHERE id = ?", desk.issues[1])
    ages = {row[0]: row[1] for row in table(cards(page(mirror, HOME))["Open issues"])}
    assert (ages["unknown"], ages["1 to 3 days"]) == ("2", "2")


def test_what_is_open_by_age_and_state(sample: Workspace, pylon_db: Path) -> None:
    open_ = [one for one in sample.records("issues") if one["state"] != "closed"]
    labels = {one["slug"]: one["label"] for one in sample.records("issue_statuses")}
    days = [(NOW - at(one["created_at"])) / timedelta(days=1) for one in open_]
    ages = Counter(
        next(n for n, end in enumerate((1, 3, 7, 28, 91, 10**6)) if day < end) for day in days
    )
    states = Counter(labels[one["state"]] for one in open_)
    shown = cards(page(pylon_db, HOME))
    found = table(shown["Open issues"])
    assert [row[0] for row in found] == [
        *("under a day", "1 to 3 days", "3 to 7 days", "1 to 4 weeks"),
        *("4 to 13 weeks", "over 13 weeks"),
    ]
    assert {n: int(row[1]) for n, row in enumerate(found) if int(row[1])} == ages
    assert {row[0]: int(row[1]) for row in table(shown["Open issues by state"])} == states
    for answer in visit(pylon_db, *(path for _, path in links(shown["Open issues by state"]))):
        assert answer.status_code == 200


def test_busiest_accounts_and_tags(sample: Workspace, pylon_db: Path) -> None:
    names = {one["id"]: one["name"] for one in sample.records("accounts")}
    recent = [
        one for one in sample.records("issues") if monday(one["created_at"]) >= mondays(12)[0]
    ]
    accounts = Counter(names[one["account"]["id"]] for one in recent if one.get("account"))
    tags = Counter(tag for one in recent for tag in set(one.get("tags") or []))
    shown = cards(page(pylon_db, HOME))
    for heading, expected in (("Busiest accounts", accounts), ("Tags", tags)):
        found = {row[0]: int(row[1]) for row in table(shown[heading])}
        assert found.items() <= expected.items()
        assert sorted(found.values(), reverse=True) == [n for _, n in expected.most_common(8)]
        for answer in visit(pylon_db, *(path for _, path in links(shown[heading]))):
            assert answer.status_code == 200


def test_filters_by_team_and_account(sample: Workspace, pylon_db: Path) -> None:
    team = sample.records("teams")[0]
    ours = [
        one for one in sample.records("issues") if (one.get("team") or {}).get("id") == team["id"]
    ]
    text = page(pylon_db, f"{HOME}?team={team['id']}&weeks=52")
    assert sum(int(b) + int(c) for _, b, c in table(cards(text)["New issues by week"])) == len(ours)
    selected = [one for one in tree(text).iter("option") if one.get("selected") is not None]
    assert [words(one) for one in selected] == [team["name"], "52 weeks"]
    account = next(one for one in sample.records("accounts") if one["name"].startswith("Fjord"))
    theirs = [
        one
        for one in sample.records("issues")
        if (one.get("account") or {}).get("id") == account["id"]
    ]
    assert theirs
    for given in (account["name"].upper(), account["id"], f" {account['name']} "):
        (answer,) = visit(pylon_db, f"{HOME}?weeks=52&account={given}")
        rows = table(cards(answer.text)["New issues by week"])
        assert sum(int(b) + int(c) for _, b, c in rows) == len(theirs)
    (none,) = visit(pylon_db, f"{HOME}?account=nobody")
    assert "No account has the name nobody" in none.text
    assert tiles(none.text)["Open now"][0] == "0"


def test_each_figure_leads_to_a_query_that_is_there(pylon_db: Path) -> None:
    there = {query.name for query in queries()}
    found = tree(page(pylon_db, HOME))
    paths = {path for _, path in links(found)}
    asked = {re.split("[?#]", path.removeprefix("/pylon/"))[0] for path in paths}
    wanted = {name for names in overview.LEADS.values() for name in names} | set(overview.MORE)
    assert asked & wanted == {
        *({next((n for n in names if n in there), "") for names in overview.LEADS.values()} - {""}),
        *(there & set(overview.MORE)),
    }
    inside = sorted(path for path in paths if path.startswith("/"))
    for path, answer in zip(inside, visit(pylon_db, *inside), strict=True):
        assert answer.status_code == 200, path


def test_one_searches_from_it(pylon_db: Path) -> None:
    (form,) = by_class(tree(page(pylon_db, HOME)), "find")
    name = next(form.iter("input")).get("name")
    (answer,) = visit(pylon_db, f"{form.get('action')}?{name}=sync")
    assert answer.status_code == 200
    assert "/-/conversation/" in answer.text


def test_what_is_searched_is_said(pylon_db: Path) -> None:
    def label(**options: Any) -> str:
        (form,) = by_class(tree(page(pylon_db, HOME, **options)), "find")
        return words(next(form.iter("label")))

    assert label() == "Words in issues, messages, articles, accounts and contacts"
    closed = {"search_everywhere": {"sql": "select 1", "allow": False}}
    rules = {"databases": {"pylon": {"queries": closed}}}
    assert label(**{"config" if IS_1 else "metadata": rules}) == "Words in public messages"


def test_what_a_screen_reader_tells_apart(pylon_db: Path) -> None:
    found = tree(page(pylon_db, HOME))
    tables = [*found.iter("table")]
    assert len({words(next(one.iter("caption"))) for one in tables}) == len(tables) == 8
    for one in tables:
        heads = list(one.iter("th"))
        columns = max(len(list(row.iter("td"))) for row in one.iter("tr"))
        assert len(heads) == columns
        assert all(words(head) and head.get("scope") == "col" for head in heads)
    assert [one.get("aria-label") for one in by_class(found, "legend")] == ["Colours of the chart"]
    names = [one.get("aria-label") for one in found.iter("nav")]
    assert len(names) == len(set(names)) == 2


def test_how_many_are_answered_stands_beside_the_median(sample: Workspace, pylon_db: Path) -> None:
    new = [one for one in sample.records("issues") if at(one["created_at"]) >= NOW - timedelta(7)]
    answered = known(one.get("first_response_seconds") for one in new)
    (told,) = by_class(tree(page(pylon_db, HOME)), "answered")
    assert words(told) == f"{len(answered)} of {len(new)} answered"


def test_charts_are_told_in_words(pylon_db: Path) -> None:
    charts = by_class(tree(page(pylon_db, HOME)), "chart")
    assert len(charts) == 3
    for chart in charts:
        title, desc = (
            next(one for one in chart.iter() if one.tag.endswith(f"}}{tag}"))
            for tag in ("title", "desc")
        )
        assert words(title)
        assert words(desc).endswith(".")


def test_an_empty_mirror_says_so(path: Path, api: Api, clock: FakeClock) -> None:
    sync(path, api, clock)
    for text in (page(path, HOME), page(path, f"{HOME}?team=x&account=y&weeks=4")):
        assert "This mirror holds no issues yet." in text
        assert by_class(tree(text), "card") == []


def test_a_mirror_without_weeks_to_speak_of(mirror: Path) -> None:
    """Issues of one day, none of which is rated or old."""
    shown = cards(page(mirror, HOME))
    assert "No customer has rated an issue" in words(shown["Satisfaction"])
    change(mirror, "UPDATE issues SET first_response_seconds = NULL, state = 'closed'")
    shown = cards(page(mirror, HOME))
    assert "No issue of the period has had a response." in words(
        shown["Time to the first response"]
    )
    assert "None is open." in words(shown["Open issues"])
    change(mirror, "UPDATE issues SET state = NULL, type = NULL, created_at = 'never'")
    (answer,) = visit(mirror, HOME)
    assert answer.status_code == 200


def test_what_the_mirror_lacks_is_said(path: Path, desk: Desk, api: Api, clock: FakeClock) -> None:
    sync(path, api, clock, since="2026-06-30T00:00:00Z")
    text = page(path, HOME)
    assert "Only issues that changed since 2026-06-30T00:00:00Z are mirrored." in text
    assert "Support as of 2026-07-02 00:00 UTC" in text
    # The tests' clock is months behind.
    assert "No sync has completed for" in text
    change(path, 'UPDATE _pylon_checkpoints SET state = \'{"cursor": "x"}\'')
    assert "The first load of issues is not complete" in page(path, HOME)


def test_what_ended_badly_is_told(mirror: Path) -> None:
    change(mirror, "UPDATE _pylon_run_streams SET outcome = 'failed' WHERE stream = 'teams'")
    change(mirror, "UPDATE _pylon_run_streams SET outcome = NULL WHERE stream = 'tags'")
    found = table(cards(page(mirror, HOME))["The mirror"])
    assert found[2:] == [["Streams read", "27"], ["tags", "interrupted"], ["teams", "failed"]]


def test_deleted_issues_are_not_counted(mirror: Path) -> None:
    change(mirror, "UPDATE issues SET deleted_at = '2026-07-01T00:00:00Z' WHERE number = 1")
    change(mirror, "UPDATE issues SET placeholder = 1 WHERE number = 2")
    assert tiles(page(mirror, HOME))["New issues"][0] == "2"
    assert table(cards(page(mirror, HOME))["Tags"])[0] == ["bug", "2"]


@pytest.mark.parametrize(
    "denied",
    [
        {"allow": False},
        {"databases": {"pylon": {"allow": False}}},
        {"databases": {"pylon": {"tables": {"issues": {"allow": False}}}}},
    ],
)
def test_who_may_not_see_issues_sees_no_overview(pylon_db: Path, denied: dict[str, Any]) -> None:
    overview_, home = visit(pylon_db, HOME, "/", metadata=denied)
    assert overview_.status_code == 403
    assert "Nordlicht" not in overview_.text
    # Not even the name of what may not be seen.
    assert "/pylon/-/pylon" not in home.text


HIDDEN = {
    "accounts": "Busiest accounts",
    "issue_tags": "Tags",
    "issue_csat_responses": "Satisfaction",
    "_pylon_runs": "The mirror",
}


@pytest.mark.parametrize("name", HIDDEN)
def test_a_table_that_may_not_be_seen_is_not_counted(pylon_db: Path, name: str) -> None:
    denied = {"databases": {"pylon": {"tables": {name: {"allow": False}}}}}
    text = page(pylon_db, HOME, metadata=denied)
    assert set(cards(page(pylon_db, HOME))) - set(cards(text)) == {HIDDEN[name]}
    if name == "accounts":
        assert "Nordlicht" not in text


def test_what_takes_too_long_is_said_to(pylon_db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Datasette stops a question after a second; the rest of the page is there all the same."""

    async def slow(*_: Any) -> Any:
        raise QueryInterrupted(Exception("interrupted"), "", {})

    for name in (
        "past_week",
        "volume",
        "first_response",
        "backlog",
        "satisfaction",
        "accounts",
        "tags",
    ):
        with monkeypatch.context() as patch:
            patch.setattr(figures, name, slow)
            (answer,) = visit(pylon_db, HOME)
            assert answer.status_code == 200
            # Without the past week its tiles are not there.
            is_told = "longer than this Datasette allows" in answer.text
            assert is_told == (name != "past_week")
            assert "The mirror" in cards(answer.text)


def test_it_is_answered_from_indexes(pylon_db: Path) -> None:
    """Reading 100,000 issues with their bodies takes seconds; their index a twentieth of one."""
    assert any({"account_id", "team_id", "resolution_time", "id"} < set(c) for _, c in INDEXES)
    asked: list[str] = []
    with closing(sqlite3.connect(pylon_db)) as connection:
        execute = Database.execute

        async def noted(self: Any, sql: str, params: Any = None, *rest: Any, **more: Any) -> Any:
            if "FROM issues AS i" in sql and "GROUP BY" in sql:
                plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", params or {}).fetchall()
                asked.extend(row[3] for row in plan if " i " in f"{row[3]} ")
            return await execute(self, sql, params, *rest, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Database, "execute", noted)
            for query in ("", "?type=ticket&weeks=52"):
                page(pylon_db, HOME + query)
    assert len(asked) >= 12
    assert [plan for plan in asked if "USING COVERING INDEX" not in plan] == []
