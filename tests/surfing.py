"""What the tests of pages share: a Datasette over a file, in this process, and reading its HTML."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
from datasette.app import Datasette
from jinja2 import FileSystemBytecodeCache

IS_1 = hasattr(Datasette, "allowed")
"""Whether it is Datasette 1.0, of which there are only alphas; else 0.65."""


def visit(
    paths: Path | Sequence[Path], *wanted: str, actor: dict[str, str] | None = None, **options: Any
) -> list[Any]:
    """The answers of a Datasette over these files, started for this; `options` are Datasette's."""
    files = [paths] if isinstance(paths, Path) else paths

    async def fetch() -> list[Any]:
        datasette = Datasette(**{"files": [str(path) for path in files], **options})
        _remember_templates(datasette)
        await datasette.invoke_startup()
        cookies = {"ds_actor": datasette.sign({"a": actor}, "actor")} if actor else {}
        return [await datasette.client.get(one, cookies=cookies) for one in wanted]

    return asyncio.run(fetch())


def _remember_templates(datasette: Any) -> None:
    """Compiling them is most of what a Datasette does that is asked for one page."""
    environment = datasette._jinja_env if IS_1 else datasette.jinja_env
    environment.bytecode_cache = FileSystemBytecodeCache()


def page(path: Path, wanted: str, **options: Any) -> str:
    """One page that is there."""
    (answer,) = visit(path, wanted, **options)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def tree(text: str) -> Element:
    """A page as a browser reads it."""
    found: Element = html5lib.parse(text, namespaceHTMLElements=False)
    return found


def by_class(element: Element, name: str) -> list[Element]:
    """All elements of a class, in order."""
    return [one for one in element.iter() if name in (one.get("class") or "").split()]


def words(element: Element) -> str:
    """What stands in an element, with blanks as one."""
    return " ".join("".join(element.itertext()).split())


def links(element: Element) -> Iterator[tuple[str, str]]:
    """(words, address) of all links."""
    for one in element.iter("a"):
        yield words(one), one.get("href") or ""
