"""Where Pylon's API is, and what may be sent there: addresses, paths and tokens."""

from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

from pylon_to_sqlite.errors import Unauthorized, Unusable

US = "https://api.usepylon.com"
EU = "https://api.eu.usepylon.com"
LOOPBACK = ip_network("127.0.0.0/8")


def url_of(token: str) -> str:
    """The API of the region that a token's prefix tells."""
    return EU if token.startswith("pylon_api_eu_") else US


def checked_url(url: str) -> str:
    """An address that a token may be sent to: https, or http on this machine. Raises Unusable."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.hostname))
        # An odd port raises; a name, a query or a fragment in it would not be an address alone.
        fine = fine and bool(parts.hostname) and parts.port != 0 and not set(url) & set(" \\#?@")
        fine = fine and url.isascii() and url.isprintable()
    except ValueError:
        fine = False
    if not fine:
        raise Unusable(f"{url!r} is no address for Pylon's API: it must begin with https://")
    return url.rstrip("/")


def _is_here(host: str | None) -> bool:
    """Whether this names the machine itself, beyond doubt: 0x7f.1 is for others to know."""
    if host in ("localhost", "::1"):
        return True
    try:
        return ip_address(host or "") in LOOPBACK
    except ValueError:
        return False


def checked_token(token: str) -> str:
    """A token that fits in a header. Raises Unauthorized, without showing it."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Unauthorized("the token is empty or holds characters that no token of Pylon's has")
    return token


def checked_path(path: str) -> str:
    """A path below the API's address. Raises Unusable for what could lead elsewhere."""
    segments = unquote(path).split("/")
    odd = not path.isascii() or not path.isprintable() or any(sign in path for sign in " \\?#")
    if not path.startswith("/") or path.startswith("//") or odd or {".", ".."} & set(segments):
        raise Unusable(f"{path!r} is no path of Pylon's API: it must begin with one /")
    return path
