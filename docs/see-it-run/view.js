// Draws where a replay stands: the panels for which the recording has something to show.

import {blockChart, slotChart, timeChart} from "./charts.js";
import {count, element, shape} from "./elements.js";

const COLORS = ["#0072B2", "#B84F00", "#007F5F", "#98508A", "#8A5C00", "#3B6FB6", "#6B6B6B"];  // white reads on all

export class View {
  constructor(root, replay, results) {
    this.replay = replay;
    this.results = results;
    this.order = new Map();  // of sequences, for their colors
    this.served = replay.track.served === true;
    this.covers = [];  // over what has not happened yet, one in each chart
    this.lively = [];  // [body, how to draw it]

    const {steps} = replay;
    const sequences = steps.flatMap((step) => step.sequences);
    const some = (field) => sequences.some((s) => s[field] !== null);
    const panels = [];
    if (this.served) {
      panels.push(
          this.chart("Slots over time", slotChart(replay, (id) => this.color(id))),
          this.live("In this step", this.drawServed));
    } else {
      panels.push(this.live("Text", this.drawTexts));
      const alone =
          steps.every((step) => step.sequences.length === 1) && new Set(sequences.map((s) => s.id)).size === 1;
      if (alone && some("fed")) panels.push(this.live("Tokens that pass through the model", this.drawPasses));
    }
    if (some("blocks"))
      panels.push(this.live("Blocks and block tables", this.drawBlocks));
    else if (steps.some((step) => step.freeBlocks !== null))
      panels.push(this.chart("Blocks in use", blockChart(replay)));
    if (steps.some((step) => step.ms !== null)) panels.push(this.chart("Time of each step", timeChart(replay)));
    root.replaceChildren(...panels);
  }

  draw() {
    for (const [body, drawInto] of this.lively) drawInto.call(this, body);
    const done = (100 * (this.replay.index + 1)) / this.replay.steps.length;
    for (const cover of this.covers) {
      cover.setAttribute("x", `${done}%`);
      cover.setAttribute("width", `${100 - done}%`);
    }
  }

  live(title, drawInto) {
    const body = element("div");
    this.lively.push([body, drawInto]);
    return element("section", {class: "run-panel"}, element("h3", {}, title), body);
  }

  chart(title, {svg, note}) {
    const cover = shape("rect", {class: "run-cover", y: 0, height: "100%"});
    svg.append(cover);
    this.covers.push(cover);
    return element(
        "section", {class: "run-panel"}, element("h3", {}, title), svg, element("p", {class: "run-note"}, note));
  }

  // One sentence for the line below the controls, and for those who listen.
  status() {
    const {index, steps, step, sequences} = this.replay;
    if (index < 0) return `Before the first of ${count(steps.length, "step")}`;
    const parts = [`Step ${index + 1} of ${steps.length}: ${step.name}`];
    const fed = [...sequences.values()].reduce((sum, s) => sum + s.fed, 0);
    if (fed > 0) parts.push(`${count(fed, "token")} passed`);
    if (step.ms !== null) parts.push(`${step.ms.toPrecision(3)} ms`);
    for (const {id, from, to} of this.replay.copies) parts.push(`sequence ${id} copied block ${from} to ${to}`);
    if (this.served) parts.push(`${this.running().length} running`);
    return parts.join(", ");
  }

  color(id) {
    if (!this.order.has(id)) this.order.set(id, this.order.size);
    return COLORS[this.order.get(id) % COLORS.length];
  }

  running() { return this.replay.slots.filter((id) => id !== null); }

  // ---- text: tokens as they came ----

