"""Which hosts files are fetched from: https and public ones only. Whoever can write to a support
desk can put an address into it, and the machine that mirrors may reach what they cannot."""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pylon_to_sqlite.errors import Refused, Unavailable

Resolver = Callable[[str, int], Sequence[str]]

LOCAL = ("localhost", "127.0.0.1", "::1")
HTTPS = 443

_ROUTED = ipaddress.ip_network("2000::/3")
# Addresses that lead to an IPv4 address, whichever that is.
_LEADING_ON = tuple(map(ipaddress.ip_network, ("2002::/16", "2001::/32")))


@dataclass(frozen=True)
class Target:
    """A host, and the very addresses of it that may be connected to."""

    host: str
    port: int
    addresses: tuple[str, ...]


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a host, as this machine finds them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def is_public(address: str) -> bool:
    """Whether an address is one of the internet's own: not of this machine, nor of a network
    around it, nor one that only leads to another."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_link_local:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        # Mapped addresses and those of NAT64 are outside of what is routed.
        return ip in _ROUTED and not any(ip in network for network in _LEADING_ON)
    return True


def target_of(url: str, resolve: Resolver, *, is_local: bool) -> Target:
    """Whom to connect to for an address. `is_local` says that Pylon's API is on this machine, as
    in a rehearsal: then its files may be, without TLS. Raises Refused, or Unavailable."""
    host, port, here = _parsed(url, is_local)
    try:
        found = resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"{host}: its address cannot be found ({error})") from None
    if here:
        allowed = [one for one in found if _is_loopback(one)]
    else:
        allowed = [one for one in found if is_public(one)]
    if not allowed:
        raise Refused(f"{host} is no public host: nothing is fetched from there")
    return Target(host, port, tuple(allowed))


def refusal(url: str, *, is_local: bool) -> str:
    """Why nothing is fetched from an address, as far as it tells itself; "" where it may be."""
    try:
        host, _, here = _parsed(url, is_local)
        ipaddress.ip_address(host)
    except Refused as error:
        return str(error)
    except ValueError:
        return ""
    return "" if here or is_public(host) else f"{host} is no public address"


def _parsed(url: str, is_local: bool) -> tuple[str, int, bool]:
    """Host, port, and whether it is this machine's."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Refused("it is no address") from None
    if parts.scheme == "http" and is_local and host in LOCAL:
        return host, port or 80, True
    if parts.scheme != "https":
        raise Refused("it is not at an https address")
    odd = not host or not host.isprintable() or any(sign in host for sign in " %\\")
    if odd or "@" in parts.netloc or port not in (None, HTTPS):
        raise Refused("it is at an address with an odd host, port or user")
    return host, HTTPS, False


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
