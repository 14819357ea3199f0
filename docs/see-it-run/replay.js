// Where a run stands after a given step.

export class Replay {
  constructor(track) {
    this.track = track;
    this.steps = track.steps;
    this.reset();
  }

  reset() {
    this.index = -1;             // of the last step that was played; -1: before the first
    this.sequences = new Map();  // by id, in the order in which they came
    this.slots = [];             // of ids; null where a slot is empty. Who finishes in a step leaves with the next one.
    this.finished = [];          // sequences as they ended
    this.step = null;
    this.copies = [];  // of this step: { id, from, to }
  }

  // Goes to the state after step `index`.
  seek(index) {
    const wanted = Math.max(-1, Math.min(index, this.steps.length - 1));
    if (wanted < this.index) this.reset();
    while (this.index < wanted) this.play(this.steps[++this.index]);
  }

  play(step) {
    for (const id of [...listOf(this.step?.finished), ...listOf(this.step?.left)]) this.leave(id);
    for (const id of listOf(step.preempted)) this.preempt(id);
    this.step = step;
    this.copies = [];
    for (const sequence of this.sequences.values()) sequence.fed = 0;
    for (const part of step.sequences) this.advance(this.sequence(part.id), part);
    for (const id of listOf(step.left)) this.sequence(id).status = "left";
    for (const id of listOf(step.finished)) {
      this.sequence(id).status = "finished";
      this.finished.push({...this.sequence(id)});
    }
  }

  sequence(id) {
    if (!this.sequences.has(id)) {
      this.sequences.set(id, {
        id,
        prompt: "",
        pieces: [],
        blocks: [],
        fed: 0,
        total: 0,
        length: null,
        cached: null,
        drafted: null,
        accepted: null,
        preemptions: 0,
        status: "waiting",
        life: 0,
        last: -1
      });
    }
    return this.sequences.get(id);
  }

  advance(sequence, part) {
    if (sequence.status !== "running") this.join(sequence, part.slot);
    sequence.last = this.index;
    if (part.prompt !== null) sequence.prompt = part.prompt;
    if (part.cached !== null) sequence.cached = part.cached;
    if (part.length !== null) sequence.length = part.length;
    sequence.fed = part.fed ?? 0;
    sequence.total += sequence.fed;
    sequence.drafted = part.drafted;
    sequence.accepted = part.accepted;
    if (part.drafted) {
      part.drafted.slice(0, part.accepted).forEach((text) => this.say(sequence, text, "accepted"));
      part.drafted.slice(part.accepted).forEach((text) => this.say(sequence, text, "rejected"));
    }
    if (part.text !== null) this.say(sequence, part.text, "sampled");
    if (part.blocks) {
      sequence.blocks.forEach((from, i) => {
        const to = part.blocks[i];
        if (to !== undefined && to !== from) this.copies.push({id: sequence.id, from, to});
      });
      sequence.blocks = part.blocks;
    }
  }

  say(sequence, text, kind) { sequence.pieces.push({text, kind, step: this.index}); }

  // Into a slot that the file names, or the first empty one.
  join(sequence, named) {
    if (sequence.status === "finished")
      Object.assign(sequence, {life: sequence.life + 1, total: 0, pieces: [], cached: null});
    sequence.status = "running";
    const empty = this.slots.indexOf(null);
    const slot = named ?? (empty < 0 ? this.slots.length : empty);
    while (this.slots.length <= slot) this.slots.push(null);
    if (this.slots[slot] !== null) this.sequence(this.slots[slot]).status = "finished";
    this.slots[slot] = sequence.id;
  }

  preempt(id) {
    const sequence = this.sequence(id);
    sequence.status = "preempted";
    sequence.preemptions += 1;
    this.leave(id);
  }

  leave(id) {
    this.sequence(id).blocks = [];
    const slot = this.slots.indexOf(id);
    if (slot >= 0) this.slots[slot] = null;
  }

  // By block: the sequences in whose tables it stands, and how many of its slots are filled.
  blocks() {
    const owners = new Map();
    const {blockSize} = this.step ?? {};
    for (const sequence of this.sequences.values()) {
      sequence.blocks.forEach((block, i) => {
        const filled = Math.max(0, Math.min(blockSize ?? 1, (sequence.length ?? 0) - i * (blockSize ?? 1)));
        const known = owners.get(block) ?? {ids: [], filled: 0};
        known.ids.push(sequence.id);
        known.filled = Math.max(known.filled, filled);
        owners.set(block, known);
      });
    }
    return owners;
  }
}

const listOf = (ids) => (Array.isArray(ids) ? ids : []);  // not where a file only says how many
