"""The contents of files: fetched once each, from public hosts only, and gone when they are."""

import hashlib
import itertools
import os
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import FakeClock
from desk import Desk
from fetching import PUBLIC, Body, Hosts, contents, fetch, fetch_attached
from mirroring import DAY, Death, errors, rows, sync
from oracle import differences
from test_machine import data

from pylon_to_sqlite.errors import Unusable
from pylon_to_sqlite.folder import Folder, name_of
from pylon_to_sqlite.gather import FAILURES_IN_A_ROW, MOST_REMEMBERED, Remembering
from pylon_to_sqlite.plan import Checkpoint, Page, Request
from pylon_to_sqlite.plan import request as plan_request
from pylon_to_sqlite.reach import is_public
from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.files import FILES_HOST
from pylon_to_sqlite.sandbox.workspace import Workspace
from pylon_to_sqlite.support_streams import ISSUE_MESSAGES

# In each issue of the desk: three files of its own and one elsewhere, which nobody serves.
OURS, STRANGE = 4 * 3, 4
WRITTEN_ANEW = "SELECT value FROM _pylon_meta WHERE key = 'written_anew_at'"
KNOWN = "address LIKE 'https://assets.usepylon.com/%'"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def served(api: Api) -> list[str]:
    """The files that were given out whole, in order."""
    return [one.path for one in api.downloads if one.status == 200]


def stored(workspace: Workspace) -> dict[str, bytes]:
    """What the directory of all files should hold; of two names for the same, either will do."""
    return {sha(content): content for content in workspace.files.values()}


def by_hash(path: Path) -> dict[str, bytes]:
    found = contents(path)
    hashes = {name.rpartition("/")[2].partition(".")[0]: what for name, what in found.items()}
    assert len(hashes) == len(found)
    return hashes


def problems(path: Path) -> dict[str, str]:
    found = rows(path, "SELECT file_name, error FROM attachments WHERE error IS NOT NULL")
    return {row["file_name"]: row["error"] for row in found}


def only_file(desk: Desk, name: str = "only.bin", content: bytes = b"bytes") -> str:
    """A file that a message has, of an issue that has no other."""
    address = desk.workspace.add_file(name, content)
    issue = desk.workspace.open_issue(title="Look", body_html="Here", requester=desk.contacts[0])
    desk.workspace.reply(issue, html="See", author=desk.agents[0], file_urls=[address])
    return address


def row_of(path: Path, address: str) -> dict[str, Any]:
    (row,) = rows(path, "SELECT * FROM attachments WHERE address = ?", [address])
    return row


@pytest.mark.parametrize("workers", [1, 4])
def test_contents_are_fetched_once_each_and_kept_by_their_hash(
    path: Path, desk: Desk, api: Api, clock: FakeClock, workers: int
) -> None:
    hosts = Hosts(api)
    outcome = fetch(path, api, clock, hosts, workers=workers)
    assert errors(outcome) == {}
    assert outcome.gathered is not None
    found = outcome.gathered
    assert (found.files, found.failed, found.error) == (OURS, STRANGE, "")
    assert not outcome.failed
    assert by_hash(path) == stored(desk.workspace)
    for row in rows(path, f"SELECT * FROM attachments WHERE {KNOWN}"):
        content = (path.parent / "files" / row["path"]).read_bytes()
        assert (row["content_hash"], row["size"]) == (sha(content), len(content))
        assert row["path"].startswith(f"{row['content_hash'][:2]}/{row['content_hash']}")
        assert row["content_type"] in ("image/png", "text/csv", "text/plain")
        assert (row["error"], row["deleted_at"]) == (None, None)
        assert row["downloaded_at"]
    assert sorted(served(api)) == sorted(desk.workspace.files)
    before = data(path), contents(path)
    clock.sleep(DAY)
    outcome = fetch(path, api, clock, workers=workers)
    assert (data(path), contents(path)) == before
    assert len(served(api)) == OURS
    assert outcome.gathered is not None
    assert (outcome.gathered.files, outcome.gathered.failed) == (0, STRANGE)
    assert differences(path, desk.workspace) == []


