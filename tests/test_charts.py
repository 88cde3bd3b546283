"""Charts: what they draw is what they are given, and it can be read without seeing them."""

from itertools import pairwise
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from pylon_to_sqlite.plugin.charts import HEIGHT, WIDTH, bar, columns, line, nice, number, swatch


def drawn(markup: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(markup)


def heights(found: ElementTree.Element, name: str) -> list[float]:
    return [float(one.get("height") or 0) for one in found.iter("rect") if one.get("class") == name]


def test_columns_are_as_high_as_their_figures() -> None:
    found = drawn(
        columns(
            ["1 Jun", "8 Jun", "15 Jun"], [[10, 0, 20], [5, 40, 20]], title="T", description="D"
        )
    )
    whole = HEIGHT - 32
    assert heights(found, "first") == pytest.approx([whole / 4, whole / 2], abs=0.1)
    assert heights(found, "second") == pytest.approx([whole / 8, whole, whole / 2], abs=0.1)
    assert [one.text for one in found.iter("title")] == [
        "T",
        "1 Jun: 15",
        "8 Jun: 40",
        "15 Jun: 40",
    ]
    assert [one.text for one in found.iter("desc")] == ["D"]
    assert found.get("role") == "img"
    # Each stands on the one below it.
    for group in found.iter("g"):
        bottom = HEIGHT - 22.0
        for rect in group.iter("rect"):
            bottom -= float(rect.get("height") or 0)
            assert float(rect.get("y") or 0) == pytest.approx(bottom, abs=0.15)


@pytest.mark.parametrize("many", [1, 4, 12, 26, 52])
def test_nothing_is_drawn_outside_and_labels_have_room(many: int) -> None:
    labels = [f"{n} Jun" for n in range(many)]
    for found in (
        drawn(columns(labels, [[7.0] * many], title="", description="")),
        drawn(
            line(
                labels,
                [7.0] * many,
                ticks={0: "0", 7: "7"},
                words=labels,
                title="",
                description="",
            )
        ),
    ):
        for one in found.iter("rect"):
            right = float(one.get("x") or 0) + float(one.get("width") or 0)
            assert float(one.get("x") or 0) >= 30
            assert right <= WIDTH
        places = sorted(
            float(one.get("x") or 0)
            for one in found.iter("text")
            if one.get("text-anchor") == "middle"
        )
        assert places
        assert all(40 < place < WIDTH for place in places)
        assert all(b - a > 40 for a, b in pairwise(places))


def test_a_line_has_gaps_where_there_is_no_figure() -> None:
    found = drawn(
        line(
            ["a", "b", "c", "d"],
            [1, None, 2, 4],
            ticks={0: "0 h", 4: "4 h"},
            words=["one", "", "two", "four"],
            title="T",
            description="D",
        )
    )
    (path,) = found.iter("path")
    commands = [word[0] for word in str(path.get("d")).split() if word[0].isalpha()]
    assert commands == ["M", "M", "L"]
    assert [one.text for one in found.iter("title")] == ["T", "a: one", "c: two", "d: four"]
    lowest, _, highest = (float(one.get("cy") or 0) for one in found.iter("circle"))
    assert (lowest, highest) == (pytest.approx(HEIGHT - 22 - 32), pytest.approx(10))


def test_no_figures_at_all() -> None:
    assert list(drawn(columns([], [[], []], title="T", description="D")).iter("rect")) == []
    found = drawn(line([], [], ticks={0: "0", 2: "2"}, words=[], title="T", description="D"))
    assert list(found.iter("circle")) == []
    empty = drawn(columns(["a"], [[0], [0]], title="T", description="D"))
    assert list(empty.iter("rect")) == []


def test_words_are_escaped() -> None:
    evil = "<script>alert(1)</script>\"'&"
    found = drawn(columns([evil], [[1]], title=evil, description=evil))
    assert {one.tag for one in found.iter()} <= {
        *("svg", "title", "desc", "g", "rect", "line", "text")
    }
    assert next(found.iter("title")).text == evil
    assert next(found.iter("desc")).text == evil


@pytest.mark.parametrize(
    ("share", "width"), [(0, "0.0"), (0.5, "50.0"), (1, "100.0"), (7, "100.0"), (-1, "0.0")]
)
def test_a_bar(share: float, width: str) -> None:
    *_, rect = drawn(bar(share)).iter("rect")
    assert rect.get("width") == width


def test_series_are_told_apart_by_their_swatches() -> None:
    assert swatch(0) != swatch(1)


@pytest.mark.parametrize(
    ("largest", "end"),
    [
        (0, 2),
        (1, 2),
        (2, 2),
        (3, 4),
        (7, 8),
        (9, 10),
        (11, 12),
        (13, 16),
        (17, 20),
        (39, 40),
        (45, 60),
        (101, 120),
    ],
)
def test_an_axis_ends_at_a_round_figure(largest: float, end: float) -> None:
    assert nice(largest) == end


def test_figures_as_people_write_them() -> None:
    assert [number(one) for one in (0, 2.5, 1000, 1234.56)] == ["0", "2.5", "1,000", "1,234.6"]
