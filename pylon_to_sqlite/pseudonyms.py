"""Stable names in place of e-mail addresses, wherever these are: in text, HTML and JSON. Pure."""

import hmac
import re
from dataclasses import dataclass
from hashlib import sha256

from pylon_to_sqlite.addresses import Found, Replacing

# No address can be delivered to there, by RFC 2606.
DOMAIN = "pseudonym.invalid"
# After a bare percent sign a pseudonym looks as if it began with an encoded one.
_OURS = re.compile(r"(?:\A|%(?:25)*)[0-9a-f]{16}\Z")


@dataclass(frozen=True)
class Pseudonyms(Replacing):
    """Names in place of addresses: the same for the same address, as long as the `key` is."""

    key: bytes

    @property
    def fingerprint(self) -> str:
        """What tells this key from others, and not what it is."""
        return self._hash("pylon-to-sqlite")

    def asks_for(self, domain: str) -> bool:
        return "." in domain

    def instead(self, found: Found) -> str:
        pseudonym = self._hash(found.address)
        if found.domain == DOMAIN:
            written = found.before + found.local
            if _OURS.search(found.local) or _OURS.search(written):
                pseudonym = found.local
        return f"{pseudonym}{found.at}{DOMAIN}"

    def _hash(self, words: str) -> str:
        return hmac.new(self.key, words.encode(), sha256).hexdigest()[:16]
