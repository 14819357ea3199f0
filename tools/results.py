"""The stored results that the pages' numbers come from, paths into them, and how a number is written.

PATH is such as chapters[chapter=2].details.step_ms: keys, [INDEX] or [KEY=VALUE]. FUNCTION(PATH) reduces a list, and
PATH / PATH divides.
"""

import json
import re
from statistics import median

NOT_MEASURED = "not measured"


class PageError(Exception):
    """A mistake in a page or in what it is made from: one sentence."""


def read_text(path):
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise PageError(f"{path.name} is not UTF-8 text") from None


class Results:
    """The JSON files that numbers come from."""

    def __init__(self, root):
        self.root = root
        self.files = {}

    def load(self, name):
        """The file's contents, or None where it has not been written yet."""
        if name not in self.files:
            path = self.root / name if "/" in name else self.root / "bench" / "results" / name
            try:
                self.files[name] = json.loads(read_text(path)) if path.is_file() else None
            except json.JSONDecodeError as error:
                raise PageError(f"{name} is not JSON: {error}") from None
        return self.files[name]

    def find(self, name, path):
        """The value at `path`; None where it was not measured."""
        value = self.load(name)
        for key, selector in re.findall(r"(\w+)|\[([^\]]*)\]", path):
            if value is None:
                return None
            if key:
                if not isinstance(value, dict) or key not in value:
                    raise PageError(f"{name} has no {key} (of {path})")
                value = value[key]
            elif not isinstance(value, list):
                raise PageError(f"{name}: what stands before [{selector}] in {path} is no list")
            else:
                value = select(value, selector)
        return value

    def chapter(self, number):
        """The ladder's report of a chapter, or None."""
        return self.find("ladder.json", f"chapters[chapter={number}]")


def select(elements, selector):
    """An element by its index or by the value of one of its keys; None where there is none."""
    if selector.isdigit():
        return elements[int(selector)] if int(selector) < len(elements) else None
    key, _, wanted = selector.partition("=")
    return next((element for element in elements if str(element.get(key)) == wanted), None)


FUNCTIONS = {
    "median": median,
    "sum": sum,
    "len": len,
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
}


def evaluate(results, name, expression):
    """PATH, FUNCTION(PATH), or two of these with / between; None where a part was not measured."""
    values = []
    for term in expression.split("/"):
        match = re.fullmatch(r"\s*(?:(\w+)\(([^()]+)\)|([^()]+?))\s*", term)
        if not match:
            raise PageError(f'"{term.strip()}" is neither PATH nor FUNCTION(PATH)')
        function, argument, path = match.groups()
        if function and function not in FUNCTIONS:
            raise PageError(f"there is no function {function}; there are {', '.join(FUNCTIONS)}")
        value = results.find(name, argument or path)
        values.append(FUNCTIONS[function](value) if function and value is not None else value)
    if None in values:
        return None
    value = values[0]
    for divisor in values[1:]:
        value /= divisor
    return value


# Formats, the same as common/program/format.h.


def three_digits(value):
    size = abs(value)
    return f"{value:.{2 if size < 9.995 else 1 if size < 99.95 else 0}f}"


def format_count(value):
    if value != int(value):
        raise PageError(f"{value} is no count")
    return f"{int(value):,}"


def format_bytes(value):
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            return f"{value:.0f} B" if unit == "B" else f"{three_digits(value)} {unit}"
        value /= 1000.0


def format_ratio(value):
    return three_digits(value) + "×"


def format_percent(value):
    return three_digits(100.0 * value) + "%"


FORMATS = {
    "count": format_count,
    "bytes": format_bytes,
    "ratio": format_ratio,
    "percent": format_percent,
    "number": lambda value: f"{value:.10g}",
    "text": str,
}


def format_ms(results, name, value):
    """Times of a GPU only, with its name."""
    gpu = ((results.load(name) or {}).get("machine") or {}).get("gpu")
    if not gpu:
        raise PageError(f"{name} was not measured on a GPU: quote a ratio, not milliseconds")
    return f"{three_digits(value)} ms ({gpu})"
