// The player of see-it-run.md: opens a recording, and plays it step by step.
import {element} from "./elements.js";
import {readRecording, RecordingError} from "./recording.js";
import {Replay} from "./replay.js";
import {View} from "./view.js";

const RECORDINGS = new URL("recordings/", import.meta.url);
const SPEEDS = [
  ["1 step/s", 1], ["3 steps/s", 3], ["10 steps/s", 10], ["30 steps/s", 30], ["100 steps/s", 100],
  ["as it was timed", null]
];
const LONGEST_WAIT_MS = 2000;

class Player {
  constructor(root) {
    this.timer = null;
    this.button = (label, title, act) => {
      const button = element("button", {type: "button", title, "aria-label": title}, label);
      button.addEventListener("click", act);
      return button;
    };
    this.recorded = element("select", {id: "run-recorded"});
    this.files = element("input", {type: "file", id: "run-files", multiple: "", accept: ".json,.jsonl"});
    this.tracks = element("select", {id: "run-tracks"});
    this.slider = element("input", {type: "range", min: 0, value: 0, step: 1, "aria-label": "step"});
    this.speed =
        element("select", {id: "run-speed"}, ...SPEEDS.map(([name], i) => element("option", {value: i}, name)));
    this.speed.value = 2;
    this.playButton = this.button("▶", "play", () => this.toggle());
    this.status = element("p", {class: "run-status", role: "status", "aria-live": "polite"});
    this.stage = element("div");
    root.replaceChildren(
        element(
            "div", {class: "run-row"}, element("label", {}, "Recorded run ", this.recorded),
            element("label", {}, "or a file of your own ", this.files)),
        element(
            "div", {class: "run-row"}, element("label", {}, "Show ", this.tracks),
            element("label", {}, "Speed ", this.speed)),
        element(
            "div", {class: "run-row run-controls"}, this.button("|◀", "to the start", () => this.go(-1)),
            this.button("−1", "a step back", () => this.go(this.replay.index - 1)), this.playButton,
            this.button("+1", "a step on", () => this.go(this.replay.index + 1)),
            this.button("▶|", "to the end", () => this.go(Infinity)), this.slider),
        this.status, this.stage);
    this.recorded.addEventListener("change", () => this.openRecorded());
    this.files.addEventListener("change", () => this.openFiles([...this.files.files]));
    this.tracks.addEventListener("change", () => this.show(Number(this.tracks.value)));
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value) - 1));
    root.addEventListener("dragover", (event) => event.preventDefault());
    root.addEventListener("drop", (event) => {
      event.preventDefault();
      this.openFiles([...event.dataTransfer.files]);
    });
    root.addEventListener("keydown", (event) => this.key(event));
  }

  async start() {
    const list = await (await fetch(new URL("index.json", RECORDINGS))).json();
    this.recorded.append(...list.map(({title, files}) => element("option", {value: files.join(" ")}, title)));
    await this.openRecorded();
  }

  // ---- what is played ----

  async openRecorded() {
    const title = this.recorded.selectedOptions[0].text;
    await this.open(this.recorded.value.split(" ").map(async (name) => {
      const answer = await fetch(new URL(name, RECORDINGS));
      if (!answer.ok) throw new RecordingError(`${name} could not be loaded: ${answer.status}.`);
      return {name, text: await answer.text()};
    }));
    this.title = title;
  }

  async openFiles(files) {
    if (files.length > 0) await this.open(files.map(async (file) => ({name: file.name, text: await file.text()})));
  }

  async open(files) {
    this.pause();
    try {
      this.recording = readRecording(await Promise.all(files));
    } catch (error) {
      if (!(error instanceof RecordingError)) throw error;
      this.status.textContent = error.message;
      return;
    }
    this.tracks.replaceChildren(...this.recording.tracks.map(({name}, i) => element("option", {value: i}, name)));
    this.tracks.disabled = this.recording.tracks.length === 1;
    // What shows blocks shows the most.
    const track =
        this.recording.tracks.findLastIndex(({steps}) => steps.some((step) => step.sequences.some((s) => s.blocks)));
    this.tracks.value = Math.max(0, track);
    this.show(Math.max(0, track));
  }

  show(track) {
    this.pause();
    this.replay = new Replay(this.recording.tracks[track]);
    this.view = new View(this.stage, this.replay, this.recording.results);
    this.slider.max = this.replay.steps.length;
    this.go(0);
  }

  // ---- where it stands ----

  // After step `index`; -1: before the first.
  go(index) {
    if (!this.replay) return;
    this.replay.seek(index);
    this.slider.value = this.replay.index + 1;
    this.view.draw();
    this.status.textContent = this.view.status();
    this.slider.setAttribute("aria-valuetext", this.status.textContent);
    if (this.atEnd()) this.pause();
  }

  atEnd() { return this.replay.index === this.replay.steps.length - 1; }

  toggle() {
    if (this.timer !== null) return this.pause();
    if (!this.replay) return;
    if (this.atEnd()) this.go(-1);
    this.playButton.textContent = "❚❚";
    this.playButton.title = "pause";
    this.playButton.setAttribute("aria-label", "pause");
    this.status.setAttribute("aria-live", "off");  // nobody wants to hear every step
    this.wait();
  }

  wait() {
    const perSecond = SPEEDS[Number(this.speed.value)][1];
    const next = this.replay.steps[this.replay.index + 1];
    const ms = perSecond === null ? Math.min(next?.ms ?? 100, LONGEST_WAIT_MS) : 1000 / perSecond;
    this.timer = setTimeout(() => {
      this.go(this.replay.index + 1);
      if (this.timer !== null) this.wait();
    }, ms);
  }

  pause() {
    clearTimeout(this.timer);
    this.timer = null;
    this.playButton.textContent = "▶";
    this.playButton.title = "play";
    this.playButton.setAttribute("aria-label", "play");
    this.status.setAttribute("aria-live", "polite");
  }

  key(event) {
    if (/^(SELECT|INPUT)$/.test(event.target.tagName) && event.target !== this.slider) return;
    const moves = {ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10};
    if (event.key === " " && event.target.tagName !== "BUTTON")
      this.toggle();
    else if (event.key === "Home")
      this.go(-1);
    else if (event.key === "End")
      this.go(Infinity);
    else if (moves[event.key])
      this.go(this.replay.index + moves[event.key]);
    else
      return;
    event.preventDefault();
  }
}

window.runPlayer = new Player(document.getElementById("run-player"));  // for the console, and for tools/check_site
window.runPlayer.start();
