"""A record as Pylon gives it, and the rows it becomes."""

import json
import sqlite3
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon_to_sqlite.errors import Unexpected
from pylon_to_sqlite.rows import rows_of
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.streams import BY_NAME, STREAMS
from pylon_to_sqlite.values import utc

RECORDS = Path(__file__).parent / "records"


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_real_record_gives_exactly_these_rows(stream: Stream) -> None:
    """records/<stream>.json, read by eye; a stream without one fails here."""
    expected = json.loads((RECORDS / f"{stream.name}.json").read_text(encoding="utf-8"))
    rows = rows_of(stream, expected["record"], expected.get("given"))
    assert rows.row == expected["row"]
    assert rows.links == expected["links"]
    assert [list(one) for one in rows.references] == expected["references"]


def row(stream: str, **record: Any) -> dict[str, Any]:
    return rows_of(BY_NAME[stream], {"id": "x", **record}).row


def extra(stream: str, **record: Any) -> dict[str, Any]:
    """What a record gives beyond the columns of its stream."""
    declared = {column.name for column in BY_NAME[stream].columns}
    return {name: value for name, value in row(stream, **record).items() if name not in declared}


@pytest.mark.parametrize("unset", [None, "", [], {}])
def test_unset_is_null_however_it_comes(unset: Any) -> None:
    fields = {"name": unset, "emails": unset, "account": unset, "portal_role": unset}
    assert row("contacts", **fields) == row("contacts")


@pytest.mark.parametrize(
    ("given_time", "stored"),
    [
        ("2026-07-01T00:00:00Z", "2026-07-01T00:00:00Z"),
        ("2026-07-01T00:00:00.120Z", "2026-07-01T00:00:00.120Z"),
        ("2026-07-01T00:00:00.123456789Z", "2026-07-01T00:00:00.123456789Z"),
        ("2026-07-01T02:00:00+02:00", "2026-07-01T00:00:00Z"),
        ("2026-06-30T18:30:00.5-0530", "2026-07-01T00:00:00.5Z"),
        ("2026-07-01t00:00:00z", "2026-07-01T00:00:00Z"),
        ("2026-07-01 00:00:00+00:00", "2026-07-01T00:00:00Z"),
        ("0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00+01:00"),
        ("2026-07-01", "2026-07-01"),
        ("soon", "soon"),
        ("2026-13-01T00:00:00+01:00", "2026-13-01T00:00:00+01:00"),
    ],
)
def test_times_are_utc_with_the_fraction_they_came_with(given_time: str, stored: str) -> None:
    assert utc(given_time) == stored
    assert row("issues", created_at=given_time)["created_at"] == stored


@pytest.mark.parametrize(
    ("field", "column"),
    [
        ({"mood": "good"}, {"mood": "good"}),
        ({"size": 3}, {"size": 3}),
        ({"share": 0.5}, {"share": 0.5}),
        ({"is_vip": True}, {"is_vip": 1}),
        ({"is_vip": False}, {"is_vip": 0}),
        ({"mood": None}, {}),
        ({"mood": []}, {}),
        ({"parent": {"id": "p"}}, {"parent_id": "p"}),
        ({"parent": {"id": "p", "name": "P"}}, {"parent": '{"id": "p", "name": "P"}'}),
        ({"list": [2, 1]}, {"list": "[2, 1]"}),
        ({"map": {"b": 1, "a": 2}}, {"map": '{"a": 2, "b": 1}'}),
        ({"seen_at": "2026-07-01T02:00:00+02:00"}, {"seen_at": "2026-07-01T00:00:00Z"}),
        ({"quote": "2026-07-01T02:00:00+02:00"}, {"quote": "2026-07-01T02:00:00+02:00"}),
        ({'a"b.c d': 1}, {'a"b.c d': 1}),
        ({"": 1}, {"_": 1}),
        ({"synced_at": "mine"}, {"synced_at_": "mine"}),
        ({"Deleted_At": "mine"}, {"Deleted_At_": "mine"}),
        ({"rowid": 7}, {"rowid_": 7}),
        ({"NAME": "upper"}, {"NAME_": "upper"}),
        ({"mood": 1, "Mood": 2}, {"Mood": 2, "mood_": 1}),
        ({"n": "a\x00b\ud83dc"}, {"n": "a\ufffdb\ufffdc"}),
        ({"big": 2**70}, {"big": str(2**70)}),
    ],
)
def test_a_field_nobody_knew_is_kept(field: dict[str, Any], column: dict[str, Any]) -> None:
    assert extra("teams", **field) == column


