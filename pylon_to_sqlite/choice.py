"""What of a workspace a file mirrors: the streams that are on, and what of them. Pure."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pylon_to_sqlite.further_streams import CUSTOM_OBJECTS
from pylon_to_sqlite.plan import Saved
from pylon_to_sqlite.privacy import Privacy
from pylon_to_sqlite.pseudonyms import Pseudonyms
from pylon_to_sqlite.stream import Stream
from pylon_to_sqlite.streams import BY_NAME, STREAMS, with_parents

# What an issue type is called that means both.
BOTH = "all"


@dataclass(frozen=True)
class Choice(Saved):
    """What was asked for once and is remembered in the file: every stream, or those beyond the ones
    that are on anyway; streams that are left out, kinds of custom objects, and the one type of
    issues ("" for both) that is mirrored. Of what is mirrored, all that is not public, columns and
    lists (as table.name) may be left out, and addresses replaced: `pseudonyms` is the fingerprint
    of the key that tells by what."""

    everything: bool = False
    on: Sequence[str] = ()
    off: Sequence[str] = ()
    custom_objects: Sequence[str] = ()
    issue_type: str = ""
    public_only: bool = False
    excluded: Sequence[str] = ()
    pseudonyms: str = ""

    @classmethod
    def from_json(cls, text: str) -> "Choice":
        """Raises ValueError or TypeError for what is none: nobody is to guess what was wished."""
        state = json.loads(text)
        for name, usual in vars(cls()).items():
            given = state.get(name, usual) if isinstance(state, dict) else None
            are_words = isinstance(given, list) and all(isinstance(one, str) for one in given)
            if not ((are_words and isinstance(usual, tuple)) or type(given) is type(usual)):
                raise ValueError(f"{name} is {given!r}")
        return cls(**{name: state[name] for name in vars(cls()) if name in state})

    def with_wishes(
        self,
        names: Collection[str] = (),
        skip: Collection[str] = (),
        custom_objects: Collection[str] = (),
        issue_type: str | None = None,
        *,
        everything: bool = False,
    ) -> "Choice":
        """The choice after a run that names these streams, leaves others out, or takes all.

        What is named is no longer left out, and neither are its parents."""
        named = {stream.name for stream in with_parents(names)}
        named |= {CUSTOM_OBJECTS.name} if custom_objects else set()
        on = {*self.on, *(name for name in named if BY_NAME[name].is_optional)} - {*skip}
        off = {*skip} if everything else {*self.off} - named | {*skip}
        # Left out, they are to be named anew.
        known = () if CUSTOM_OBJECTS.name in skip else self.custom_objects
        kinds = dict.fromkeys((*known, *custom_objects))
        chosen = replace(
            self,
            everything=everything or self.everything,
            on=sorted(on),
            off=sorted(off - {CUSTOM_OBJECTS.name}),
            custom_objects=[*kinds],
        )
        if issue_type is None:
            return chosen
        return replace(chosen, issue_type="" if issue_type == BOTH else issue_type)

    def with_privacy(
        self, public_only: bool | None, exclude: Collection[str], include: Collection[str]
    ) -> "Choice":
        """The choice after a run that leaves these columns out, or takes them in again."""
        return replace(
            self,
            public_only=self.public_only if public_only is None else public_only,
            excluded=sorted({*self.excluded} - {*include} | {*exclude}),
        )

    def privacy(self, pseudonyms: Pseudonyms | None = None) -> Privacy:
        """What is left out of the records."""
        return Privacy(self.public_only, frozenset(self.excluded), pseudonyms)

    def left_out(self) -> list[str]:
        """What is left out of the records, in sentences."""
        told = []
        if self.public_only:
            told.append("Private notes are left out, with all that may be theirs.")
        if self.excluded:
            told.append(f"Left out: {', '.join(self.excluded)}.")
        if self.pseudonyms:
            told.append("E-mail addresses are replaced by pseudonyms.")
        return told

    def is_on(self, stream: Stream) -> bool:
        """Whether a run that names no streams reads it."""
        if stream.name in self.off or (stream.parent and not self.is_on(stream.parent)):
            return False
        if stream is CUSTOM_OBJECTS:
            return bool(self.custom_objects)
        return not stream.is_optional or self.everything or stream.name in self.on

    def streams(self, names: Collection[str] = ()) -> tuple[Stream, ...]:
        """What a run reads, in order: the streams of these names with their parents, or all that
        are on."""
        return with_parents(names) if names else tuple(filter(self.is_on, STREAMS))

    def values(self, stream: Stream) -> Sequence[str]:
        """What to ask for one after the other, of a stream whose parameter must be given."""
        return self.custom_objects if stream is CUSTOM_OBJECTS else stream.each[1]

    def holds_issue(self, type: object) -> bool:
        """Whether an issue of this type is mirrored; old ones have it capitalised."""
        return not self.issue_type or str(type or "").lower() == self.issue_type


def listing() -> list[dict[str, Any]]:
    """What there is to choose from: every stream, and what it costs."""
    return [
        {
            "stream": stream.name,
            "table": stream.name,
            "parent": stream.parent and stream.parent.name,
            "endpoint": f"{stream.method} {stream.path}",
            "kept": stream.kept,
            "requests": stream.cost,
            "is_on": Choice().is_on(stream),
            "link_tables": [link.table for link in stream.links],
        }
        for stream in STREAMS
    ]
