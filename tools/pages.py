"""Writes code, numbers and tables into the pages, and checks that they are still true.

    python3 tools/pages.py update [ROOT]    writes what has changed, plots included
    python3 tools/pages.py check [ROOT]     says what update would change, which links are broken and which words lack
                                            their link to the glossary; then exits with 1
    python3 tools/pages.py link [ROOT]      links each glossary term where a page first uses it; look at what it did,
                                            for a word may have another meaning, and then wants another word

A page marks what is not typed by hand with HTML comments, each closed by <!-- /KIND -->:

    code: FILE [REGION]        a source file, or its lines between "// region: REGION" and "// endregion"
    difference: FILE REGION to FILE REGION  how the second differs from the first
    number: FILE PATH | FORMAT a value from a JSON file
    table: NAME                what the function of that name in tools/tables/ makes of the stored results
    plot: NAME                 the picture that the function of that name in tools/plots.py draws, in docs/results

FILE of a number is in bench/results where it names no folder; tools/results.py says what a PATH and a FORMAT are. A
file or list element that is not there, and null, read "not measured"; a key that is not there is a mistake.

What was measured on a CPU that is shared with others is quoted as ratios within one run, counts and bytes. Times in
milliseconds are for GPUs, whose name then stands beside them.
"""

import argparse
import difflib
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import glossary
import plots
from results import FORMATS, NOT_MEASURED, PageError, Results, evaluate, format_ms, read_text
from tables import TABLES

SKIPPED_FOLDERS = {"build", "third_party", "corpus", "node_modules"}
LANGUAGES = {".cpp": "cpp", ".h": "cpp", ".cuh": "cpp", ".cu": "cpp", ".py": "python", ".json": "json", ".txt": "text"}
MARKER = re.compile(r"<!-- (code|difference|number|table|plot): (.+?) -->(.*?)<!-- /\1 -->", re.DOTALL)
LINK = re.compile(r'\]\(([^)\s]+)(?: "[^"]*")?\)|<(?:img|source)[^>]* src(?:set)?="([^"]+)"')
OPENING = re.compile(r"<!-- (?:code|difference|number|table|plot): ")


# ---- code ----


def region_of(text, region, file):
    """The lines between a region's two comments, without their common indentation. Regions don't nest."""
    lines = text.splitlines()
    begins = [i for i, line in enumerate(lines) if line.strip() == f"// region: {region}"]
    if len(begins) != 1:
        raise PageError(f"{file} has {len(begins)} regions {region}")
    ends = [i for i in range(begins[0], len(lines)) if lines[i].strip() == "// endregion"]
    if not ends:
        raise PageError(f"{file}: region {region} has no // endregion")
    body = lines[begins[0] + 1 : ends[0]]
    indents = [len(line) - len(line.lstrip()) for line in body if line.strip()]
    return "\n".join(line[min(indents, default=0) :] for line in body)


def link_to(root, page, file):
    return f"[`{file}`]({os.path.relpath(root / file, page.parent).replace(os.sep, '/')})"


def write_code(root, page, argument):
    file, _, region = argument.partition(" ")
    path = root / file
    if not path.is_file():
        if file.startswith("bench/results/"):
            return f"\n\n{NOT_MEASURED}\n\n"
        raise PageError(f"there is no file {file}")
    text = read_text(path).strip("\n")
    if region:
        text = region_of(text, region, file)
    else:
        text = "\n".join(line for line in text.splitlines() if not re.match(r"\s*// (region: |endregion$)", line))
    return f"\n{link_to(root, page, file)}\n\n```{LANGUAGES.get(path.suffix, '')}\n{text}\n```\n"


def write_difference(root, page, argument):
    match = re.fullmatch(r"(\S+) (\S+) to (\S+) (\S+)", argument)
    if not match:
        raise PageError(f'"{argument}" is not FILE REGION to FILE REGION')
    sides = []
    for file, region in (match.group(1, 2), match.group(3, 4)):
        if not (root / file).is_file():
            raise PageError(f"there is no file {file}")
        sides.append((file, region_of(read_text(root / file), region, file).splitlines()))
    (old_file, old), (new_file, new) = sides
    lines = list(difflib.unified_diff(old, new, n=max(len(old), len(new)), lineterm=""))[3:]
    links = f"{link_to(root, page, old_file)} → {link_to(root, page, new_file)}"
    return f"\n{links}\n\n```diff\n" + "\n".join(lines) + "\n```\n"


