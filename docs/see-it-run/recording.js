// Reads what the programs write into one form. A recording has tracks, a track has steps, and a step is
//
//   { name, ms, sequences: [{ id, ... }], blockSize, numBlocks, freeBlocks, waiting, preempted, finished, left }
//
// where all but `sequences` may be null, and so may all of a sequence's fields but its id:
//
//   prompt   text before the first token              text      what was said in this step
//   fed      tokens that passed through the model     length    tokens whose keys and values are kept afterwards
//   blocks   the sequence's block table               cached    tokens found in the cache when it began
//   drafted  [text] proposed in this step             accepted  how many of them were kept

export class RecordingError extends Error {}

// files: [{ name, text }], opened together: a trace, or a step log with or without the results of the same run.
export function readRecording(files) {
  const tracks = [];
  const results = new Map();  // by id; a list, for an id may come again when its request has ended
  for (const {name, text} of files) {
    const records = parse(name, text);
    if (records.events)
      tracks.push(...readTrace(name, records.events));
    else if (records.lines[0].scheduled)
      tracks.push(readStepLog(name, records.lines));
    else if ("finish_reason" in records.lines[0])
      for (const line of records.lines) push(results, String(line.id), line);
    else
      throw new RecordingError(`${name} is neither a --trace nor a --step-log file.`);
  }
  const played = tracks.filter((track) => track.steps.length > 0);
  if (played.length === 0 && results.size > 0) {
    throw new RecordingError("These are results alone: open the run's --step-log file with them.");
  }
  if (played.length === 0) throw new RecordingError(`${files[0].name} has no step in it.`);
  return {tracks: played, results};
}

const NOTHING = {
  ms: null,
  blockSize: null,
  numBlocks: null,
  freeBlocks: null,
  waiting: null,
  preempted: null,
  finished: null,
  left: null
};
const NOBODY = {
  prompt: null,
  text: null,
  fed: null,
  length: null,
  blocks: null,
  cached: null,
  drafted: null,
  accepted: null
};

function push(map, key, value) {
  if (!map.has(key)) map.set(key, []);
  map.get(key).push(value);
}

function parse(name, text) {
  try {
    const whole = JSON.parse(text);
    const events = Array.isArray(whole) ? whole : whole.traceEvents;
    if (Array.isArray(events)) return {events};
  } catch {
    // Not one value: perhaps one a line.
  }
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0) throw new RecordingError(`${name} is empty.`);
  return {
    lines: lines.map((line, i) => {
      try {
        const value = JSON.parse(line);
        if (value !== null && typeof value === "object") return value;
      } catch {
        // Said below.
      }
      throw new RecordingError(`${name}, line ${i + 1}: this is not JSON that a program of this book writes.`);
    }),
  };
}

// ---- --trace: Chrome trace events, one bar a step; each named row is a track ----

function readTrace(name, events) {
  const rows = new Map();  // by row: its name and bars
  const row = (event) => {
    const id = event.tid ?? 0;
    if (!rows.has(id)) rows.set(id, {id, name: `row ${id}`, bars: []});
    return rows.get(id);
  };
  for (const event of events) {
    if (event.ph === "M" && event.name === "thread_name") row(event).name = event.args.name;
    if (event.ph === "X") row(event).bars.push(event);
  }
  const inOrder = [...rows.values()].sort((a, b) => a.id - b.id);
  for (const {bars} of inOrder) bars.sort((a, b) => a.ts - b.ts);
  const bars = inOrder.flatMap((one) => one.bars.map((bar) => ({...bar, slot: one.id})));
  if (bars.length > 0 && bars.every(({args}) => args?.step !== undefined && args.tokens !== undefined)) {
    return [readSlots(name, bars)];
  }
  return inOrder.map(({id, name: rowName, bars}) => ({name: rowName, steps: bars.map((bar) => readBar(id, bar))}));
}

function readBar(row, {name, dur, args = {}}) {
  const sequences = (args.sequences ?? [{id: row, ...args}]).map(readSequence);
  if (args.prompt !== undefined)
    for (const sequence of sequences) sequence.prompt ??= args.prompt;
  return {
    ...NOTHING,
    name,
    ms: dur / 1000,
    sequences,
    blockSize: args.block_size ?? null,
    numBlocks: args.num_blocks ?? null,
    freeBlocks: args.free_blocks ?? null,
    waiting: idsOf(args.waiting),
    preempted: idsOf(args.preempted),
    finished: idsOf(args.finished),
  };
}

function readSequence(args) {
  const drafted =
      Array.isArray(args.drafted) ? args.drafted.map((d) => (typeof d === "string" ? d : d.text ?? "?")) : null;
  return {
    id: String(args.id),
    prompt: args.prompt ?? null,
    text: args.text ?? null,
    fed: args.token_passes ?? null,
    length: args.length ?? args.position ?? null,  // the token at a position comes after as many that are kept
    blocks: args.block_table ?? null,
    cached: args.cached_tokens ?? null,
    drafted,
    accepted: drafted && (args.accepted ?? 0),
  };
}

// One row a slot, one bar for each sequence in each step, named "ID decode" or "ID prefill".
function readSlots(name, bars) {
  const steps = new Map();
  for (const {name: what, dur, args, slot} of bars.sort((a, b) => a.args.step - b.args.step)) {
    if (!steps.has(args.step))
      steps.set(args.step, {...NOTHING, name: `step ${args.step}`, ms: dur / 1000, sequences: []});
    const id = what.slice(0, what.lastIndexOf(" "));
    steps.get(args.step).sequences.push({...NOBODY, id, slot, fed: args.tokens, length: args.context ?? null});
  }
  // Who is missing from a step has left; whether it ended or was preempted, such a file does not say.
  const inOrder = [...steps.values()];
  inOrder.slice(1).forEach(({sequences}, i) => {
    const present = new Set(sequences.map((s) => s.id));
    inOrder[i].left = inOrder[i].sequences.map((s) => s.id).filter((id) => !present.has(id));
  });
  return {name, steps: inOrder, served: true};
}

// ---- --step-log: one line a step ----

function readStepLog(name, lines) {
  const most = Math.max(...lines.map((line) => line.free_blocks ?? 0));
  const steps =
      lines.map((line) => ({
                  ...NOTHING,
                  name: `step ${line.step}`,
                  sequences: Object.entries(line.scheduled ?? {}).map(([id, fed]) => ({
                                                                        ...NOBODY,
                                                                        id,
                                                                        fed,
                                                                        cached: line.cached_tokens?.[id] ?? null,
                                                                      })),
                  numBlocks: most,  // none is in use before the first step or after the last
                  freeBlocks: line.free_blocks ?? null,
                  waiting: idsOf(line.waiting),
                  preempted: idsOf(line.preempted),
                  finished: idsOf(line.finished),
                }));
  return {name, steps, served: true};
}

// A list of ids as it is; a mere count stays a count.
function idsOf(value) { return Array.isArray(value) ? value.map(String) : value ?? null; }
