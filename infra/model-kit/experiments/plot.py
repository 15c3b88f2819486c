"""Small line plots as SVG, legible on light and dark pages alike: a white card with everything drawn on it."""

import math
from dataclasses import dataclass
from html import escape
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 380, 290, 58, 48, 18, 46
COLOURS = ("#2563eb", "#dc2626", "#059669", "#9333ea")


@dataclass
class Panel:
    title: str
    across: str  # what the x axis shows
    up: str
    series: dict  # name, or nothing → [(x, y, label or None)]
    log: tuple = (False, False)  # x, y
    floor: tuple | None = None  # (y, what it is): a dashed line


def _ticks(low: float, high: float, log: bool) -> list[float]:
    if log:
        found = [m * 10.0**e for e in range(-4, 7) for m in (1, 2, 5)]
        return [tick for tick in found if low <= tick <= high]
    step = 10 ** math.floor(math.log10((high - low) / 3))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (m * step) <= 6)
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _range(values: list[float], log: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    if log:
        return low / 1.5, high * 2  # for the last point's label
    margin = 0.06 * ((high - low) or 1)
    return low - margin, high + margin


def _draw(panel: Panel, at: int) -> str:
    points = [point for line in panel.series.values() for point in line]
    ys = [y for _, y, _ in points] + ([panel.floor[0]] if panel.floor else [])
    ranges = _range([x for x, _, _ in points], panel.log[0]), _range(ys, panel.log[1])

    def place(value: float, axis: int) -> float:
        scale = math.log if panel.log[axis] else float
        low, high = (scale(end) for end in ranges[axis])
        share = (scale(value) - low) / (high - low)
        return LEFT + share * (WIDTH - LEFT - RIGHT) if axis == 0 else HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    out = [f'<g transform="translate({at} 0)">', f'<text x="{LEFT}" y="20" font-weight="600">{escape(panel.title)}</text>']
    for tick in _ticks(*ranges[1], panel.log[1]):
        y = place(tick, 1)
        out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e5e7eb"/><text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in _ticks(*ranges[0], panel.log[0]):
        x = place(tick, 0)
        out.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#e5e7eb"/><text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(panel.across)}</text>')
    out.append(f'<text transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">{escape(panel.up)}</text>')
    if panel.floor:
        y = place(panel.floor[0], 1)
        out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#6b7280" stroke-dasharray="4 3"/>')
        out.append(f'<text x="{WIDTH - RIGHT}" y="{y - 5:.1f}" text-anchor="end" fill="#6b7280">{escape(panel.floor[1])}</text>')
    named = LEFT
    for number, (name, line) in enumerate(panel.series.items()):
        colour, places = COLOURS[number], [(place(x, 0), place(y, 1), label) for x, y, label in line]
        out.append(f'<path d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y, _ in places)}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        for x, y, label in places:
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
            out.append(f'<text x="{x + 6:.1f}" y="{y - 6:.1f}" fill="{colour}">{escape(label)}</text>' if label else "")
        out.append(f'<text x="{named}" y="37" fill="{colour}">{escape(name)}</text>' if name else "")
        named += 6 * len(name) + 14
    return "\n".join([*filter(None, out), "</g>"])


def save(path: Path, *panels: Panel) -> None:
    path.parent.mkdir(exist_ok=True)
    width = WIDTH * len(panels)
    body = "\n".join(_draw(panel, WIDTH * number) for number, panel in enumerate(panels))
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" '
                    f'font-family="system-ui, sans-serif" font-size="11" fill="#111827">\n<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n')
