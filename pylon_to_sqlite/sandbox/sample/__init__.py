"""The workspace of the demo: six months at the support desk of an imagined company.

Northwind Data sells Rillway, a product for data pipelines. What its customers and agents write
is text in `words/`; the modules here decide who writes it, and when.
"""

from __future__ import annotations

from random import Random

from ..workspace import Workspace
from .around import Surroundings
from .casting import Desk
from .office import customers, library, settings, staff, strangers
from .scripts import chunks

__all__ = ["fill"]

_SPAN = 26 * 7 * 86_400
_CONVERSATIONS = ("sources", "destinations", "running", "platform", "business", "special")


def fill(workspace: Workspace, *, now: float, seed: int = 7) -> None:
    """Seed `workspace` with about six months of a support desk's life ending at `now`."""
    random, start = Random(seed), now - _SPAN
    settings(workspace, start)
    team = staff(workspace, start, now)
    accounts = customers(workspace, team, random, now)
    others = strangers(workspace, start)
    library(workspace, team, random, now)
    scripts = [script for name in _CONVERSATIONS for script in chunks(f"conversations_{name}.txt")]
    Desk(workspace, team, accounts, others, random, start, now).play(scripts)
    Surroundings(workspace, team, accounts, Random(seed + 1), now).fill()