  drawTexts(body) {
    const {sequences, index} = this.replay;
    const several = sequences.size > 1;
    const lines = [...sequences.values()].map((s) => {
      const line = element(
          "p", {class: "run-text"}, several ? this.chip(s.id) : null, element("span", {class: "run-prompt"}, s.prompt));
      s.pieces.forEach((piece, i) => {
        const fresh = piece.step === index;
        line.append(element(
            "span", {class: `run-token run-${piece.kind}${fresh ? " run-fresh" : ""} run-${i % 2 ? "odd" : "even"}`},
            piece.text));
      });
      if (s.last < index && index >= 0) line.append(element("span", {class: "run-end", title: "ended"}, " ∎"));
      if (s.cached !== null)
        line.append(element("span", {class: "run-note"}, ` ${count(s.cached, "token")} from the cache`));
      return line;
    });
    const drafted = this.replay.steps.some((step) => step.sequences.some((s) => s.drafted));
    body.replaceChildren(
        ...lines,
        drafted ? legend([
          ["run-accepted", "drafted and accepted"], ["run-rejected", "drafted and rejected"],
          ["run-sampled", "the big model's own"]
        ]) :
                  "");
  }

  chip(id) {
    const label = element("span", {class: "run-chip"}, id);
    label.style.background = this.color(id);
    return label;
  }

  // ---- which tokens pass through the model ----

  drawPasses(body) {
    const sequence = [...this.replay.sequences.values()][0];
    if (!sequence) return body.replaceChildren();
    const cells = element("div", {class: "run-cells", "aria-hidden": "true"});
    const text = sequence.length ?? sequence.total;
    const known = text + (sequence.drafted?.length ?? 0);
    for (let position = 0; position < known; ++position) {
      cells.append(
          element("span", {class: position < known - sequence.fed ? "run-cell run-kept" : "run-cell run-fed"}));
    }
    body.replaceChildren(
        cells, legend([["run-cell run-fed", "passes in this step"], ["run-cell run-kept", "keys and values are kept"]]),
        element(
            "p", {class: "run-note"},
            `${count(sequence.fed, "token")} in this step, ${sequence.total.toLocaleString("en-US")} in all, for ${
                count(text, "token")} of text.`));
  }

  // ---- blocks: the pool, and the table of each sequence ----

  drawBlocks(body) {
    const {step, sequences, copies} = this.replay;
    if (!step) return body.replaceChildren();
    const owners = this.replay.blocks();
    const copied = new Map(copies.map(({from, to}) => [to, from]));
    const pool = element("div", {class: "run-pool"});
    const total = step.numBlocks ?? Math.max(0, ...owners.keys()) + 1;
    for (let block = 0; block < total; ++block)
      pool.append(this.block(block, owners.get(block), copied, step.blockSize));
    const tables = [...sequences.values()]
                       .filter((s) => s.blocks.length > 0)
                       .map(
                           (s) => element(
                               "p", {class: "run-table"}, this.chip(s.id),
                               ...s.blocks.map((block) => this.entry(block, owners.get(block), copied))));
    const free = step.freeBlocks === null ? "" : `${step.freeBlocks} of ${total} blocks are free. `;
    body.replaceChildren(
        pool,
        element(
            "p", {class: "run-note"},
            `${free}A block has room for ${
                count(
                    step.blockSize ?? 1,
                    "token")}; ×2 means two owners, 5←3 that block 5 is a copy of block 3, made in this step.`),
        ...tables);
  }

  block(block, owner, copied, blockSize) {
    if (!owner) return element("span", {class: "run-block run-free", title: `block ${block}, free`}, String(block));
    const shared = owner.ids.length > 1;
    const title = `block ${block}: ${owner.filled} of ${blockSize ?? "?"} filled, ${shared ? "shared by" : "of"} ${
                      owner.ids.join(", ")}` +
        (copied.has(block) ? `, a copy of ${copied.get(block)}` : "");
    const cell = element(
        "span", {class: `run-block${shared ? " run-shared" : ""}${copied.has(block) ? " run-copied" : ""}`, title},
        element(
            "span", {class: "run-number"},
            `${block}${shared ? `×${owner.ids.length}` : ""}${copied.has(block) ? `←${copied.get(block)}` : ""}`));
    cell.style.setProperty("--color", shared ? "#555555" : this.color(owner.ids[0]));
    cell.style.setProperty("--filled", `${(100 * owner.filled) / (blockSize ?? 1)}%`);
    return cell;
  }

