"""Looks for what must be nowhere: in files, whole or packed, in outputs, in any of the ways in
which bytes are written down."""

import gzip
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote_from_bytes


def leaks(
    directory: Path, needles: Iterable[bytes], outputs: Iterable[str | bytes] = ()
) -> list[str]:
    """Where in the directory, in the names of its files, or in the outputs a needle stands: as it
    is, in any of UTF-8's and UTF-16's bytes, in base64, hex, an address or JSON, packed or not."""
    written = {needle: spellings(needle) for needle in needles}
    return [
        f"{place} has {needle.decode(errors='replace')} as {way}"
        for place, content in _places(directory, outputs)
        for needle, ways in written.items()
        for way, spelt in ways.items()
        if spelt in content
    ]


def spellings(needle: bytes) -> dict[str, bytes]:
    """How a needle can be written, in bytes that cannot come about otherwise."""
    text = needle.decode()
    ways = {
        "it is": needle,
        "hex": needle.hex().encode(),
        "HEX": needle.hex().upper().encode(),
        "UTF-16": text.encode("utf-16-le"),
        "an address": quote_from_bytes(needle, safe="").encode(),
        "an address with slashes": quote_from_bytes(needle).encode(),
        "JSON": text.encode("ascii", "backslashreplace"),
        "backwards": needle[::-1],
    }
    for before in range(3):
        coded = b64encode(bytes(before) + needle)
        # In the signs at its edges what stands beside it has a part.
        inner = coded[(0, 2, 3)[before] :].rstrip(b"=")[:-1]
        ways[f"base64, {before} bytes in"] = inner
        ways[f"base64 of addresses, {before} bytes in"] = inner.replace(b"+", b"-").replace(
            b"/", b"_"
        )
    return ways


def _places(directory: Path, outputs: Iterable[str | bytes]) -> Iterator[tuple[str, bytes]]:
    for at, output in enumerate(outputs):
        whole = output if isinstance(output, bytes) else output.encode("utf-8", "surrogatepass")
        yield f"output {at}", whole
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        yield f"the name of {name}", name.encode("utf-8", "surrogateescape")
        if path.is_file():
            content = path.read_bytes()
            yield name, content
            yield from ((f"{name}, unpacked", one) for one in _unpacked(content))


def _unpacked(content: bytes) -> Iterator[bytes]:
    try:
        yield gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return
