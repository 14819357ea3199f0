"""Charts as SVG, by hand, so that the same numbers give the same bytes everywhere: what tools/plots.py draws with.

The background is transparent, and axes and words are of a middle gray: they read on a light page and on a dark one.
Colors are those that the color-blind can tell apart (Okabe and Ito, "Color Universal Design", 2008), and lines differ in
their marks or dashes as well. The drawing is small and its letters large, so that they can still
be read where a phone makes it smaller yet.
"""

import math
from dataclasses import dataclass
from statistics import median

GRAY = "#808080"
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
FONT = "font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\""

WIDTH = 480  # of all drawings, in units of which a letter is 15 high
LETTERS = 15
LEFT, RIGHT, BOTTOM = 72, 32, 48  # margins around the axes
PLOT_HEIGHT = 250
ENLARGED = 1.25  # as shown where there is room


@dataclass
class Axis:
    """Values to 0 at one end and 1 at the other."""

    label: str
    ticks: list  # (value, words)
    first: float
    last: float
    logarithmic: bool = False

    def place(self, value):
        if self.logarithmic:
            return math.log(value / self.first) / math.log(self.last / self.first)
        return (value - self.first) / (self.last - self.first)


@dataclass
class Series:
    label: str  # "" has no place in the legend
    color: str
    x: list
    y: list
    mark: str = ""  # circle, square, triangle, diamond; none
    line: str = "solid"  # dashed, none
    opacity: float = 1.0
    mark_size: float = 4.5


@dataclass
class Drawing:
    parts: list
    height: float


# ---- axes ----


def ticks_to(largest, wanted=5):
    """Round steps from 0 to at least `largest`, about as many as wanted."""
    rough = largest / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * digit for digit in (1, 2, 2.5, 5, 10) if power * digit >= rough)
    return [step * i for i in range(math.ceil(largest / step - 1e-9) + 1)]


def linear(label, values, words=lambda value: f"{value:,g}"):
    """From 0 to the first tick that no value exceeds."""
    ticks = ticks_to(max(values))
    return Axis(label, [(value, words(value)) for value in ticks], 0.0, ticks[-1])


def up_to(label, largest, words=lambda value: f"{value:,g}"):
    """From 0 to `largest`, wherever the last tick is."""
    return Axis(label, [(value, words(value)) for value in ticks_to(largest) if value <= largest], 0.0, largest)


def at_values(label, values, first=None, logarithmic=False):
    """A tick at each value, the first one at the axis's beginning unless it is told another."""
    values = sorted(set(values))
    ticks = [(value, f"{value:,g}") for value in values]
    return Axis(label, ticks, values[0] if first is None else first, values[-1], logarithmic)


def decades(label, values, words=lambda value: f"{value:,g}"):
    """Around the values; ticks at powers of ten, or at 1, 2 and 5 times them where those would be few."""
    powers = [10.0**power for power in range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)]
    steps = [power * digit for power in powers for digit in (1, 2, 5)]
    first = max(step for step in steps if step <= min(values))
    last = min(step for step in steps if step >= max(values))
    ticks = [value for value in (steps if last / first < 100 else powers) if first <= value <= last]
    return Axis(label, [(value, words(value)) for value in ticks], first, last, logarithmic=True)


def bytes_in_words(value):
    power = min(4, max(0, math.floor(math.log10(value) / 3 + 1e-9)))
    return f"{value / 1000**power:g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def smooth(values, width=9):
    """Each value's median with its neighbors: a shared machine's hiccups out, the slope kept."""
    half = width // 2
    return [median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]


# ---- shapes ----


def text(x, y, words, anchor="middle"):
    words = words.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{GRAY}">{words}</text>'


def segment(x1, y1, x2, y2, opacity=1.0):
    place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {place} stroke="{GRAY}" opacity="{opacity:g}"/>'


def polyline(points, series):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = ' stroke-dasharray="6 4"' if series.line == "dashed" else ""
    return f'<polyline points="{path}" fill="none" stroke="{series.color}" stroke-width="2.2"{dashes}/>'


