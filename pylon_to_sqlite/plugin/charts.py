"""Small charts as SVG, without scripts and without styles of their own. Pure: figures in, markup
out; whoever shows them puts the same figures beside in words."""

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT = 360, 160
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 6, 10, 22
_CLASSES = ("first", "second", "third")


def columns(
    labels: Sequence[str], series: Sequence[Sequence[float]], *, title: str, description: str
) -> Markup:
    """Stacked columns: one list of figures for each series, one label for each column."""
    totals = [sum(values) for values in zip(*series, strict=True)]
    top = nice(max(totals, default=0))
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(labels))
    width = min(28.0, step * 0.72)
    parts = []
    for at, label in enumerate(labels):
        x, y = _LEFT + at * step + (step - width) / 2, float(HEIGHT - _BOTTOM)
        words = f"{label}: {number(totals[at])}"
        rects = Markup("")
        for index, values in enumerate(series):
            height = _height(values[at], top)
            y -= height
            rects += _rect(x, y, width, height, _CLASSES[index])
        parts.append(Markup("<g><title>{}</title>{}</g>").format(words, rects))
    ticks = {0: "0", top / 2: number(top / 2), top: number(top)}
    return _chart(title, description, [_grid(ticks, top), *parts, _axis(labels, step)])


def line(
    labels: Sequence[str],
    values: Sequence[float | None],
    *,
    ticks: dict[float, str],
    words: Sequence[str],
    title: str,
    description: str,
) -> Markup:
    """A line over the labels, with gaps where there is no figure; `words` tell each figure."""
    top = max(ticks)
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(labels))
    points = [
        None
        if value is None
        else (_LEFT + (at + 0.5) * step, HEIGHT - _BOTTOM - _height(value, top))
        for at, value in enumerate(values)
    ]
    path, is_drawing = [], False
    for point in points:
        if point:
            path.append(f"{'L' if is_drawing else 'M'}{point[0]:.1f} {point[1]:.1f}")
        is_drawing = point is not None
    parts = [Markup('<path class="line" d="{}"/>').format(" ".join(path))]
    for point, label, told in zip(points, labels, words, strict=True):
        if point:
            parts.append(
                Markup(
                    '<circle class="first" cx="{:.1f}" cy="{:.1f}" r="3"><title>{}</title></circle>'
                ).format(*point, f"{label}: {told}")
            )
    return _chart(title, description, [_grid(ticks, top), *parts, _axis(labels, step)])


def bar(share: float) -> Markup:
    """One bar of a table, from 0 to 1; the figure stands beside it."""
    width = 100 * min(1.0, max(0.0, share))
    return Markup(
        '<svg class="bars" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"'
        ' focusable="false"><rect class="rest" width="100" height="8" rx="1"/>'
        '<rect class="first" width="{:.1f}" height="8" rx="1"/></svg>'
    ).format(width)


def swatch(index: int) -> Markup:
    """The colour of a series, for a legend."""
    return Markup(
        '<svg viewBox="0 0 10 10" aria-hidden="true" focusable="false">'
        '<rect class="{}" x=".5" y=".5" width="9" height="9" rx="2"/></svg>'
    ).format(_CLASSES[index])


def nice(largest: float) -> float:
    """The end of an axis: the next round and even number."""
    if largest <= 2:
        return 2
    power: float = 10 ** math.floor(math.log10(largest))
    return next(
        factor * power for factor in (1, 1.2, 1.6, 2, 4, 6, 8, 10) if factor * power >= largest
    )


def number(value: float) -> str:
    """A figure as people write it."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def _height(value: float, top: float) -> float:
    return (HEIGHT - _TOP - _BOTTOM) * min(1.0, max(0.0, value / top)) if top else 0.0


def _rect(x: float, y: float, width: float, height: float, name: str) -> Markup:
    if not height:
        return Markup("")
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        name, x, y, width, height
    )


def _grid(ticks: dict[float, str], top: float) -> Markup:
    drawn = Markup("")
    for value, label in ticks.items():
        y = HEIGHT - _BOTTOM - _height(value, top)
        drawn += Markup(
            '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
            '<text x="{}" y="{:.1f}" text-anchor="end">{}</text>'
        ).format(_LEFT, WIDTH - _RIGHT, y, y, _LEFT - 5, y + 3.5, label)
    return drawn


def _axis(labels: Sequence[str], step: float) -> Markup:
    """As many labels as there is room for."""
    every = max(1, math.ceil(58 / step))
    drawn = Markup("")
    for at in range(len(labels) - 1, -1, -every):
        x = min(_LEFT + (at + 0.5) * step, WIDTH - _RIGHT - 16)
        drawn += Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            max(x, _LEFT + 14), HEIGHT - 6, labels[at]
        )
    return drawn


def _chart(title: str, description: str, parts: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" focusable="false">'
        "<title>{}</title><desc>{}</desc>{}</svg>"
    ).format(WIDTH, HEIGHT, escape(title), escape(description), Markup("").join(parts))
