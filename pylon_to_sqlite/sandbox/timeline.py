"""Keys in order of a time, which is what a keyset cursor walks along."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

Position = tuple[int, str]
"""Milliseconds and a key: where a record stands, whether or not it is still there."""


class Timeline:
    """Keys in order of their time, and of the key itself where times are equal.

    Moves are only noted, and carried out at the next reading: a million replies written in one
    go then cost one sort, while a single change between two readings costs one insertion.
    """

    def __init__(self) -> None:
        self._times: dict[str, int] = {}
        self._ordered: list[Position] = []
        self._moved: dict[str, int | None] = {}  # key -> the time it is still filed under

    def __len__(self) -> int:
        return len(self._times)

    def put(self, key: str, ms: int) -> None:
        """File a key under a time, in place of the one it had."""
        self._moved.setdefault(key, self._times.get(key))
        self._times[key] = ms

    def drop(self, key: str) -> None:
        """Take a key out."""
        self._moved.setdefault(key, self._times.pop(key))

    def newest(self, before: Position | None = None) -> Iterator[Position]:
        """Positions from the newest back, from the first one older than `before`."""
        ordered = self._settled()
        end = len(ordered) if before is None else bisect_left(ordered, before)
        return (ordered[index] for index in range(end - 1, -1, -1))

    def between(self, start_ms: int, end_ms: int) -> list[Position]:
        """Positions from `start_ms` to `end_ms`, both included."""
        ordered = self._settled()
        start, end = bisect_left(ordered, (start_ms, "")), bisect_left(ordered, (end_ms + 1, ""))
        return ordered[start:end]

    def _settled(self) -> list[Position]:
        if len(self._moved) * 8 > len(self._times):
            self._ordered = sorted((ms, key) for key, ms in self._times.items())
        else:
            for key, filed in self._moved.items():
                if filed is not None:
                    del self._ordered[bisect_left(self._ordered, (filed, key))]
                if key in self._times:
                    insort(self._ordered, (self._times[key], key))
        self._moved.clear()
        return self._ordered
