"""What MkDocs needs to know of this project beyond mkdocs.yml; mkdocs calls the functions named on_...

docs/ is written for code hosts: its pages link to source files, exercises fold their answers in <details>, and the
README is the home. The site gets the same from the same files: a page of highlighted code for each source file that is
linked, and README.md as index.md.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
KATEX = Path("/usr/share/javascript/katex")  # Debian's libjs-katex; tools/site installs it
SOURCES = "source/"  # where the pages of source files stand in the site
LANGUAGES = {
    ".cpp": "cpp",
    ".h": "cpp",
    ".cuh": "cuda",
    ".cu": "cuda",
    ".py": "python",
    ".json": "json",
    ".cmake": "cmake",
    ".sh": "bash",
    ".yml": "yaml",
    ".js": "js",
    ".css": "css",
}
CODE_OR_LINK = re.compile(
    r"^```.*?^```|`[^`\n]*`|(?P<before>\]\()(?P<target>[^)\s#]+)(?=[)#])", re.DOTALL | re.MULTILINE
)
MARKERS = re.compile(r"<!-- /?(?:code|number|table|difference|plot)(?:: .*?)? ?-->")
DETAILS = re.compile(r"^ *<details><summary>(.*?)</summary>\n(.*?)^ *</details>$", re.DOTALL | re.MULTILINE)


# ---- files: a place in the project, and the page it has in the site ----


def page_of(path):
    """The page of a file of the project, both from their roots: docs/a.md is a.md, a/b.cpp is source/a/b.cpp.md."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return SOURCES + (path if path.endswith(".md") else path + ".md")


def path_of(page):
    """The file that a page was made from."""
    if page == "index.md":
        return "README.md"
    if not page.startswith(SOURCES):
        return "docs/" + page
    path = page.removeprefix(SOURCES)
    return path if (ROOT / path).is_file() else path.removesuffix(".md")


def linked_path(path, target):
    """The file of the project that `target` names in the file `path`; None where it is none."""
    if re.match(r"[a-z]+:", target):
        return None
    there = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return there if not there.startswith("..") and (ROOT / there).is_file() else None


def linked_paths(path, text):
    targets = (match["target"] for match in CODE_OR_LINK.finditer(text) if match["target"])
    return [there for target in targets if (there := linked_path(path, target))]


def code_page(path, text):
    language = LANGUAGES.get(posixpath.splitext(path)[1], "text")
    if text.startswith("#!"):
        language = "python" if "python" in text.partition("\n")[0] else "bash"
    fence = "`" * 6
    head = "---\nsearch:\n  exclude: true\nhide: [toc]\n---\n\n"
    return f"{head}# {path}\n\n{fence} {{ .{language} linenums=1 }}\n{text}\n{fence}\n"


def on_config(config):
    pages = {path.name: path for path in sorted(Path(config.docs_dir).glob("*.md"))}
    chapters = [{title_of(path): name} for name, path in pages.items() if name[0].isdigit()]
    rest = {
        "See it run": "see-it-run.md",
        "Read the code": "reading.md",
        "Devices": "devices.md",
        "Architecture": "architecture.md",
        "Glossary": "glossary.md",
    }
    config.nav = [
        {"Start here": "index.md"},
        {"Chapters": chapters},
        {"Around them": [{title: name} for title, name in rest.items()]},
    ]
    return config


def title_of(path):
    """A page's first line up to the colon: "2. KV cache"."""
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ").partition(":")[0]


def on_files(files, config):
    def add(page, **content):
        files.append(File.generated(config, page, **content))

    add("index.md", content=(ROOT / "README.md").read_text(encoding="utf-8"))
    for path in sorted(KATEX.glob("katex.min.*")) + sorted(KATEX.glob("fonts/*.woff2")):
        add(f"site/katex/{path.relative_to(KATEX)}", abs_src_path=str(path.resolve()))

    # Pages lead to source files, and a folder's README leads on.
    unread = [file for file in files if file.src_uri.endswith(".md")]
    known = {file.src_uri for file in unread}
    while unread:
        file = unread.pop()
        for path in linked_paths(path_of(file.src_uri), file.content_string):
            page = page_of(path)
            if page in known or path.startswith("docs/"):
                continue
            known.add(page)
            text = (ROOT / path).read_text(encoding="utf-8")
            add(page, content=text if path.endswith(".md") else code_page(path, text.rstrip("\n")))
            if path.endswith(".md"):
                unread.append(files.get_file_from_path(page))
    return files


# ---- pages ----


def on_page_markdown(markdown, page, **_):
    here = page.file.src_uri
    path = path_of(here)
    if here.startswith(SOURCES) and not path.endswith(".md"):
        return markdown
    markdown = MARKERS.sub("", markdown)
    markdown = relink(markdown, path, here)
    return DETAILS.sub(fold, markdown)


def relink(markdown, path, here):
    """Links between files become links between their pages."""

    def replace(match):
        there = match["target"] and linked_path(path, match["target"])
        if not there:
            return match.group()
        return match["before"] + posixpath.relpath(page_of(there), posixpath.dirname(here) or ".")

    return CODE_OR_LINK.sub(replace, markdown)


def fold(match):
    """<details> inside a list, indented by three as code hosts want it, as Python-Markdown wants it: by four."""
    summary, body = match.groups()
    inside = match.group().startswith(" ")
    indent = " " * (4 if inside else 0)
    lines = [line[3:] if inside else line for line in body.strip("\n").split("\n")]
    folded = "\n".join(f"{indent}    {line}" if line.strip() else "" for line in lines)
    return f'\n{indent}??? note "{summary}"\n\n{folded}\n'


def on_page_content(html, **_):
    """A path in a table may be broken after its folders."""
    return re.sub(
        r"<td[^>]*>.*?</td>",
        lambda cell: re.sub(r"(?<=[\w])/(?=[^<>]*</code>)", "/<wbr>", cell[0]),
        html,
        flags=re.DOTALL,
    )


def on_post_page(output, page, **_):
    """Scripts and styles only where a page has use for them: for a formula, and for the player."""
    base = posixpath.relpath(".", posixpath.dirname(page.file.src_uri) or ".")
    style, script = '<link rel="stylesheet" href="{}/{}">', '<script {} src="{}/{}"></script>'
    head = ""
    if 'class="arithmatex"' in output:
        head += style.format(base, "site/katex/katex.min.css")
        head += script.format("defer", base, "site/katex/katex.min.js") + script.format("defer", base, "site/math.js")
    if 'id="run-player"' in output:
        head += style.format(base, "see-it-run/player.css")
        head += script.format('type="module"', base, "see-it-run/player.js")
    return output.replace("</head>", head + "</head>")
