"""A picture of a simulation: the ring as it was in the end, and the timeline. Plain SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from math import cos, pi, sin

from tace.simulation.report import Dot, Report
from tace.simulation.scenarios.watch import Sample

WIDTH = 1180
RING_CENTRE = (190.0, 240.0)
RING_RADIUS = 150.0
LEFT, RIGHT = 430.0, 1150.0
TOP = 70.0
STRIP_HEIGHT = 70.0
STRIP_GAP = 38.0
IDEAL_HEIGHT = 14.0
MAX_NOTES = 60
"""Beyond it marks would hide each other."""
STYLE = """
text { font: 12px sans-serif; fill: #333 }
.title { font-size: 16px; font-weight: bold }
.small { font-size: 10px; fill: #666 }
.axis { stroke: #999; fill: none }
.mark { stroke: #bbb; stroke-dasharray: 2 3 }
.line { fill: none; stroke-width: 1.5 }
.members { stroke: #1f5fa8 } .living { stroke: #a8c4e6 }
.least { stroke: #b3541e } .mean { stroke: #e0a060 }
.waiting { stroke: #8a8a8a } .lost { stroke: #c00020 }
.ideal { fill: #3a9a4a } .not-ideal { fill: #d9534f }
.up { fill: #1f5fa8 } .down { fill: #d9534f }
"""


def plot(report: Report) -> str:
    """The whole picture, an SVG document of its own."""
    height = int(_bottom()) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        f' width="{WIDTH}" height="{height}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        _text(20, 30, f"{report.scenario}: {report.nodes} nodes, seed {report.seed}", "title"),
        _text(20, 50, "the promise held" if report.held else "the promise did not hold"),
        *_ring(report.positions),
        *_timeline(report),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _ring(dots: Sequence[Dot]) -> Iterator[str]:
    x, y = RING_CENTRE
    yield f'<circle class="axis" cx="{x:g}" cy="{y:g}" r="{RING_RADIUS:g}"/>'
    radius = max(1.5, min(6.0, 300 / max(len(dots), 1)))
    # Those that are down lie above: there are fewer of them, or they are the news.
    for dot in sorted(dots, key=lambda dot: not dot.living):
        angle = 2 * pi * dot.turn
        px, py = x + RING_RADIUS * sin(angle), y - RING_RADIUS * cos(angle)
        word = "up" if dot.living else "down"
        yield (
            f'<circle class="{word}" cx="{px:.1f}" cy="{py:.1f}" r="{radius:.1f}">'
            f"<title>{escape(dot.name)} {word}</title></circle>"
        )
    living = len({dot.name for dot in dots if dot.living})
    nodes = len({dot.name for dot in dots})
    yield _text(x, y, f"{living} of {nodes} nodes run", anchor="middle")
    yield _text(x, y + 18, f"{len(dots)} positions", "small", anchor="middle")


def _timeline(report: Report) -> Iterator[str]:
    samples = report.samples
    end = max(report.virtual_seconds, 1.0)

    def at(seconds: float) -> float:
        return LEFT + (RIGHT - LEFT) * min(seconds / end, 1.0)

    bottom = _bottom()
    for seconds, what in report.notes[:MAX_NOTES]:
        yield (
            f'<line class="mark" x1="{at(seconds):.1f}" x2="{at(seconds):.1f}"'
            f' y1="{TOP:g}" y2="{bottom:g}"><title>{seconds:g} s: {escape(what)}</title></line>'
        )
    yield _text(LEFT, TOP - 6, "ideal (green) or not (red)")
    yield from _ideal(TOP, at, samples, end)
    top = TOP + IDEAL_HEIGHT + STRIP_GAP
    for title, figures in STRIPS:
        yield from _strip(top, at, samples, title, figures)
        top += STRIP_HEIGHT + STRIP_GAP
    yield _text(LEFT, bottom + 16, "0 s", "small")
    yield _text(RIGHT, bottom + 16, f"{end:.0f} s", "small", anchor="end")


Figure = Callable[[Sample], float | None]


def _living(sample: Sample) -> float | None:
    return sample.living


def _members(sample: Sample) -> float | None:
    return sample.members


def _mean(sample: Sample) -> float | None:
    return sample.mean_copies


def _least(sample: Sample) -> float | None:
    return sample.least_copies


def _waiting(sample: Sample) -> float | None:
    return sample.waiting


def _lost(sample: Sample) -> float | None:
    return sample.lost


STRIPS: tuple[tuple[str, tuple[tuple[str, Figure], ...]], ...] = (
    ("nodes that run (pale) and members", (("living", _living), ("members", _members))),
    ("copies per waiting message: mean (pale) and least", (("mean", _mean), ("least", _least))),
    ("messages that wait", (("waiting", _waiting),)),
    ("messages on no living disk", (("lost", _lost),)),
)


def _bottom() -> float:
    return TOP + IDEAL_HEIGHT + len(STRIPS) * (STRIP_HEIGHT + STRIP_GAP)


def _strip(
    top: float,
    at: Callable[[float], float],
    samples: Sequence[Sample],
    title: str,
    figures: Sequence[tuple[str, Figure]],
) -> Iterator[str]:
    """One diagram: a step line for each figure, broken where there is none."""
    most = max([1.0, *(v for s in samples for _, f in figures if (v := f(s)) is not None)])
    low = top + STRIP_HEIGHT
    yield _text(LEFT, top - 6, title)
    yield f'<path class="axis" d="M{LEFT:g} {top:g}V{low:g}H{RIGHT:g}"/>'
    yield _text(LEFT - 6, top + 8, f"{most:g}", "small", anchor="end")
    yield _text(LEFT - 6, low, "0", "small", anchor="end")
    for word, figure in figures:
        path: list[str] = []
        drawing = False
        for sample in samples:
            value = figure(sample)
            if value is None:
                drawing = False
                continue
            x, y = at(sample.after_seconds), low - STRIP_HEIGHT * value / most
            path.append(f"H{x:.1f}V{y:.1f}" if drawing else f"M{x:.1f} {y:.1f}")
            drawing = True
        if path:
            yield f'<path class="line {word}" d="{"".join(path)}"/>'


def _ideal(
    top: float, at: Callable[[float], float], samples: Sequence[Sample], end: float
) -> Iterator[str]:
    """A band: one piece for each stretch in which the ring was ideal or was not."""
    began = 0
    for number in range(1, len(samples) + 1):
        if number < len(samples) and samples[number].ideal == samples[began].ideal:
            continue
        first = samples[began]
        start = at(first.after_seconds)
        stop = at(samples[number].after_seconds if number < len(samples) else end)
        word = "ideal" if first.ideal else "not-ideal"
        yield (
            f'<rect class="{word}" x="{start:.1f}" y="{top:g}"'
            f' width="{max(stop - start, 0.5):.1f}" height="{IDEAL_HEIGHT:g}"/>'
        )
        began = number


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{named}>{escape(words)}</text>'
