"""A token in words that are shown, written or sent on: whole, in part, encoded."""

import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest

from pylon_to_sqlite.secrecy import Secret

TOKEN = 'pylon_api_eu_4f9c<1+b7/e2d8"a&6'
OWN = TOKEN.removeprefix("pylon_api_eu_")


def in_html(text: str) -> str:
    return "".join(f"&#{ord(sign)};" for sign in text)


REPEATED = {
    "whole": TOKEN,
    "twice": f"{TOKEN}, {TOKEN}",
    "header": f"Authorization: Bearer {TOKEN}",
    "address": quote(TOKEN, safe=""),
    "address, small letters": quote(TOKEN, safe="").lower(),
    "all of it as in an address": "".join(f"%{ord(sign):02X}" for sign in TOKEN),
    "html, in part": TOKEN.replace("<", "&#60;").replace('"', "&#x0022;").replace("&6", "&#38;6"),
    "html, all": in_html(TOKEN),
    "json": json.dumps(TOKEN).replace("<", "\\u003c"),
    "json in json": json.dumps(json.dumps(TOKEN).replace("<", "\\u003c").replace("/", "\\/")),
    "repr": repr(TOKEN.encode()),
    "hex": TOKEN.encode().hex(),
    "base64": b64encode(TOKEN.encode()).decode(),
    "base64 of the header": b64encode(f"Bearer {TOKEN}".encode()).decode(),
    "base64 within": b64encode(f"user:{TOKEN}!".encode()).decode(),
    "base64 within, elsewhere": urlsafe_b64encode(f"xuser:{TOKEN}!".encode()).decode(),
    "begun": TOKEN[:-4] + "…",
    "its end": "…" + TOKEN[-14:],
    "its middle": f"**{OWN[2:15]}**",
}


@pytest.mark.parametrize("words", REPEATED.values(), ids=REPEATED)
def test_what_repeats_a_token_shows_none_of_it(words: str) -> None:
    told = Secret(TOKEN).hide(f"before {words} after")
    assert told.startswith("before ")
    assert told.endswith(" after")
    assert "…" in told
    # Of whatever was there no part is left.
    kept = told.removeprefix("before ").removesuffix(" after")
    for at in range(len(words) - 11):
        part = words[at : at + 12]
        assert part not in kept or not set(part) - set("Authorization: Bearer pylon_api_eu_, b'")


@pytest.mark.parametrize(
    "words", ["", "no token is here", "pylon_api_eu_", "%41%zz\\u00", "4f9c", "&#999;", "a" * 999]
)
def test_other_words_stay_as_they_are(words: str) -> None:
    assert Secret(TOKEN).hide(words) == words


def test_a_word_of_a_short_token_is_no_secret() -> None:
    secret = Secret("pylon_api_sandbox")
    assert secret.hide("a sandbox, pylon_api_sandbox") == "a sandbox, …"
    assert Secret("short").taken_out(b"a short word") == b"a short word"


def test_an_answer_is_without_it() -> None:
    body = json.dumps({"a": f"my token is pylon_api_0123456789, {'x' * 9}"}).encode()
    taken = Secret("pylon_api_0123456789").taken_out(body)
    assert json.loads(taken) == {"a": "my token is …, xxxxxxxxx"}


def test_it_is_not_in_its_own_description() -> None:
    assert TOKEN not in repr(Secret(TOKEN))