  entry(block, owner, copied) {
    const marks =
        `${owner.ids.length > 1 ? `×${owner.ids.length}` : ""}${copied.has(block) ? `←${copied.get(block)}` : ""}`;
    return element("span", {class: `run-entry${copied.has(block) ? " run-copied" : ""}`}, `${block}${marks}`);
  }

  // ---- serving: who is in which slot, who waits ----

  drawServed(body) {
    const {step, slots, sequences, steps, index} = this.replay;
    if (!step) return body.replaceChildren();
    const hits = [...this.results.values()].flat().some((result) => result.cached_tokens > 0);
    const names = ["slot", "request", "computes", "in all", ...(hits ? ["from the cache"] : [])];
    const rows = slots.map((id, slot) => {
      const s = id === null ? null : sequences.get(id);
      const what = !s ? "empty" :
          s.fed > 1   ? `${count(s.fed, "token")} of its prompt` :
            s.fed === 1 ? "1 token" :
                          "nothing in this step";
      const cached = s ? this.resultOf(s)?.cached_tokens : null;
      const cells = [
        String(slot), s ? this.chip(id) : "", what, s ? s.total.toLocaleString("en-US") : "",
        cached ? String(cached) : ""
      ];
      return element("tr", {}, ...cells.slice(0, names.length).map((cell) => element("td", {}, cell)));
    });
    const table = element(
        "table", {class: "run-slots"},
        element("thead", {}, element("tr", {}, ...names.map((h) => element("th", {}, h)))),
        element("tbody", {}, ...rows));
    const evicted = [...sequences.values()].filter((s) => s.status === "preempted").map((s) => s.id);
    const done = this.replay.finished;
    const preempted =
        steps.slice(0, index + 1)
            .reduce((sum, s) => sum + (Array.isArray(s.preempted) ? s.preempted.length : s.preempted ?? 0), 0);
    body.replaceChildren(
        element("div", {class: "run-scroll"}, table),
        this.line(
            "waiting", Array.isArray(step.waiting) ? step.waiting : evicted,
            Array.isArray(step.waiting) ? null : step.waiting),
        this.line("preempted in this step", step.preempted ?? []), this.line("finished", done.map((s) => s.id)),
        element("p", {class: "run-note"}, `Preemptions so far: ${preempted}.`),
        ...done.slice(-3).map((s) => this.result(s)).filter((p) => p !== null));
  }

  line(what, ids, number = null) {
    const list = Array.isArray(ids) ? ids : [];
    const shown = list.slice(-24);
    const howMany = number ?? (Array.isArray(ids) ? list.length : ids);
    return element(
        "p", {class: "run-line"}, `${what}: ${howMany} `, list.length > shown.length ? "… " : "",
        ...shown.map((id) => this.chip(id)));
  }

  resultOf(sequence) { return this.results.get(sequence.id)?.[sequence.life]; }

  result(sequence) {
    const result = this.resultOf(sequence);
    if (!result) return null;
    const notes = [result.finish_reason];
    if (result.cached_tokens) notes.push(`${count(result.cached_tokens, "token")} from the cache`);
    if (result.preemptions) notes.push(count(result.preemptions, "preemption"));
    return element(
        "p", {class: "run-text"}, this.chip(sequence.id), result.text ?? "",
        element("span", {class: "run-note"}, ` (${notes.join(", ")})`));
  }
}

function legend(entries) {
  return element(
      "p", {class: "run-legend"},
      ...entries.map(
          ([style, words]) => element(
              "span", {}, element("span", {class: `run-sample ${style}`}, style.includes("cell") ? "" : "abc"),
              ` ${words}`)));
}