@pytest.mark.parametrize(
    ("value", "beside"),
    [
        *((7, None), ("7", None), ("seven", None), (7.0, None), (0.5, None), (2**63 - 1, None)),
        *(("007", "007"), (" 7", " 7"), ("1e3", "1e3"), (2**63, str(2**63)), ("7.0", "7.0")),
    ],
)
def test_what_a_column_of_numbers_would_change_is_kept_beside_it(
    value: Any, beside: str | None
) -> None:
    assert extra("issues", number=value).get("number_") == beside


@pytest.mark.parametrize(
    "text", ["1" * 10**6 + "x", " " * 10**6, "1." + "0" * 10**6 + "e", "1e" * 9]
)
def test_a_text_that_is_nearly_a_number_is_looked_at_once(text: str) -> None:
    """Reading it again from each of its digits on would take hours."""
    assert extra("issues", number=text) == {}
    assert row("issues", number=text)["number"] == text


def test_fields_that_differ_in_case_alone_are_told_apart_however_many() -> None:
    """By underscores as long as there are few: each more would be one sign longer for ever."""
    names = ["".join(letters) for letters in product(*zip("moodswing", "MOODSWING", strict=True))]
    found = extra("teams", **{name: name for name in names})
    assert sorted(found.values()) == sorted(names)
    assert len({name.lower() for name in found}) == len(names) == 512
    assert max(map(len, found)) < 40


def test_what_a_reference_says_beyond_the_record_it_names_is_kept() -> None:
    assert extra("contacts", account={"id": "a", "name": "Quarry", "since": 2020}) == {
        "account_since": 2020
    }
    references = rows_of(
        BY_NAME["contacts"], {"id": "x", "account": {"id": "a", "name": "Quarry"}}
    ).references
    assert [tuple(one) for one in references] == [("accounts", {"id": "a", "name": "Quarry"})]


def test_a_reference_without_an_id_keeps_what_it_says() -> None:
    record = {"id": "x", "requester": {"email": "a@b.example"}, "account": {"name": "Quarry"}}
    rows = rows_of(BY_NAME["issues"], record)
    assert rows.references == []
    assert rows.row["requester_email"] == "a@b.example"
    assert rows.row["requester_id"] is None
    assert rows.row["account_name"] == "Quarry"


def test_an_author_who_is_only_a_name_and_new_facts_of_an_author_are_kept() -> None:
    message = {"id": "x", "author": {"name": "Helper", "kind": "ai", "user": {"email": "e"}}}
    got = rows_of(BY_NAME["issue_messages"], message, {"issue_id": "i"}).row
    assert got["author_name"] == "Helper"
    assert got["author_kind"] == "ai"
    assert got["author_user_email"] == "e"
    assert got["author_user_id"] is got["author_contact_id"] is None


def test_a_reference_that_comes_flat_fills_the_same_column() -> None:
    rows = rows_of(BY_NAME["users"], {"id": "x", "role_id": "r"})
    assert rows.row["role_id"] == "r"
    assert [tuple(one) for one in rows.references] == [("user_roles", {"id": "r"})]
    both = rows_of(BY_NAME["users"], {"id": "x", "role": {"id": "r"}, "role_id": "other"})
    assert (both.row["role_id"], both.row["role_id_"]) == ("r", "other")


def test_the_parent_that_was_asked_for_is_the_parent() -> None:
    thread = {"id": "x", "issue_id": "merged-away"}
    got = rows_of(BY_NAME["issue_threads"], thread, {"issue_id": "i"}).row
    assert (got["issue_id"], got["issue_id_"]) == ("i", "merged-away")
    thread = {"id": "x", "issue_id": "i"}
    assert "issue_id_" not in rows_of(BY_NAME["issue_threads"], thread, {"issue_id": "i"}).row


def test_a_record_says_itself_what_it_is_a_field_of() -> None:
    """A server that ignores the parameter answers for all types at once."""
    record = {"id": "x", "object_type": "account"}
    assert rows_of(BY_NAME["custom_fields"], record, {"object_type": "issue"}).row[
        "object_type"
    ] == ("account")
    assert (
        rows_of(BY_NAME["custom_fields"], {"id": "x"}, {"object_type": "issue"}).row["object_type"]
        == "issue"
    )


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("bug", '"bug"'),
        (7, "7"),
        ({"value": "bug"}, '{"value": "bug"}'),
        ([["bug"], None, "bug", 5], '[["bug"], null, "bug", 5]'),
    ],
)
def test_a_list_that_comes_in_another_shape_is_kept_as_valid_json(value: Any, kept: str) -> None:
    """Facets fail on a column that holds anything else."""
    assert row("issues", tags=value)["tags"] == kept


