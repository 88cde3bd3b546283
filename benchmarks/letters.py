"""Messages as support desks see them, in HTML: a handful of shapes, varied words."""

from random import Random

_GREETINGS = ("Hi", "Hello", "Hi team", "Good morning", "Hey there", "Dear support")
_CLOSINGS = ("Best", "Thanks", "Kind regards", "Cheers", "Many thanks")
_NAMES = ("Ada", "Bruno", "Chiara", "Dmitri", "Esi", "Farah", "Goran", "Hana", "Ivo", "Jun")
_TITLES = ("Data Engineer", "Support Engineer", "Head of Operations", "Analyst", "CTO")
_WHO = ("we", "our team", "the customer", "I", "finance", "one of our admins", "your colleague")
_DID = (
    "noticed that", "can confirm that", "still see that", "wonder why", "was told that",
    "found out that", "would like to know whether", "checked again and",
)  # fmt: skip
_WHAT = (
    "the nightly export", "the invoice of last month", "single sign-on", "the webhook for orders",
    "the connector to our warehouse", "the audit page", "the import of 12,000 contacts",
    "the new dashboard", "the API token", "the sandbox environment",
)  # fmt: skip
_HAPPENS = (
    "stopped working", "takes longer than before", "shows an error", "is missing some rows",
    "asks for a second confirmation", "was changed without a notice", "works again",
    "returns a timeout after thirty seconds", "does not match the documentation",
)  # fmt: skip
_WHEN = (
    "since the update on Tuesday.", "for two of our workspaces.", "although nothing was changed.",
    "whenever more than one person uses it.", "in production, but not in staging.",
    "and this blocks our month-end closing.", "&mdash; is that expected?", "as you suggested.",
)  # fmt: skip
_ENDINGS = ("", "", "<br>", "&nbsp;", " <strong>This is urgent for us.</strong>")


class Letters:
    """Writes messages, each time others; the same ones for the same seed.

    Paragraphs come from a pool that is made once, which is what makes a million messages cheap.
    """

    def __init__(self, seed: int, pool: int = 3_000) -> None:
        self._random = Random(seed)
        self._paragraphs = [self._new_paragraph() for _ in range(pool)]

    def title(self) -> str:
        """The title of an issue."""
        choice = self._random.choice
        return f"{choice(_WHAT)} {choice(_HAPPENS)}".capitalize()

    def message(self, number: int) -> str:
        """One message; `number` stands in its words and links."""
        random = self._random
        chance = random.random()
        parts = [f"<p>{random.choice(_GREETINGS)},</p>"]
        parts += random.choices(self._paragraphs, k=random.choice((1, 1, 2, 2, 3, 4, 6)))
        if chance < 0.25:
            parts.append(self._list(number))
        if chance > 0.55:
            parts.append(self._link(number))
        if chance > 0.7:
            parts.append(self._quote(number))
        if random.random() < 0.6:
            parts.append(self._signature())
        return f"<div>{''.join(parts)}</div>"

    def _new_paragraph(self) -> str:
        sentences = [self._sentence() for _ in range(self._random.choice((1, 1, 2, 3)))]
        return f"<p>{' '.join(sentences)}{self._random.choice(_ENDINGS)}</p>"

    def _sentence(self) -> str:
        parts = [self._random.choice(words) for words in (_WHO, _DID, _WHAT, _HAPPENS, _WHEN)]
        return " ".join(parts).capitalize()

    def _list(self, number: int) -> str:
        items = (f"<li>run {number + at}: <code>error {400 + at}</code></li>" for at in range(3))
        return f"<ul>{''.join(items)}</ul>"

    def _link(self, number: int) -> str:
        address = f"https://docs.northwind.example/articles/{number % 997}?ref=mail&amp;n={number}"
        return f'<p>See <a href="{address}" target="_blank">the page on this</a>.</p>'

    def _quote(self, number: int) -> str:
        quoted = self._random.choice(self._paragraphs)
        who = self._random.choice(_NAMES)
        return (
            f'<div class="gmail_quote"><div dir="ltr">On day {number % 365}, {who} wrote:<br></div>'
            f'<blockquote style="margin:0 0 0 .8ex;padding-left:1ex">{quoted}</blockquote></div>'
        )

    def _signature(self) -> str:
        random = self._random
        return (
            f"<p>{random.choice(_CLOSINGS)},<br>{random.choice(_NAMES)}<br>"
            f'<span style="color:#888">{random.choice(_TITLES)}, Alder Robotics</span></p>'
        )