# ---- numbers and tables ----


def write_number(results, argument):
    match = re.fullmatch(r"(\S+)\s+(.+?)\s*\|\s*(\w+)", argument)
    if not match:
        raise PageError(f'"{argument}" is not FILE PATH | FORMAT')
    name, expression, form = match.groups()
    if form != "ms" and form not in FORMATS:
        raise PageError(f"there is no format {form}; there are {', '.join(FORMATS)}, ms")
    value = evaluate(results, name, expression)
    if value is None:
        return NOT_MEASURED
    return format_ms(results, name, value) if form == "ms" else FORMATS[form](value)


# ---- pages ----


@dataclass
class Page:
    path: Path
    name: str  # from the root, with slashes
    text: str
    drifts: list = field(default_factory=list)  # one line each
    mistakes: list = field(default_factory=list)
    plots: dict = field(default_factory=dict)  # SVG by the file's name from the root


def find_pages(root):
    for path in sorted(root.rglob("*.md")):
        parts = path.relative_to(root).parts
        if not any(part in SKIPPED_FOLDERS or part.startswith(".") for part in parts[:-1]):
            yield Page(path, "/".join(parts), read_text(path))


def shorten(text):
    text = " ".join(text.split())
    return f'"{text}"' if len(text) <= 60 else f'"{text[:57]}..."'


def write_marker(root, results, page, kind, argument):
    if kind == "number":
        return write_number(results, argument)
    if kind == "code":
        return write_code(root, page.path, argument)
    if kind == "difference":
        return write_difference(root, page.path, argument)
    known = TABLES if kind == "table" else plots.PLOTS
    if argument not in known:
        raise PageError(f"there is no {kind} {argument}; there are {', '.join(known)}")
    try:
        if kind == "table":
            return "\n" + TABLES[argument](results) + "\n"
        return write_plot(root, results, page, argument)
    except KeyError as error:
        raise PageError(f"the results lack {error}, which the {kind} {argument} shows") from None


def write_plot(root, results, page, name):
    """The picture's place in the page; the picture itself goes to the page's plots."""
    title, file, svg = plots.draw(name, results)
    if svg is None:
        return f"\n{NOT_MEASURED}\n"
    page.plots[file] = svg
    return f"\n![{title}]({os.path.relpath(root / file, page.path.parent).replace(os.sep, '/')})\n"


def rewrite(root, results, page):
    """The page as it should be; what differs and what is wrong goes to the page's lists."""

    def replace(match):
        kind, argument, old = match.groups()
        where = f"{page.name}:{page.text.count(chr(10), 0, match.start()) + 1}"
        if OPENING.search(old):
            page.mistakes.append(f"{where}: {kind} {argument} is not closed by <!-- /{kind} -->")
            return match.group()
        if kind == "number" and not page.text[: match.start()].rpartition("\n")[2].strip():
            page.mistakes.append(f"{where}: a comment that begins a line ends the paragraph; put a word before it")
        try:
            new = write_marker(root, results, page, kind, argument)
        except PageError as error:
            page.mistakes.append(f"{where}: {error}")
            return match.group()
        if new != old:
            change = f"is {shorten(old)}, but should be {shorten(new)}" if kind == "number" else "is out of date"
            page.drifts.append(f"{where}: {kind} {argument} {change}")
        return f"<!-- {kind}: {argument} -->{new}<!-- /{kind} -->"

    text = MARKER.sub(replace, page.text)
    if len(OPENING.findall(text)) != len(MARKER.findall(text)):
        page.mistakes.append(f"{page.name}: a marker is not closed")
    return text


