"""Addresses of somebody in particular, wherever these are: found, and replaced by a mark. Pure."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar

from pylon_to_sqlite.addresses import Found, Replacing

IsOne = Callable[[str], bool]


@dataclass(frozen=True)
class Marking(Replacing):
    """A mark in place of each address that `is_one`, which is asked with addresses as `normal`
    gives them; of these `domains` alone, where they are known, which is faster."""

    is_one: IsOne
    mark: str
    domains: Collection[str] | None = None
    tries_each: ClassVar[bool] = True

    def asks_for(self, domain: str) -> bool:
        return self.domains is None or domain in self.domains

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
