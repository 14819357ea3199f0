"""The glossary's terms in the pages: the first use of each in a page's prose leads to the glossary."""

import re

# What is no prose, in this order: code, what is generated, headings, tables, pictures, the lines above the first
# section, the list of papers, code spans.
NO_PROSE = [
    re.compile(pattern, re.DOTALL | re.MULTILINE)
    for pattern in (
        r"^ *```.*?^ *```",
        r"<!-- (code|table|difference|plot): .*?<!-- /\1 -->",
        r"<!--.*?-->",
        r"\A.*?(?=^## )",
        r"^## Papers.*\Z",
        r"^#.*?$",
        r"^ *\|.*?$",
        r"^!\[.*?\)$",
        r"`[^`\n]*`",
    )
]
LINK = re.compile(r"\[[^\]]*\]\(([^)]*)\)")


def slug_of(term):
    return re.sub(r"[^\w\- ]", "", term.lower()).replace(" ", "-")


def terms_of(glossary):
    return re.findall(r"^### (.+)$", glossary, re.MULTILINE)


def blanked(match):
    """As long as what was matched, and with its lines, so that places stay."""
    return re.sub(r"[^\n]", "\0", match.group())


def pattern_of(term):
    """The term in the singular or plural; its first letter large or small, unless it is an abbreviation."""
    words = [re.escape(word) for word in term.split()]
    if not term[:2].isupper():
        words[0] = f"[{term[0].upper()}{term[0].lower()}]" + words[0][1:]
    return r"(?<![\w.-])" + r"\s+".join(words) + r"(?:s|es)?(?![\w-])"


def unlinked_uses(text, terms):
    """(begin, end, term) of each term whose first use in the prose does not lead to the glossary, nor does one before
    it. Where one term contains another, such as "KV head" and "head", only the longer one is used."""
    if not terms:
        return
    prose = text
    for pattern in NO_PROSE:
        prose = pattern.sub(blanked, prose)
    linked = {}
    for link in LINK.finditer(text):
        page, _, anchor = link[1].partition("#")
        if page == "glossary.md":
            linked.setdefault(anchor, link.start())
    prose = LINK.sub(blanked, prose)

    longest_first = sorted(terms, key=len, reverse=True)
    any_term = re.compile("|".join(f"({pattern_of(term)})" for term in longest_first))
    seen = set()
    for use in any_term.finditer(prose):
        term = longest_first[use.lastindex - 1]
        if term in seen:
            continue
        # After "thread block" a mere "block" means that one.
        short = any(
            longer.lower().endswith(f" {term.lower()}")
            and (longer in seen or linked.get(slug_of(longer), len(text)) < use.start())
            for longer in terms
        )
        seen.add(term)
        if not short and linked.get(slug_of(term), len(text)) > use.start():
            yield use.start(), use.end(), term


def with_links(text, terms):
    """The text with a link for each of them; paragraphs that got too wide are wrapped anew."""
    for begin, end, term in sorted(unlinked_uses(text, terms), reverse=True):
        text = f"{text[:begin]}[{text[begin:end]}](glossary.md#{slug_of(term)}){text[end:]}"
        first = max(map(text[:begin].rfind, ("\n\n", "\n- ", "\n1. ")))
        lines = text[first:].lstrip("\n").split("\n")
        length = next(
            (i for i, line in enumerate(lines) if i > 0 and re.match(r"\s*(?:[-*|<] |\d+\. |<details|```|$)", line)),
            len(lines),
        )
        paragraph = "\n".join(lines[:length])
        text = text.replace(paragraph, wrapped(paragraph), 1)
    return text


def wrapped(paragraph, width=120):
    """A paragraph or list item in lines of this width. A number stays behind the word before it: a comment that begins
    a line would end the paragraph."""
    if max(map(len, paragraph.split("\n"))) <= width:
        return paragraph
    indent = " " * re.match(r"\s*(?:[-*] |\d+\. )?", paragraph).end()
    words = re.findall(r"(?:`[^`]*`|\s+<!--.*?-->[^<]*<!--.*?-->|\S)+", paragraph[len(indent) :], re.DOTALL)
    lines = [paragraph[: len(indent)]]
    for word in (" ".join(word.split()) for word in words):
        if len(lines[-1]) + len(word) + 1 > width and lines[-1].strip():
            lines.append(indent)
        lines[-1] += ("" if len(lines[-1]) == len(indent) else " ") + word
    return "\n".join(lines)
