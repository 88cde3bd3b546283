"""Addresses of somebody in particular, wherever these are: found, and replaced by a mark. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from pylon_to_sqlite.addresses import Found, Replacing

IsOne = Callable[[str], bool]


@dataclass(frozen=True)
class Marking(Replacing):
    """A mark in place of each address that `is_one`, which is asked with addresses as `normal`
    gives them."""

    is_one: IsOne
    mark: str
    tries_each: ClassVar[bool] = True

    def instead(self, found: Found) -> str | None:
        return self.mark if self.is_one(found.address) else None


def addresses_in(text: str) -> set[str]:
    """The addresses in a text, each the longest that it can be."""
    found: set[str] = set()

    def take(address: str) -> bool:
        found.add(address)
        return True

    Marking(take, "").text(text)
    return found