def mark(x, y, series):
    size, more = series.mark_size, f'fill="{series.color}"' + (f' opacity="{series.opacity:g}"' if series.opacity < 1 else "")
    if series.mark == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:g}" {more}/>'
    corners = {
        "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        "triangle": ((0, -1.2), (1.15, 0.9), (-1.15, 0.9)),
        "diamond": ((0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)),
    }[series.mark]
    points = " ".join(f"{x + size * dx:.1f},{y + size * dy:.1f}" for dx, dy in corners)
    return f'<polygon points="{points}" {more}/>'


def width_of(words):
    return 0.55 * LETTERS * len(words)  # a guess on the large side: the reader's font is not known here


# ---- drawings ----


def legend(series, top):
    """A sample and a name for each, as many to a line as fit; and where the lines end."""
    parts, x, y, sample = [], 12.0, top + LETTERS, 26
    for one in series:
        if not one.label:
            continue
        width = sample + 8 + width_of(one.label)
        if x > 12 and x + width > WIDTH - 4:
            x, y = 12.0, y + 22
        if one.line != "none":
            parts.append(polyline([(x, y - 5), (x + sample, y - 5)], one))
        if one.mark:
            parts.append(mark(x + sample / 2, y - 5, one))
        parts.append(text(x + sample + 6, y, one.label, "start"))
        x += width + 14
    return parts, y + 8 if parts else top


def chart(x_axis, y_axis, series):
    """Lines and marks over two axes. What lies above the highest tick is left out."""
    parts, top = legend(series, 4)
    top += LETTERS + 24
    width, bottom = WIDTH - LEFT - RIGHT, top + PLOT_HEIGHT
    parts.append(text(8, top - 19, y_axis.label, "start"))

    def place(x, y):
        return LEFT + width * x_axis.place(x), bottom - PLOT_HEIGHT * y_axis.place(y)

    for value, words in y_axis.ticks:
        y = bottom - PLOT_HEIGHT * y_axis.place(value)
        parts.append(segment(LEFT, y, LEFT + width, y, 0.3))
        parts.append(text(LEFT - 8, y + 5, words, "end"))
    parts.append(segment(LEFT, bottom, LEFT + width, bottom))
    for value, words in x_axis.ticks:
        x = LEFT + width * x_axis.place(value)
        parts.append(segment(x, bottom, x, bottom + 5))
        parts.append(text(x, bottom + 21, words))
    parts.append(text(LEFT + width / 2, bottom + 42, x_axis.label))
    for one in series:
        points = [place(x, y) for x, y in zip(one.x, one.y) if y_axis.place(y) <= 1.001]
        if one.line != "none":
            parts.append(polyline(points, one))
        if one.mark:
            parts += [mark(x, y, one) for x, y in points]
    return Drawing(parts, bottom + BOTTOM)


def bars(label, rows):
    """A bar for each (name, value, words); a row with no name belongs to the one above it."""
    left, top, row = 210, 30, 27
    largest = max(value for _, value, _ in rows)
    room = WIDTH - left - width_of(max((words for *_, words in rows), key=len)) - 8
    parts, y = [text(left, LETTERS + 2, label, "start")], top
    for name, value, words in rows:
        height = 16 if name else 8
        parts.append(text(left - 8, y + 13, name, "end"))
        width, color = max(1.5, room * value / largest), BLUE if name else VERMILION
        middle = y + 8
        parts.append(f'<rect x="{left}" y="{middle - height / 2:.1f}" width="{width:.1f}" height="{height}" fill="{color}"/>')
        parts.append(text(left + width + 6, middle + 5, words, "start"))
        y += row
    parts.append(segment(left, top - 6, left, y))
    return Drawing(parts, y + 6)


def to_svg(title, drawing):
    height = math.ceil(drawing.height)
    size = f'viewBox="0 0 {WIDTH} {height}" width="{ENLARGED * WIDTH:g}" height="{ENLARGED * height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-size="{LETTERS}" {FONT}>'
    return "\n".join([head, f"<title>{title}</title>", *drawing.parts, "</svg>"]) + "\n"