def plots_that_differ(root, drawn):
    """Files of docs/results that are not as drawn, and how they differ."""
    for name, svg in drawn.items():
        if not (root / name).is_file() or read_text(root / name) != svg:
            yield name, "is not what its results give; draw it again"
    for path in sorted((root / "docs" / "results").glob("*.svg")):
        name = "/".join(path.relative_to(root).parts)
        if name not in drawn:
            yield name, "is no page's plot; take it away"


# ---- links ----


def without_code(text):
    """The text with fenced blocks and code spans blanked out, line for line."""
    text = re.sub(r"^```.*?^```", lambda m: "\n" * m.group().count("\n"), text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", lambda m: "x" * len(m.group()), text)


def anchors_of(text):
    """Headings as code hosts turn them into anchors: lower case, no punctuation, hyphens for spaces."""
    anchors, seen = set(re.findall(r'<a (?:id|name)="([^"]+)"', text)), {}
    fenceless = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#+ +(.+?)\s*$", fenceless, flags=re.MULTILINE):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        anchors.add(f"{slug}-{count}" if count else slug)
    return anchors


def broken_links(root, page, text):
    """Relative links and images that lead nowhere: one line each."""
    for match in LINK.finditer(without_code(text)):
        target = match.group(1) or match.group(2)
        if re.match(r"[a-z]+:", target):
            continue
        where = f"{page.name}:{text.count(chr(10), 0, match.start()) + 1}"
        file, _, anchor = target.partition("#")
        path = (page.path.parent / file).resolve() if file else page.path
        if not path.exists():
            yield f"{where}: the link to {target} leads nowhere"
        elif not path.is_relative_to(root):
            yield f"{where}: the link to {target} leads out of the project"
        elif anchor and path.suffix == ".md":
            there = text if path == page.path else read_text(path)
            if anchor not in anchors_of(there):
                yield f"{where}: {file or page.name} has no heading #{anchor}"


# ---- glossary ----


def glossary_terms(root, page):
    """Those that the page's words should lead to: none outside docs, and none in the glossary itself."""
    path = root / "docs" / "glossary.md"
    if not path.is_file() or page.path.parent != path.parent or page.path == path:
        return []
    return glossary.terms_of(read_text(path))


def missing_links(root, page, text):
    for begin, end, term in glossary.unlinked_uses(text, glossary_terms(root, page)):
        where = f"{page.name}:{text.count(chr(10), 0, begin) + 1}"
        use, there = " ".join(text[begin:end].split()), f"glossary.md#{glossary.slug_of(term)}"
        yield f'{where}: "{use}" is this page\'s first use of a term and should lead to {there}'


# ---- the program ----


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["update", "check", "link"])
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parent.parent)
    arguments = parser.parse_args()
    try:
        if arguments.command == "link":
            return link(arguments.root.resolve())
        return run(arguments.root.resolve(), write=arguments.command == "update")
    except PageError as error:
        print(error)
        return 1


def link(root):
    for page in find_pages(root):
        text = glossary.with_links(page.text, glossary_terms(root, page))
        if text != page.text:
            page.path.write_text(text, encoding="utf-8")
            print(f"{page.name}: look at git diff")
    return 0


def run(root, write):
    results = Results(root)
    complaints, changed = [], []
    pages = list(find_pages(root))
    texts = [rewrite(root, results, page) for page in pages]
    drawn = {name: svg for page in pages for name, svg in page.plots.items()}
    for name, what in plots_that_differ(root, drawn):
        if not write:
            complaints.append(f"{name}: {what}")
            continue
        changed.append(name)
        path = root / name
        if name in drawn:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(drawn[name], encoding="utf-8")
        else:
            path.unlink()

    for page, text in zip(pages, texts):
        complaints += page.mistakes
        if write and text != page.text:
            page.path.write_text(text, encoding="utf-8")
            changed.append(page.name)
        elif not write:
            complaints += page.drifts
            complaints += missing_links(root, page, text)
        complaints += broken_links(root, page, text)

    for line in complaints:
        print(line)
    if write:
        print("changed: " + ", ".join(changed) if changed else "nothing has changed")
    elif complaints:
        print(f"{len(complaints)} to mend; python3 tools/pages.py update writes what is generated")
    else:
        print(f"{len(pages)} pages are as their sources and results have them")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
