"""Draws the stored results as SVG: by hand, so that the same numbers give the same bytes everywhere.

    python3 tools/pages.py update    draws them all, for the pages

The background is transparent, and axes and words are of a middle gray: they read on a light page and on a dark one.
Lines have colors that the color-blind can tell apart (Okabe and Ito, "Color Universal Design", 2008).
"""

from dataclasses import dataclass
from statistics import median

GRAY = "#767676"
BLUE = "#0072B2"
VERMILION = "#D55E00"
FONT = "font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\""

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 110, 30, 60  # margins around the axes


@dataclass
class Line:
    label: str
    color: str
    x: list
    y: list


def ticks(largest, wanted=5):
    """Round steps from 0 to at least `largest`."""
    step = 10.0 ** len(str(int(largest)))
    for divisor in (1, 2, 5, 10, 20, 50, 100, 200, 500):
        if largest / (step / divisor) >= wanted:
            step /= divisor
            break
    else:
        step = largest / wanted
    values = [0.0]
    while values[-1] < largest:
        values.append(values[-1] + step)
    return values


def smooth(values, width=9):
    """Each value's median with its neighbors: a shared machine's hiccups out, the slope kept."""
    half = width // 2
    return [median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]


def text(x, y, words, anchor="middle", color=GRAY, size=14, more=""):
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{color}" font-size="{size}" {more}>{words}</text>'


def segment(x1, y1, x2, y2, opacity=1):
    place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {place} stroke="{GRAY}" opacity="{opacity}"/>'


def frame(title, parts):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" {FONT}>'
    return "\n".join([head, f"<title>{title}</title>", *parts, "</svg>"]) + "\n"


def draw_lines(title, x_label, y_label, lines):
    """Points as they were measured, faint, and their running medians as lines. Points above the highest tick, which is
    chosen for the lines, are left out."""
    x_ticks = ticks(max(max(line.x) for line in lines))
    y_ticks = ticks(max(max(smooth(line.y)) for line in lines))
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(x, y):
        return LEFT + width * x / x_ticks[-1], HEIGHT - BOTTOM - height * y / y_ticks[-1]

    parts = []
    for value in y_ticks:
        x, y = place(0, value)
        parts.append(segment(x, y, x + width, y, 0.3))
        parts.append(text(x - 10, y + 5, f"{value:g}", "end"))
    for value in x_ticks:
        x, y = place(value, 0)
        parts.append(segment(x, y, x, y + 6))
        parts.append(text(x, y + 24, f"{value:g}"))
    x, y = place(0, 0)
    parts.append(segment(x, y, x + width, y))
    parts.append(text(LEFT + width / 2, HEIGHT - 14, x_label))
    parts.append(text(20, TOP + height / 2, y_label, more=f'transform="rotate(-90 20 {TOP + height / 2:.1f})"'))
    for line in lines:
        for x, y in zip(line.x, line.y):
            if y <= y_ticks[-1]:
                x, y = place(x, y)
                parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.6" fill="{line.color}" opacity="0.35"/>')
        points = [place(x, y) for x, y in zip(line.x, smooth(line.y))]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{line.color}" stroke-width="2.5"/>')
        x, y = points[-1]
        parts.append(text(x + 8, y + 5, line.label, "start", line.color, more='font-weight="600"'))
    return frame(title, parts)


def draw_nothing(title):
    return frame(title, [text(WIDTH / 2, HEIGHT / 2, "not measured", size=18)])


def time_per_token(results):
    """Time per token against position, chapters 1 and 2. The unit is chapter 2's median step: a shared machine's
    milliseconds say little, how the two compare within one run says much."""
    title = "Time per token against its position, chapters 1 and 2"
    reports = [results.chapter(1), results.chapter(2)]
    if None in reports:
        return draw_nothing(title)
    unit = median(reports[1]["details"]["step_ms"][1:])
    lines = []
    for report, color in zip(reports, (VERMILION, BLUE)):
        steps = report["details"]["step_ms"]
        x = [report["prompt_tokens"] + i for i in range(len(steps))]
        lines.append(Line(f"chapter {report['chapter']}", color, x, [ms / unit for ms in steps]))
    return draw_lines(title, "position of the token in the sequence", "time, chapter 2's median step = 1", lines)


PLOTS = {"docs/results/time-per-token.svg": time_per_token}


def draw_all(results):
    """The file of every plot, from the project's root, and its text. `results` is that of tools/pages.py."""
    return {name: draw(results) for name, draw in PLOTS.items()}
