"""Seconds that ways of turning HTML into text take, on usual mail and on hostile documents.

    python benchmarks/html_to_text.py

Compares pylon_to_sqlite.text with the standard library's html.parser and, where it is installed,
selectolax. Each runs in a process of its own and is stopped after LIMIT seconds.
"""

import multiprocessing
import platform
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser

from pylon_to_sqlite.text import text_of

LIMIT = 30.0
MAIL = (
    "<div><p>Hello <b>Ann</b>,</p><p>since the update our exports fail&nbsp;&mdash; see below.</p>"
    "<ul><li>destination <code>warehouse</code></li><li>error <i>403</i></li></ul>"
    "<blockquote><p>On Monday you wrote: <a href='https://example.com'>all is well</a></p>"
    "</blockquote></div>"
)
DOCUMENTS = {
    "10,000 usual mails": [MAIL] * 10_000,
    "100,000 nested <div>": ["<div>" * 100_000 + "x"],
    "a tag of 50,000 attributes": ["<a " + " ".join(f"a{n}" for n in range(50_000)) + ">x"],
    "5,000 open <b>, then 4,000 <p>": ["<b>" * 5_000 + "<p>x</p>" * 4_000],
    "200,000 open comments": ["<!--" * 200_000],
    "200,000 open tags": ["<a " * 200_000],
}


def ours(documents: list[str]) -> None:
    for document in documents:
        text_of(document)


def standard_library(documents: list[str]) -> None:
    class Words(HTMLParser):
        def handle_data(self, data: str) -> None:
            pass

    for document in documents:
        parser = Words()
        parser.feed(document)
        parser.close()


def selectolax(documents: list[str]) -> None:
    from selectolax.lexbor import LexborHTMLParser

    for document in documents:
        root = LexborHTMLParser(document).root
        for _ in root.traverse(include_text=True) if root else ():
            pass


def seconds(way: Callable[[list[str]], None], documents: list[str]) -> str:
    process = multiprocessing.Process(target=way, args=(documents,))
    began = time.perf_counter()
    process.start()
    process.join(LIMIT)
    if process.is_alive():
        process.kill()
        process.join()
        return f"over {LIMIT:.0f}"
    return f"{time.perf_counter() - began:.2f}" if process.exitcode == 0 else "failed"


if __name__ == "__main__":
    ways = [ours, standard_library, selectolax]
    print(f"Python {platform.python_version()}, {platform.machine()}", file=sys.stderr)
    print("| document | " + " | ".join(way.__name__ for way in ways) + " |")
    print("|---|" + "---:|" * len(ways))
    for name, documents in DOCUMENTS.items():
        print(f"| `{name}` | " + " | ".join(seconds(way, documents) for way in ways) + " |")
