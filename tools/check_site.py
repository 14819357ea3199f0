"""Looks at the built site as readers do, in a headless Chromium; says what is wrong and then exits with 1.

    tools/check_site [FOLDER]    builds the site, runs this, and keeps screenshots in FOLDER

Every page, light on a desktop and dark on a phone: no error or warning in the console, nothing from elsewhere, no image
missing, no formula or link broken, nothing wider than the screen. Search finds. The player plays each recorded run to
its end and shows what the file says.
"""

import functools
import http.server
import json
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from playwright.sync_api import sync_playwright

SITE = Path(__file__).resolve().parent.parent / "build" / "site"
SCREENS = [("desktop", {"width": 1280, "height": 900}, "light"), ("phone", {"width": 390, "height": 844}, "dark")]

FACTS = """() => ({
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  links: [...document.querySelectorAll("a[href]")].map((a) => a.href),
  ids: [...document.querySelectorAll("[id], [name]")].flatMap((e) => [e.id, e.getAttribute("name")]),
  images: [...document.images].filter((i) => i.complete && i.naturalWidth === 0).map((i) => i.src),
  formulas: [...document.querySelectorAll(".arithmatex")].filter((f) => !f.querySelector(".katex")
                                                                   || f.querySelector(".katex-error")).length,
})"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # a browser that has left; what it misses it says itself


def serve():
    server = Server(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


class Check:
    def __init__(self, browser, base, screenshots):
        self.browser, self.base, self.screenshots = browser, base, screenshots
        self.complaints = []
        self.links = {}  # from a page's address: the addresses it leads to
        self.ids = {}  # of a page's address: the anchors it has

    def complain(self, page, what):
        self.complaints.append(f"{page}: {what}")

    def open(self, name, size, scheme):
        """A page in which everything that goes wrong is noted under its name."""
        page = self.browser.new_page(viewport=size, color_scheme=scheme, reduced_motion="reduce")
        page.on("console", lambda m: m.type in ("error", "warning") and self.complain(name, f"console: {m.text}"))
        page.on("pageerror", lambda error: self.complain(name, f"script: {error}"))
        page.on("requestfailed", lambda r: self.complain(name, f"{r.url} failed"))
        page.on("response", lambda r: r.status >= 400 and self.complain(name, f"{r.url}: {r.status}"))
        page.on(
            "request",
            lambda r: not r.url.startswith((self.base, "data:", "blob:"))
            and self.complain(name, f"asks elsewhere for {r.url}"),
        )
        page.goto(self.base + name, wait_until="load")
        return page

    # ---- every page ----

    def every_page(self):
        names = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
        for screen, size, scheme in SCREENS:
            for name in names:
                self.one_page(name, screen, size, scheme)
        self.dead_links()
        return len(names)

    def one_page(self, name, screen, size, scheme):
        page = self.open(name, size, scheme)
        if name == "see-it-run.html":
            page.wait_for_selector(".run-panel")
        facts = page.evaluate(FACTS)
        where = f"{name} on a {screen}"
        if facts["overflow"] > 0:
            self.complain(where, f"is {facts['overflow']} pixels wider than the screen")
        for image in facts["images"]:
            self.complain(where, f"{image} is no image")
        if facts["formulas"]:
            self.complain(where, f"{facts['formulas']} formulas are not set")
        self.links[name], self.ids[name] = facts["links"], set(facts["ids"])
        if self.screenshots and not name.startswith("source/"):
            page.screenshot(path=self.screenshots / f"{name.replace('/', '-')}-{screen}.png", full_page=True)
        page.close()

    def dead_links(self):
        for name, links in self.links.items():
            for link in dict.fromkeys(links):
                if not link.startswith(self.base):
                    if name != "404.html" and not link.startswith(("http://", "https://", "mailto:")):
                        self.complain(name, f"the link {link} leads nowhere")
                    continue
                path = unquote(urlsplit(link).path).lstrip("/") or "index.html"
                anchor = unquote(urlsplit(link).fragment)
                if not (SITE / path).is_file():
                    if (SITE / path / "index.html").is_file() or name == "404.html":
                        continue
                    self.complain(name, f"the link to {path} leads nowhere")
                elif anchor and path in self.ids and anchor not in self.ids[path]:
                    self.complain(name, f"{path} has no anchor #{anchor}")

    # ---- search, light and dark ----

    def search(self):
        for screen, size, scheme in SCREENS:
            page = self.open("index.html", size, scheme)
            if screen == "phone":
                page.click("label.md-header__button[for=__search]")
            page.click(".md-search__input")
            page.keyboard.type("copy-on-write")
            try:
                page.wait_for_selector(".md-search-result__link[href*='03-paged-attention']", timeout=10_000)
            except Exception:
                self.complain("index.html", f"search on a {screen} does not find copy-on-write in chapter 3")
            page.close()

    def palette(self):
        page = self.open("index.html", *SCREENS[0][1:])
        scheme = lambda: page.get_attribute("body", "data-md-color-scheme")
        before = scheme()
        page.click("label[title=Dark]")
        if (before, scheme()) != ("default", "slate"):
            self.complain("index.html", f"the page was {before} and is {scheme()} after a click on Dark")
        page.close()

    # ---- the player ----

    def player(self):
        recordings = SITE / "see-it-run" / "recordings"
        runs = json.loads((recordings / "index.json").read_text(encoding="utf-8"))
        if not runs:
            self.complain("see-it-run.html", "there is no recorded run")
        for screen, size, scheme in SCREENS:
            page = self.open("see-it-run.html", size, scheme)
            player = Player(
                page, lambda what, screen=screen: self.complain("see-it-run.html", f"{what}, on a {screen}")
            )
            for run in runs:
                player.choose(run["title"])
                first = (recordings / run["files"][0]).read_text(encoding="utf-8")
                for track in range(player.num_tracks()):
                    player.play_to_the_end(run["title"], track)
                    player.compare(run["title"], track, first)
            player.keys()
            player.own_files()
            page.close()
        return len(runs)


class Player:
    def __init__(self, page, complain):
        self.page, self.complain = page, complain
        page.wait_for_selector(".run-panel")

    def choose(self, title):
        self.page.select_option("#run-recorded", label=title)
        self.page.wait_for_function("title => window.runPlayer.title === title", arg=title)

    def num_tracks(self):
        return self.page.locator("#run-tracks option").count()

    def show(self, track):
        if self.num_tracks() > 1:
            self.page.select_option("#run-tracks", index=track)

    def num_steps(self):
        return int(self.page.get_attribute("#run-player input[type=range]", "max"))

    def status(self):
        return self.page.inner_text(".run-status")

    def text(self):
        """What stands in the text panel, without the labels of sequences and without what was rejected."""
        return self.page.evaluate(
            """() => [...document.querySelectorAll("#run-player .run-text")].map((line) =>
          [...line.querySelectorAll(".run-prompt, .run-token:not(.run-rejected)")].map((s) => s.textContent).join(""))"""
        )

    def play_to_the_end(self, title, track):
        page = self.page
        self.show(track)
        steps = self.num_steps()
        page.select_option("#run-speed", label="100 steps/s")
        page.click("#run-player button[aria-label='to the start']")
        page.click("#run-player button[aria-label=play]")
        try:
            page.wait_for_selector("#run-player button[aria-label=play]", timeout=10_000 + 100 * steps)
        except Exception:
            pass  # said below
        if not self.status().startswith(f"Step {steps} of {steps}"):
            self.complain(f'"{title}", track {track}, ends at "{self.status()}"')
        overflow = page.evaluate(FACTS)["overflow"]
        if overflow > 0:
            self.complain(f'"{title}", track {track}, is {overflow} pixels wider than the screen')

    def compare(self, title, track, file):
        """What is shown at the end beside what the file says: the words of a trace, the requests of a step log."""
        if not file.startswith('{"displayTimeUnit"'):
            last = [json.loads(line) for line in file.splitlines()]
            wanted = sum(len(step["finished"]) for step in last)
            shown = int(self.page.inner_text(".run-line:has-text('finished')").split()[1])
            if wanted != shown:
                self.complain(f'"{title}" shows {shown} finished requests where there are {wanted}')
            return
        events = json.loads(file)["traceEvents"]
        steps = {event["args"]["step"] for event in events if event["ph"] == "X" and "tokens" in event["args"]}
        if steps:  # a row a slot
            if self.num_steps() != len(steps):
                self.complain(f'"{title}" has {self.num_steps()} steps where the file has {len(steps)}')
            return
        rows = sorted({event["tid"] for event in events if event["ph"] == "X"})
        bars = [event["args"] for event in events if event["ph"] == "X" and event["tid"] == rows[track]]
        said, tables, copies = {}, {}, 0
        for args in bars:
            for one in args.get("sequences", [{"id": 0, **args}]):
                kept = [
                    d if isinstance(d, str) else d["text"] for d in one.get("drafted", [])[: one.get("accepted", 0)]
                ]
                said[one["id"]] = (
                    said.get(one["id"], args.get("prompt", bars[0].get("prompt", "")))
                    + "".join(kept)
                    + one.get("text", "")
                )
                before, after = tables.get(one["id"], []), one.get("block_table", [])
                copies += sum(a != b for a, b in zip(before, after))
                tables[one["id"]] = after
        if self.text() != list(said.values()):
            self.complain(f'"{title}", track {track}, shows {self.text()} where the file says {list(said.values())}')
        shown = 0
        for step in range(len(bars) if copies else 0):
            self.page.evaluate("step => window.runPlayer.go(step)", step)
            shown += self.page.locator(".run-entry.run-copied").count()
        if shown != copies:
            self.complain(f'"{title}", track {track}, shows {shown} copies of blocks where there are {copies}')

    def keys(self):
        self.page.focus("#run-player input[type=range]")
        for key, wanted in [
            ("Home", "Before"),
            ("ArrowRight", "Step 1 "),
            ("ArrowRight", "Step 2 "),
            ("ArrowLeft", "Step 1 "),
            ("PageDown", "Step 11 "),
            ("End", f"Step {self.num_steps()} "),
            ("Home", "Before"),
        ]:
            self.page.keyboard.press(key)
            if not self.status().startswith(wanted):
                self.complain(f'{key} leads to "{self.status()}", not to "{wanted}"')
        self.page.keyboard.press("Space")
        if self.page.locator("#run-player button[aria-label=pause]").count() != 1:
            self.complain("space does not play")
        self.page.keyboard.press("Space")

    def own_files(self):
        log = [
            {
                "step": 0,
                "scheduled": {"a": 5, "<b>": 3},
                "running": 2,
                "waiting": 1,
                "preempted": [],
                "finished": [],
                "free_blocks": 2,
            },
            {
                "step": 1,
                "scheduled": {"a": 1},
                "running": 1,
                "waiting": 2,
                "preempted": ["<b>"],
                "finished": ["a"],
                "free_blocks": 3,
            },
            {
                "step": 2,
                "scheduled": {"<b>": 4, "c": 1},
                "running": 2,
                "waiting": 0,
                "preempted": [],
                "finished": ["<b>", "c"],
                "free_blocks": 1,
            },
        ]
        results = [{"id": "a", "text": "A red kite.", "finish_reason": "stop", "cached_tokens": 4, "preemptions": 0}]
        with tempfile.TemporaryDirectory() as folder:

            def put(name, text):
                path = Path(folder) / name
                path.write_text(text, encoding="utf-8")
                return str(path)

            lines = lambda records: "\n".join(json.dumps(record) for record in records) + "\n"
            both = [put("steps.jsonl", lines(log)), put("results.jsonl", lines(results))]
            self.page.set_input_files("#run-files", both)
            self.page.wait_for_function(
                "() => document.querySelector('.run-status').textContent.startsWith('Step 1 of 3')"
            )
            self.page.click("#run-player button[aria-label='a step on']")
            shown = self.page.inner_text("#run-player")
            for wanted in (
                "preempted in this step: 1",
                "A red kite. (stop, 4 tokens from the cache)",
                "<b>",
                "waiting: 2",
            ):
                if wanted not in shown:
                    self.complain(f'of a step log "{wanted}" is not shown, but:\n{shown}')
            for name, text, wanted in [
                ("empty.json", "", "empty.json is empty."),
                ("half.json", '{"traceEvents": [', "half.json, line 1"),
                ("other.json", '{"a": 1}', "neither a --trace nor a --step-log"),
                ("none.json", '{"traceEvents": []}', "none.json has no step"),
                ("results.jsonl", lines(results), "results alone"),
            ]:
                self.page.set_input_files("#run-files", [put(name, text)])
                try:
                    self.page.wait_for_function(
                        "w => document.querySelector('.run-status').textContent.includes(w)", arg=wanted, timeout=5000
                    )
                except Exception:
                    self.complain(f'{name} gives "{self.status()}", not "{wanted}"')


def main():
    screenshots = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if screenshots:
        screenshots.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to have one as root
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=sandbox)
        check = Check(browser, serve(), screenshots)
        num_pages = check.every_page()
        check.search()
        check.palette()
        num_runs = check.player()
        browser.close()
    for line in check.complaints:
        print(line)
    print(
        f"{len(check.complaints)} to mend" if check.complaints else f"{num_pages} pages and {num_runs} runs are right"
    )
    return 1 if check.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
