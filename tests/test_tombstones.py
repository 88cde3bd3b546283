"""What Pylon no longer has stays, marked: nothing is lost, and nothing is shown as if it were."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from desk import Desk
from mirroring import ALL, DAY, die, errors, live, rows, sync
from oracle import differences
from test_truth import Edited, Payload

from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.streams import STREAMS

# Nobody takes an entry of the audit log back, nor an organisation.
LASTING = ("audit_logs", "organization")
WALKED = [one.name for one in STREAMS if one.is_walked and one.name not in LASTING]


def remove(desk: Desk, stream: str) -> str:
    """Remove the last record of a stream; answers its key."""
    workspace = desk.workspace
    if stream == "knowledge_base_articles":
        workspace.remove_article(desk.articles[-1])
        return desk.articles[-1]
    stream = stream.removeprefix("knowledge_base_") if "collections" in stream else stream
    # Of a part of another, that other would tell.
    records = [one for one in workspace.listed(stream) if not one.fields.get("parent_task_id")]
    key = records[-1].key
    workspace.remove(stream, key)
    return key


@pytest.mark.parametrize("stream", WALKED)
def test_a_record_that_is_in_no_list_any_more_is_marked(
    path: Path, desk: Desk, api: Api, clock: Any, stream: str
) -> None:
    """It keeps its row and all that is in it; what belongs to it is marked with it."""
    sync(path, api, clock, **ALL)
    before = rows(path, f"SELECT * FROM {stream} ORDER BY rowid")
    key = remove(desk, stream)
    clock.sleep(DAY)
    outcome = sync(path, api, clock)
    assert errors(outcome) == {}
    after = rows(path, f"SELECT * FROM {stream} ORDER BY rowid")
    gone = [row for row in after if row["deleted_at"]]
    assert [row.get("slug") if stream == "issue_statuses" else row["id"] for row in gone] == [key]
    kept = [{**row, "synced_at": None, "deleted_at": None} for row in after]
    assert kept == [{**row, "synced_at": None} for row in before]
    (result,) = (one for one in outcome.results if one.stream.name == stream)
    assert result.counts.gone == 1
    if stream == "knowledge_bases":
        assert live(path, "knowledge_base_articles") == []
    # Said once: the next run finds nothing to do.
    clock.sleep(DAY)
    sync(path, api, clock)
    assert rows(path, f"SELECT * FROM {stream} ORDER BY rowid") == after


@pytest.mark.parametrize("stream", ["accounts", "contacts", "users", "tags", "custom_fields"])
def test_a_record_that_comes_back_is_live_again(
    mirror: Path, desk: Desk, api: Api, clock: Any, stream: str
) -> None:
    """As after a list that left it out by mistake; being named by others does not bring it back."""
    whole = desk.workspace.snapshot()
    key = remove(desk, stream)
    clock.sleep(DAY)
    desk.workspace.reply(desk.issues[0], html="<p>News.</p>", author=desk.contacts[-1])
    sync(mirror, api, clock)
    assert key not in {row["id"] for row in live(mirror, stream)}
    desk.workspace._records[stream] = whole._records[stream]
    desk.workspace._order[stream] = whole._order[stream]
    clock.sleep(DAY)
    sync(mirror, api, clock)
    assert differences(mirror, desk.workspace) == []


def test_a_list_that_lacks_most_of_what_is_here_marks_nothing_unless_it_is_allowed(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    """It fails its stream, and says what to do."""
    contacts = [desk.workspace.add("contacts", name=f"Contact {n}") for n in range(12)]
    sync(path, api, clock)
    for contact in contacts[:9]:
        desk.workspace.remove("contacts", contact)
    clock.sleep(DAY)
    failed = errors(sync(path, api, clock))
    assert set(failed) == {"contacts"}
    assert "lacks 9 of the 15 contacts" in failed["contacts"]
    assert "--allow-deletes contacts" in failed["contacts"]
    assert len(live(path, "contacts")) == 15
    assert errors(sync(path, api, clock, allow_deletes=["tags"])).keys() == {"contacts"}
    assert errors(sync(path, api, clock, allow_deletes=["contacts"])) == {}
    assert len(live(path, "contacts")) == 6
    assert errors(sync(path, api, clock)) == {}


def test_few_are_believed_though_they_are_all(
    mirror: Path, desk: Desk, api: Api, clock: Any
) -> None:
    for account in desk.accounts:
        desk.workspace.remove("accounts", account)
    assert errors(sync(mirror, api, clock)) == {}
    assert live(mirror, "accounts") == []


def test_a_part_that_failed_marks_nothing_of_its_own(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    other = desk.workspace.add("knowledge_bases", title="Other")
    article = desk.workspace.add_article(other, title="There")
    sync(path, api, clock)
    api.misbehave("500", f"/knowledge-bases/{desk.base}/articles", times=-1)
    api.misbehave("422", "/custom-fields", times=1)
    desk.workspace.remove_article(article)
    clock.sleep(DAY)
    assert set(errors(sync(path, api, clock))) == {"knowledge_base_articles"}
    assert len(live(path, "custom_fields")) == 3
    assert {row["id"] for row in live(path, "knowledge_base_articles")} >= {*desk.articles}


@pytest.mark.parametrize("answered", [False, True])
def test_a_walk_that_died_marks_nothing(
    path: Path, desk: Desk, clock: Any, api: Api, answered: bool
) -> None:
    """Nor does what it had read count for the walk after it."""
    for number in range(1200):
        desk.workspace.add("contacts", name=f"Contact {number}", at=clock.now() - 9000 + number)
    sync(path, api, clock)
    clock.sleep(DAY)
    assert die(path, api, clock, 2, "contacts", answered=answered)
    assert len(live(path, "contacts")) == 1203
    desk.workspace.remove("contacts", desk.contacts[2])
    sync(path, api, clock, "contacts")
    assert len(live(path, "contacts")) == 1202
    assert differences(path, desk.workspace) == []


def test_words_of_what_is_gone_are_in_no_index(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    desk.workspace.change_article(
        desk.articles[0], current_published_content_html="<p>A kumquat.</p>"
    )
    sync(path, api, clock)
    search = "SELECT * FROM knowledge_base_articles_fts WHERE knowledge_base_articles_fts MATCH ?"
    assert len(rows(path, search, ["kumquat"])) == 1
    desk.workspace.remove_article(desk.articles[0])
    clock.sleep(DAY)
    sync(path, api, clock)
    assert rows(path, search, ["kumquat"]) == []


def test_an_empty_list_marks_what_few_there_were(
    path: Path, desk: Desk, api: Api, clock: Any
) -> None:
    def edit(request: httpx.Request, payload: Payload, headers: dict[str, str]) -> None:
        if request.url.path in ("/tags", "/contacts"):
            payload["data"] = []

    for number in range(7):
        desk.workspace.add("contacts", name=f"Contact {number}")
    sync(path, api, clock)
    outcome = sync(path, api, clock, transport=Edited(api, edit))
    assert set(errors(outcome)) == {"contacts"}
    assert (len(live(path, "tags")), len(live(path, "contacts"))) == (0, 10)
    sync(path, api, clock)
    assert differences(path, desk.workspace) == []