def test_no_request_for_a_file_has_the_token_or_goes_by_a_name(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    hosts = Hosts(api)

    def with_cookie() -> httpx.Response:
        return httpx.Response(200, headers={"Set-Cookie": "id=1; Path=/"}, content=b"x")

    hosts.answers[".*log 0.txt"] = with_cookie
    fetch_attached(path, api, clock, hosts)
    fetch_attached(path, api, clock, hosts)
    assert api.strays == []
    assert {request.headers["host"] for request in hosts.requests} == {
        FILES_HOST,
        "elsewhere.example",
    }
    for request in hosts.requests:
        assert {*request.headers} == {
            *("host", "accept", "accept-encoding", "user-agent", "connection"),
        }
        assert request.headers["accept-encoding"] == "identity"
        assert request.url.host == PUBLIC
        assert request.url.scheme == "https"
        assert request.extensions["sni_hostname"] == request.headers["host"]


def test_signatures_are_nowhere_in_the_file_nor_in_names(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    fetch_attached(path, api, clock)
    there = [one for one in path.parent.rglob("*") if one.is_file()]
    assert len(there) >= OURS
    for one in there:
        for trace in (b"Signature", b"Key-Pair-Id", b"K2SANDBOX", b"Expires="):
            assert trace not in one.read_bytes(), one
    assert {row["address"].count("?") for row in rows(path, "SELECT * FROM attachments")} == {0}


def test_reading_again_changes_nothing_though_signatures_do(
    mirror: Path, api: Api, clock: FakeClock
) -> None:
    before = data(mirror)
    clock.sleep(DAY)
    outcome = sync(mirror, api, clock, full=True, reconcile=True)
    assert data(mirror) == before
    assert sum(one.counts.changed for one in outcome.results) == 0


def test_only_their_owner_can_read_them(path: Path, desk: Desk, api: Api, clock: FakeClock) -> None:
    before = os.umask(0)
    try:
        fetch_attached(path, api, clock)
    finally:
        os.umask(before)
    folder = path.parent / "files"
    modes = {stat.S_IMODE(one.stat().st_mode) for one in folder.rglob("*") if one.is_file()}
    assert modes == {0o600}
    directories = [folder, *(one for one in folder.iterdir() if one.is_dir())]
    assert {stat.S_IMODE(one.stat().st_mode) for one in directories} == {0o700}


@pytest.mark.parametrize("requests", range(OURS + STRANGE))
def test_a_run_that_died_at_any_file_goes_on_where_it_was(
    path: Path, desk: Desk, api: Api, clock: FakeClock, requests: int
) -> None:
    with pytest.raises(Death):
        fetch_attached(path, api, clock, Hosts(api, left=requests))
    done = len(served(api))
    assert len(rows(path, "SELECT DISTINCT address FROM attachments WHERE path > ''")) == done
    # What a kill leaves that nothing can clean up after.
    (path.parent / "files" / f"{'0' * 32}.part").write_bytes(b"half")
    outcome = fetch_attached(path, api, clock)
    assert errors(outcome) == {}
    assert by_hash(path) == stored(desk.workspace)
    assert sorted(served(api)) == sorted(desk.workspace.files)


def test_bytes_that_a_kill_left_without_a_row_are_removed(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    fetch_attached(path, api, clock)
    before = contents(path)
    orphan = path.parent / "files" / name_of(sha(b"orphan"), "x.txt")
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"orphan")
    fetch_attached(path, api, clock)
    assert contents(path) == before


def test_what_is_missing_in_the_directory_or_cut_short_is_fetched_again(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    fetch_attached(path, api, clock)
    before = contents(path)
    first, second, *_ = sorted(before)
    (path.parent / "files" / first).unlink()
    (path.parent / "files" / second).write_bytes(b"")
    outcome = fetch_attached(path, api, clock)
    assert contents(path) == before
    assert outcome.gathered is not None
    assert outcome.gathered.files >= 2


def test_another_directory_gets_all_of_them(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    fetch_attached(path, api, clock)
    (path.parent / "files").rename(path.parent / "elsewhere")
    fetch_attached(path, api, clock)
    assert by_hash(path) == stored(desk.workspace)


def test_a_redaction_removes_the_row_and_the_bytes(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    address = only_file(desk, "my-passport.jpg", b"secret bytes")
    clock.sleep(DAY)
    fetch_attached(path, api, clock)
    assert b"secret bytes" in contents(path).values()
    message = row_of(path, address)["message_id"]
    desk.workspace.redact_message(message)
    clock.sleep(DAY)
    # In a run that has nothing to do with the directory.
    assert sync(path, api, clock).unpurged == ""
    assert rows(path, "SELECT * FROM attachments WHERE address = ?", [address]) == []
    for one in path.parent.glob(f"{path.name}*"):
        assert b"my-passport" not in one.read_bytes()
    fetch_attached(path, api, clock)
    assert b"secret bytes" not in contents(path).values()
    assert differences(path, desk.workspace) == []


def test_names_that_were_taken_back_alone_are_purged_too(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    """Though no word that is searched for has changed."""
    desk.workspace.change_issue(
        desk.issues[0], attachment_urls=[desk.workspace.add_file("my-passport.jpg", b"x")]
    )
    clock.sleep(DAY)
    sync(path, api, clock)
    before = rows(path, WRITTEN_ANEW)
    desk.workspace.change_issue(desk.issues[0], attachment_urls=[])
    clock.sleep(3600)
    assert sync(path, api, clock).unpurged == ""
    assert rows(path, WRITTEN_ANEW) != before
    for one in path.parent.glob(f"{path.name}*"):
        assert b"my-passport" not in one.read_bytes()


def test_contents_that_two_files_have_stay_for_the_other(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    first = only_file(desk, "a.txt", b"the same")
    only_file(desk, "b.md", b"the same")
    clock.sleep(DAY)
    fetch_attached(path, api, clock)
    assert list(contents(path).values()).count(b"the same") == 1
    desk.workspace.redact_message(row_of(path, first)["message_id"])
    clock.sleep(DAY)
    fetch_attached(path, api, clock)
    assert list(contents(path).values()).count(b"the same") == 1
    assert len(served(api)) == OURS + 2


def test_a_file_that_another_message_has_by_now_is_not_fetched_again(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    address = only_file(desk)
    clock.sleep(DAY)
    fetch_attached(path, api, clock)
    row = row_of(path, address)
    desk.workspace.reply(
        row["issue_id"], html="It", author=desk.agents[0], private=True, file_urls=[address]
    )
    clock.sleep(DAY)
    fetch_attached(path, api, clock)
    assert len(served(api)) == OURS + 1
    both = rows(path, "SELECT * FROM attachments WHERE address = ?", [address])
    assert {(one["is_private"], one["path"], one["size"]) for one in both} == {
        (0, row["path"], row["size"]),
        (1, row["path"], row["size"]),
    }


def test_files_of_deleted_issues_are_marked_and_come_back_with_them(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    fetch_attached(path, api, clock)
    issue, before = desk.issues[1], contents(path)
    mine = "SELECT * FROM attachments WHERE issue_id = ?"
    desk.workspace.delete_issue(issue)
    clock.sleep(DAY)
    fetch_attached(path, api, clock, reconcile=True)
    gone = rows(path, mine, [issue])
    assert len(gone) == 5
    assert {(one["deleted_at"] is None, one["path"], one["error"]) for one in gone} == {
        (False, None, None)
    }
    times = rows(path, "SELECT deleted_at FROM issues WHERE id = ?", [issue])
    assert {one["deleted_at"] for one in gone} == {times[0]["deleted_at"]}
    assert b"\x89PNG1" not in contents(path).values()
    desk.workspace.restore_issue(issue)
    clock.sleep(DAY)
    fetch_attached(path, api, clock, reconcile=True)
    assert contents(path) == before
    assert {one["deleted_at"] for one in rows(path, mine, [issue])} == {None}
    desk.workspace.delete_issue(issue)
    clock.sleep(DAY)
    fetch_attached(path, api, clock, reconcile=True)
    clock.sleep(1)
    fetch_attached(path, api, clock, erase_deleted=0)
    assert rows(path, mine, [issue]) == []
    assert rows(path, "PRAGMA foreign_key_check") == []


def test_a_file_of_a_message_is_not_repeated_for_its_issue(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    issue = desk.issues[0]
    sync(path, api, clock, "issues")
    alone = rows(path, "SELECT * FROM attachments WHERE issue_id = ?", [issue])
    assert {(one["file_name"], one["message_id"], one["is_private"]) for one in alone} == {
        ("log 0.txt", None, None),
        ("picture.png", None, None),
    }
    clock.sleep(DAY)
    sync(path, api, clock)
    first, reply, note, _ = (one["id"] for one in desk.workspace.messages(issue))
    found = rows(path, "SELECT * FROM attachments WHERE issue_id = ?", [issue])
    assert {(one["message_id"], one["file_name"], one["is_private"]) for one in found} == {
        (first, "log 0.txt", 0),
        (first, "picture.png", 0),
        (reply, "shot 0.png", 0),
        (note, "shot 0.png", 1),
        (note, "ledger 0.csv", 1),
    }
    # That is no word taken back, for which the file would be written anew.
    assert rows(path, WRITTEN_ANEW) == []
    # The message is gone, and the issue still has the file.
    desk.workspace.delete_message(first)
    clock.sleep(DAY)
    sync(path, api, clock)
    found = rows(path, f"SELECT * FROM attachments WHERE issue_id = '{issue}'")
    logs = {
        (one["message_id"], one["deleted_at"] is None)
        for one in found
        if one["file_name"] == "log 0.txt"
    }
    assert logs == {(first, False), (None, True)}


HOSTILE = [
    "../../x",
    "..%2f..%2fx.sh",
    "a\x00b.txt",
    "x" * 5000 + ".png",
    ".",
    "..",
    "C:\\windows\\x.exe",
    "x.TAR.GZ",
    "x.waytoolong",
    "\u202egpj.exe",
    "name?Signature=1#.png",
    "new\nline.txt",
]


def test_hostile_names_lead_nowhere(path: Path, desk: Desk, api: Api, clock: FakeClock) -> None:
    for number, name in enumerate(HOSTILE):
        only_file(desk, name, f"hostile {number}".encode())
    clock.sleep(DAY)
    outcome = fetch_attached(path, api, clock)
    assert errors(outcome) == {}
    # Whatever httpx makes of such an address, nothing is anywhere but where it belongs.
    assert {one.name.partition(".db")[0] for one in path.parent.iterdir()} == {"pylon", "files"}
    for name, content in contents(path).items():
        digest, _, extension = name.partition("/")[2].partition(".")
        assert name[:3] == f"{digest[:2]}/"
        assert digest == sha(content)
        assert extension.isalnum() or not extension
        assert len(extension) <= 8
    names = [row["file_name"] or "" for row in rows(path, "SELECT file_name FROM attachments")]
    assert all(len(name) <= 255 and not set(name) & set("/\\\x00\n\u202e") for name in names)
    assert len([one for one in contents(path).values() if one.startswith(b"hostile")]) >= 8


def endless(chunk: bytes, clock: FakeClock | None = None) -> Body:
    def chunks() -> Any:
        while True:
            if clock:
                clock.sleep(20)
            yield chunk

    return Body(chunks())


def test_a_body_without_end_is_cut_off(path: Path, desk: Desk, api: Api, clock: FakeClock) -> None:
    only_file(desk, "big.bin")
    only_file(desk, "slow.bin")
    clock.sleep(DAY)
    hosts = Hosts(api)
    bodies = [endless(b"x" * 2**16), endless(b"x", clock)]
    hosts.answers[".*big.bin"] = lambda: httpx.Response(200, stream=bodies[0])
    hosts.answers[".*slow.bin"] = lambda: httpx.Response(200, stream=bodies[1])
    fetch_attached(path, api, clock, hosts, limit=10**6)
    found = problems(path)
    assert found["big.bin"] == "it is over 1,000,000 bytes"
    assert found["slow.bin"] == "it is not complete after 900 s"
    assert all(body.is_closed for body in bodies)
    assert not [*(path.parent / "files").glob("*.part")]


def answered(status: int = 200, body: bytes = b"bytes", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named, stream=Body(iter([body])))


ANSWERS: dict[str, tuple[httpx.Response, str]] = {
    "says less": (answered(content_length="3"), "its host gives another length than it says"),
    "says more": (answered(content_length="9"), "its host gives another length than it says"),
    "says too much": (answered(content_length="99999999999"), "it is over 1,000 bytes"),
    "is too much": (answered(body=b"x" * 1001, content_length="5"), "it is over 1,000 bytes"),
    "compressed": (
        answered(content_encoding="gzip"),
        "its host gives it compressed, which was not asked for",
    ),
    "redirect": (
        answered(302, location="http://169.254.169.254/"),
        "its host answers 302: redirects are not followed",
    ),
    "partial": (answered(206), "its host answers 206"),
    "nothing": (answered(204, b""), "its host answers 204"),
    "down": (answered(503), "its host answers 503"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_odd_answer_is_no_file(
    path: Path, desk: Desk, api: Api, clock: FakeClock, case: str
) -> None:
    address = only_file(desk, "odd.bin")
    clock.sleep(DAY)
    hosts = Hosts(api)
    answer, told = ANSWERS[case]
    hosts.answers[".*odd.bin"] = lambda: answer
    outcome = fetch_attached(path, api, clock, hosts, limit=1000)
    assert not outcome.failed
    row = row_of(path, address)
    assert (row["error"], row["path"]) == (told, None)
    assert len([one for one in hosts.requests if one.url.path.endswith("odd.bin")]) == 1
    # Which is tried again, and then it is there.
    fetch_attached(path, api, clock, limit=1000)
    row = row_of(path, address)
    assert (row["error"], row["content_hash"]) == (None, sha(b"bytes"))


@pytest.mark.parametrize("fault", ["reset", "timeout", "refused-connection", "half-body"])
def test_a_broken_connection_is_no_file(
    path: Path, desk: Desk, api: Api, clock: FakeClock, fault: str
) -> None:
    address = only_file(desk, "odd.bin")
    clock.sleep(DAY)
    api.misbehave(fault, ".*odd.bin")
    fetch_attached(path, api, clock)
    assert "its host gives no whole answer" in row_of(path, address)["error"]
    assert not [*(path.parent / "files").glob("*.part")]
    fetch_attached(path, api, clock)
    assert row_of(path, address)["error"] is None


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refused_signature_is_asked_for_again_once(
    path: Path, desk: Desk, api: Api, clock: FakeClock, status: int
) -> None:
    address = only_file(desk, "odd.bin")
    clock.sleep(DAY)
    before = sync(path, api, clock, "users")
    assert before.gathered is None
    api.misbehave(str(status), ".*odd.bin")
    fetch_attached(path, api, clock)
    assert row_of(path, address)["error"] is None
    tried = [one.status for one in api.downloads if one.path.endswith("odd.bin")]
    assert tried == [status, 200]


def test_a_refused_file_is_no_failure_and_tried_again(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    address = only_file(desk, "odd.bin")
    clock.sleep(DAY)
    api.misbehave("404", ".*odd.bin", times=4)
    for count in (2, 3, 4):
        outcome = fetch_attached(path, api, clock)
        assert not outcome.failed
        assert row_of(path, address)["error"] == "its host answers 404"
        tried = [one.status for one in api.downloads if one.path.endswith("odd.bin")]
        # In later runs nothing came by but the new signature.
        assert tried == [404] * count
    fetch_attached(path, api, clock)
    assert row_of(path, address)["error"] is None


def test_signatures_that_expired_since_a_run_are_asked_for_again(
    mirror: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    clock.sleep(30 * DAY)
    sync(mirror, api, clock)
    before = api.count("GET /issues/[^/]+/messages")
    fetch_attached(mirror, api, clock)
    assert by_hash(mirror) == stored(desk.workspace)
    # One question an issue.
    assert api.count("GET /issues/[^/]+/messages") == before + 4


def test_files_that_only_the_issue_names_are_asked_for_with_it(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    address = desk.workspace.add_file("form.pdf", b"%PDF")
    desk.workspace.change_issue(desk.issues[0], attachment_urls=[address])
    clock.sleep(DAY)
    sync(path, api, clock)
    clock.sleep(30 * DAY)
    fetch_attached(path, api, clock)
    assert row_of(path, address)["content_type"] == "application/pdf"
    assert row_of(path, address)["message_id"] is None


REFUSED = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1",
    "::ffff:127.0.0.1", "::ffff:93.184.215.14", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1",
    "nonsense", "",
]  # fmt: skip


@pytest.mark.parametrize("where", REFUSED)
def test_private_addresses(where: str) -> None:
    assert not is_public(where)


@pytest.mark.parametrize("where", [PUBLIC, "1.1.1.1", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_public_addresses(where: str) -> None:
    assert is_public(where)


@pytest.mark.parametrize("where", ["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "nonsense"])
def test_no_host_that_leads_to_a_private_address_is_asked(
    path: Path, desk: Desk, api: Api, clock: FakeClock, where: str
) -> None:
    hosts = Hosts(api)
    outcome = fetch_attached(path, api, clock, hosts, resolve=lambda host, port: [where])
    assert hosts.requests == []
    assert outcome.gathered is not None
    assert (outcome.gathered.files, outcome.gathered.failed) == (0, OURS + STRANGE)
    told = f"{FILES_HOST} is no public host: nothing is fetched from there"
    errors = rows(path, f"SELECT DISTINCT error FROM attachments WHERE {KNOWN}")
    assert errors == [{"error": told}]


def test_it_connects_to_the_address_that_was_checked(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    """Whatever the name leads to a moment later."""
    hosts = Hosts(api)
    given = itertools.cycle([[PUBLIC], ["10.0.0.1"]])
    fetch_attached(path, api, clock, hosts, resolve=lambda host, port: next(given))
    assert {request.url.host for request in hosts.requests} == {PUBLIC}
    mixed = ["10.0.0.1", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::1"]
    fetch_attached(path, api, clock, hosts := Hosts(api), resolve=lambda host, port: mixed)
    assert {request.url.host for request in hosts.requests} == {mixed[1]}
    assert len(by_hash(path)) == len(stored(desk.workspace))


def test_where_one_address_does_not_answer_the_next_is_asked(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    class OneDown(Hosts):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.host == PUBLIC:
                raise httpx.ConnectTimeout("", request=request)
            return super().handle_request(request)

    both = [PUBLIC, "93.184.215.15"]
    fetch_attached(path, api, clock, OneDown(api), resolve=lambda host, port: both)
    assert by_hash(path) == stored(desk.workspace)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://assets.usepylon.com/a.png", "it is not at an https address"),
        ("https://127.0.0.1/a.png", "127.0.0.1 is no public address"),
        ("https://[::1]/a.png", "::1 is no public address"),
        ("https://[::ffff:10.0.0.1]/a.png", "::ffff:10.0.0.1 is no public address"),
        ("http://localhost/a.png", "it is not at an https address"),
        ("https://files.example:22/a.png", "it is at an address with an odd host, port or user"),
        ("https://files.example:x/a.png", "it is no address"),
        ("https:///a.png", None),
    ],
)
def test_addresses_that_tell_themselves_are_not_even_asked_for(
    path: Path, desk: Desk, api: Api, clock: FakeClock, address: str, told: str | None
) -> None:
    desk.workspace.reply(
        desk.issues[0], html="See", author=desk.agents[0], file_urls=[f"{address}?sig=1"]
    )
    clock.sleep(DAY)
    fetch_attached(path, api, clock, hosts := Hosts(api))
    found = rows(path, "SELECT * FROM attachments WHERE address = ?", [address])
    assert [row["error"] for row in found] == ([told] if told else [])
    assert {request.headers["host"] for request in hosts.requests} == {
        FILES_HOST,
        "elsewhere.example",
    }


def test_a_name_and_password_before_the_host_are_neither_kept_nor_sent(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    given = "https://me:hunter2@files.example/a.png?x=1#y"
    desk.workspace.reply(desk.issues[0], html="See", author=desk.agents[0], file_urls=[given])
    clock.sleep(DAY)
    fetch_attached(path, api, clock, hosts := Hosts(api))
    row = row_of(path, "https://files.example/a.png")
    assert row["error"] == "it is at an address with an odd host, port or user"
    assert "files.example" not in {request.headers["host"] for request in hosts.requests}
    assert b"hunter2" not in path.read_bytes()


def test_a_host_that_is_down_is_given_up_and_no_other(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    down = [f"https://down.example/{number}.png" for number in range(3 * FAILURES_IN_A_ROW)]
    for address in down:
        desk.workspace.open_issue(title="Look", body_html="Here", attachment_urls=[address])
    clock.sleep(DAY)

    class Down(Hosts):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.headers["host"] == "down.example":
                self.requests.append(request)
                raise httpx.ConnectError("", request=request)
            return super().handle_request(request)

    outcome = fetch_attached(path, api, clock, hosts := Down(api))
    assert not outcome.failed
    asked = [one for one in hosts.requests if one.headers["host"] == "down.example"]
    assert len(asked) == FAILURES_IN_A_ROW
    assert by_hash(path) == stored(desk.workspace)
    told = rows(path, "SELECT error FROM attachments WHERE address LIKE 'https://down%'")
    assert [one["error"] for one in told].count(
        "not asked for: its host did not answer for others"
    ) == 10


def test_where_pylon_does_not_answer_it_stops(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    for number in range(3 * FAILURES_IN_A_ROW):
        only_file(desk, f"{number}.bin", b"%d" % number)
    clock.sleep(DAY)
    sync(path, api, clock)
    clock.sleep(DAY)
    sync(path, api, clock)
    api.misbehave("503", "/issues/[^/]+/messages", times=-1)
    outcome = fetch_attached(path, api, clock)
    assert outcome.failed
    assert errors(outcome) == {}
    assert outcome.gathered is not None
    assert outcome.gathered.failed == FAILURES_IN_A_ROW
    assert "503" in outcome.gathered.error
    api.behave()
    assert not fetch_attached(path, api, clock).failed
    assert by_hash(path) == stored(desk.workspace)


def test_a_directory_of_another_program_is_refused(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    theirs = path.parent / "files" / name_of(sha(b"x"), None)
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"x")
    with pytest.raises(Unusable, match="another program"):
        fetch_attached(path, api, clock)
    assert theirs.read_bytes() == b"x"


def test_a_directory_of_another_organisation_is_refused_first(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    Folder(path.parent / "files").claim("somebody else")
    with pytest.raises(Unusable, match="another organisation"):
        fetch_attached(path, api, clock)
    assert not path.exists()


def test_a_directory_that_cannot_be_written_to_is_refused_first(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    (path.parent / "files").write_text("no directory")
    with pytest.raises(Unusable, match="cannot write to"):
        fetch_attached(path, api, clock)
    assert not path.exists()


def test_what_else_is_in_the_directory_stays(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    mine = path.parent / "files"
    others = [mine / "notes.txt", mine / "ab" / "mine.txt", mine / "x.part", mine / "abc" / "y"]
    for one in others:
        one.parent.mkdir(parents=True, exist_ok=True)
        one.write_text("mine")
    fetch_attached(path, api, clock)
    fetch_attached(path, api, clock)
    assert [one.read_text() for one in others] == ["mine"] * 4


def test_a_link_in_the_directory_is_not_followed(
    path: Path, desk: Desk, api: Api, clock: FakeClock
) -> None:
    content = b"leads elsewhere"
    address = only_file(desk, "x.txt", content)
    clock.sleep(DAY)
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir()
    (path.parent / "files").mkdir()
    (path.parent / "files" / sha(content)[:2]).symlink_to(elsewhere)
    outcome = fetch_attached(path, api, clock)
    assert outcome.gathered is not None
    assert "cannot write to" in outcome.gathered.error
    assert [*elsewhere.iterdir()] == []
    assert row_of(path, address)["path"] is None


def test_so_many_signatures_are_remembered_and_no_more() -> None:
    class Answering:
        def now(self) -> str:
            return ""

        def fetch(self, request: Request) -> Page:
            long = f"https://h/long?{'x' * 10_000}"
            urls = [long] + [
                f"https://h/{number}?{request.path}" for number in range(MOST_REMEMBERED + 10)
            ]
            return Page([{"id": "m", "file_urls": urls}])

    source = Remembering(Answering())
    for _ in range(2):
        source.fetch(plan_request(ISSUE_MESSAGES, Checkpoint(), "i 1"))
    assert len(source.urls) == MOST_REMEMBERED
    assert source.urls["i 1", "https://h/0"] == "https://h/0?/issues/i%201/messages"
    assert ("i 1", "https://h/long") not in source.urls