def test_a_link_that_comes_in_another_shape_is_kept_in_a_column() -> None:
    assert extra("issues", csat_responses={"score": 1}) == {"csat_responses": '{"score": 1}'}
    assert extra("issues", custom_fields=["a"]) == {"custom_fields": '["a"]'}


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ({"value": "a"}, ["a"]),
        ({"value": "a", "values": None}, ["a"]),
        ({"value": "", "values": ["a", "b"]}, ["a", "b"]),
        ({"value": "a", "values": ["a", "b"]}, ["a", "b"]),
        ({"value": "c", "values": ["a", "a"]}, ["a", "a", "c"]),
        ({"value": ""}, []),
        ({"value": "", "slug": "a.b"}, []),
        ({"value": "", "interpreted_value": "7"}, [None]),
        ({}, []),
        (None, []),
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ({"value": {"deep": 1}}, ['{"deep": 1}']),
    ],
)
def test_custom_fields_are_one_row_a_value(field: Any, values: list[str]) -> None:
    rows = rows_of(BY_NAME["issues"], {"id": "x", "custom_fields": {"a.b": field}})
    found = rows.links["issue_custom_fields"]
    assert [(one["slug"], one["position"], one["value"]) for one in found] == [
        ("a.b", position, value) for position, value in enumerate(values)
    ]


def test_what_a_list_tells_when_it_names_one_again_is_kept() -> None:
    users = [{"id": "u", "mood": "good"}, {"id": "u"}, {"id": "u", "mood": "bad"}, "u"]
    (one,) = rows_of(BY_NAME["teams"], {"id": "t", "users": users}).links["team_members"]
    assert one == {"team_id": "t", "user_id": "u", "mood": "good", "repeated": '[{"mood": "bad"}]'}
    (one,) = rows_of(BY_NAME["teams"], {"id": "t", "users": users[:2]}).links["team_members"]
    assert one == {"team_id": "t", "user_id": "u", "mood": "good"}


def test_slugs_that_sqlite_cannot_tell_apart_lose_no_value() -> None:
    record = {"id": "x", "custom_fields": {"a\x00": {"value": "1"}, "a\ufffd": {"value": "2"}}}
    found = rows_of(BY_NAME["issues"], record).links["issue_custom_fields"]
    kept = [(one["slug"], one["position"], one["value"]) for one in found]
    assert kept == [("a\ufffd", 0, "1"), ("a\ufffd", 1, "2")]


def test_custom_field_keeps_what_nobody_knew() -> None:
    record = {"id": "x", "custom_fields": {"a": {"value": "1", "unit": "kg"}}}
    (one,) = rows_of(BY_NAME["issues"], record).links["issue_custom_fields"]
    assert one["unit"] == "kg"


@pytest.mark.parametrize(
    "record", [{}, {"id": None}, {"id": ""}, {"id": []}, {"id": {"x": 1}}, "x", 7, None, ["id"]]
)
def test_a_record_without_its_key_is_refused_and_its_words_are_not_shown(record: Any) -> None:
    if isinstance(record, dict):
        record = {**record, "title": "customer's secret"}
    with pytest.raises(Unexpected) as caught:
        rows_of(BY_NAME["issues"], record)
    assert "secret" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    sorted(
        {column.path.split(".")[0] for s in STREAMS for column in s.columns if column.path}
        | {"custom_fields", "csat_responses", "users", "external_ids", "ID", "synced_at"}
    )
)


@given(
    stream=st.sampled_from(STREAMS),
    record=st.dictionaries(NAMES | st.text(max_size=5), JSON, max_size=8),
)
def test_any_json_becomes_rows_that_sqlite_can_hold_or_is_refused(
    stream: Stream, record: dict[str, Any]
) -> None:
    try:
        rows = rows_of(stream, record, {stream.owner: "p"} if stream.owner else None)
    except Unexpected:
        return
    every = [rows.row, *(one for link in rows.links.values() for one in link)]
    every += [one.row for one in rows.references]
    connection = sqlite3.connect(":memory:")
    for one in every:
        names = [name.lower() for name in one]
        assert len(names) == len(set(names))
        marks = ", ".join("?" * len(one))
        assert connection.execute(f"SELECT {marks}", list(one.values())).fetchone() == tuple(
            one.values()
        )
