"""The pages in a real browser, which alone knows what runs and what is loaded."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import CHROMIUM, Browser, browser, served
from conftest import FakeClock
from desk import open_desk
from mirroring import DAY
from test_conversation import planted
from test_sanitise import PAYLOADS

from pylon_to_sqlite.sandbox.api import Api
from pylon_to_sqlite.sandbox.workspace import Workspace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def sample(pylon_db: Path) -> Iterator[str]:
    with served(pylon_db) as url:
        yield url


@pytest.fixture
def page() -> Iterator[Browser]:
    with browser() as page:
        yield page


SIZES = [(360, False), (1280, False), (1280, True)]


@pytest.mark.parametrize(("width", "is_dark"), SIZES)
@pytest.mark.parametrize("wanted", ["/pylon/-/pylon", "/pylon/-/conversation/227"])
def test_a_page_fits_its_screen(
    sample: str, page: Browser, wanted: str, width: int, is_dark: bool
) -> None:
    page.show(width, 900, is_dark=is_dark)
    page.open(sample + wanted)
    assert page.ask("document.documentElement.scrollWidth") <= width
    assert page.complaints == []
    assert {url.partition("?")[0].removeprefix(sample) for url in page.requests} == {
        wanted,
        "/-/static-plugins/pylon-to-sqlite/pages.css",
    }
    # The style is ours, and follows the reader's choice.
    paper = page.ask("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(20, 23, 27)" if is_dark else "rgb(247, 247, 245)")


def test_from_the_overview_to_a_conversation(sample: str, page: Browser) -> None:
    """What somebody does in the first five minutes: choose, search, read."""
    page.open(f"{sample}/pylon/-/pylon")
    before = page.ask("document.querySelector('.tile .value').textContent")
    page.submit(".filters", type="ticket", weeks="26")
    assert page.ask("location.search") == "?team=&account=&type=ticket&weeks=26"
    assert page.ask("document.querySelector('[name=type]').value") == "ticket"
    assert page.ask("document.querySelector('.tile .value').textContent") != before
    name = page.ask("document.querySelector('.find input').name")
    page.submit(".find", **{name: "refresh token"})
    page.click("a[href*='/-/conversation/']")
    assert page.ask("document.querySelectorAll('.message').length") > 1
    assert "token" in page.ask("document.querySelector('.thread').textContent")
    page.click(".crumbs a:last-of-type")
    assert page.ask("location.pathname") == "/pylon/-/pylon"


def test_the_search_box_of_datasette_finds_words(sample: str, page: Browser) -> None:
    page.open(f"{sample}/pylon/issue_messages")
    page.ask("document.querySelector('[name=_search]').value = 'refresh token'")
    page.ask("document.querySelector('[name=_search]').form.querySelector('[type=submit]').click()")
    page.wait()
    assert page.ask("document.querySelectorAll('table.rows-and-columns tbody tr').length") > 0
    assert page.ask("document.querySelectorAll('a[href*=\"/-/conversation/\"]').length") > 0


def test_a_query_opens_with_its_chart(sample: str, page: Browser) -> None:
    """From the card of the overview that it belongs to."""
    page.open(f"{sample}/pylon/-/pylon")
    page.click("a[href*='/volume_by_week']")
    assert page.ask("location.hash").startswith("#g.mark=")
    page.wait_for("svg.marks, canvas.marks")
    assert page.ask("document.querySelectorAll('table.rows-and-columns tbody tr').length") > 10


def test_words_are_found_everywhere_and_lead_to_the_conversation(
    sample: str, page: Browser
) -> None:
    page.open(f"{sample}/pylon/search_everywhere?words=refresh+token")
    assert page.ask("document.querySelectorAll('table.rows-and-columns tbody tr').length") > 3
    page.click("a[href*='/-/conversation/']")
    assert "token" in page.ask("document.querySelector('.thread').textContent")


def test_nothing_that_strangers_wrote_runs_or_is_loaded(tmp_path: Path, page: Browser) -> None:
    path, clock = tmp_path / "pylon.db", FakeClock()
    workspace = Workspace(clock)
    desk = open_desk(workspace)
    clock.sleep(DAY)
    planted(path, desk, Api(workspace, allowance=None), clock, *PAYLOADS.values())
    with served(path) as url:
        for wanted in ("/pylon/-/conversation/5", "/pylon/-/pylon"):
            page.open(url + wanted)
            assert page.ask("document.querySelector('main') !== null")
    assert page.dialogs == []
    # Not even tried: the policy had nothing to forbid.
    assert page.complaints == []
    assert [one for one in page.requests if not one.startswith(f"{url}/")] == []


def test_the_policy_forbids_what_a_page_should_not_do(sample: str, page: Browser) -> None:
    """Were the rest to fail, the browser itself would still refuse."""
    page.open(f"{sample}/pylon/-/conversation/227")
    page.ask(
        "new Promise(done => { addEventListener('error', done, true);"
        " document.querySelector('main').innerHTML = `<img src='https://evil.example/x'"
        " onerror='alert(1)'><p style='position:fixed'>x</p><iframe src='/'></iframe>` })"
    )
    assert page.dialogs == []
    said = "\n".join(page.complaints)
    for what in ("image", "inline event handler", "inline style"):
        assert re.search(rf"{what}.*Content Security Policy", said), said
    assert page.ask("getComputedStyle(document.querySelector('main p')).position") == "static"
