// Charts over all steps: { svg, note }.
import {count, shape} from "./elements.js";

// color: of an id.
export function slotChart(replay, color) {
  const {bars, numSlots} = slotsOverTime(replay);
  const length = replay.steps.length, height = Math.max(1, numSlots) * 16;
  const svg = canvas(height, `Which request is in which of ${numSlots} slots, step by step`);
  for (const {id, slot, from, to, prompt} of bars) {
    const x = (100 * from) / length, width = (100 * (to - from)) / length;
    svg.append(shape(
        "rect", {x: `${x}%`, y: slot * 16 + 1, width: `${width}%`, height: 14, fill: color(id)},
        shape("title", {}, `${id}: steps ${from + 1} to ${to}`)));
    if (prompt)
      svg.append(shape("rect", {x: `${x}%`, y: slot * 16 + 11, width: `${width}%`, height: 4, class: "run-prefill"}));
    const inside = shape("svg", {x: `${x}%`, y: slot * 16, width: `${width}%`, height: 16});  // cuts its label
    if (width > 2) inside.append(shape("text", {x: 3, y: 12, class: "run-label"}, id));
    svg.append(inside);
  }
  return {svg, note: "Each color is a request; a light line below it marks steps that pass more than one token of it."};
}

export function blockChart({steps}) {
  const total = steps[0].numBlocks;
  return columns(
      steps.map((step) => total - (step.freeBlocks ?? total)), total, "Blocks in use",
      `Full height: ${count(total, "block")}.`);
}

export function timeChart({steps}) {
  const times = steps.map((step) => step.ms ?? 0);
  // A prefill may take as long as a hundred steps; the height is that of the longest but for the first.
  const most = Math.max(...(times.length > 1 ? times.slice(1) : times));
  const cut = times[0] > most ? " The first step took longer." : "";
  return columns(times, most, "Time of each step", `Full height: ${most.toPrecision(3)} ms.${cut}`);
}

function columns(values, most, title, note) {
  const svg = canvas(80, title);
  const points = values.flatMap((value, i) => {
    const y = 80 - 78 * Math.min(1, most > 0 ? value / most : 0);
    return [`${(1000 * i) / values.length},${y}`, `${(1000 * (i + 1)) / values.length},${y}`];
  });
  const area = shape(
      "svg", {viewBox: "0 0 1000 80", width: "100%", height: 80, preserveAspectRatio: "none"},
      shape("polygon", {points: `0,80 ${points.join(" ")} 1000,80`, class: "run-area"}));
  svg.append(area);
  return {svg, note};
}

function canvas(height, title) {
  return shape("svg", {class: "run-chart", width: "100%", height, role: "img", "aria-label": title});
}

// The slots' bars, from one replay of all steps: { id, slot, from, to, prompt }, `to` not included.
function slotsOverTime(replay) {
  const bars = [], open = [];
  for (let i = 0; i < replay.steps.length; ++i) {
    replay.seek(i);
    replay.slots.forEach((id, slot) => {
      if (id === null) return;
      const prompt = replay.sequences.get(id).fed > 1;
      const last = open[slot];
      if (last?.id === id && last.to === i && last.prompt === prompt)
        last.to = i + 1;
      else
        bars.push((open[slot] = {id, slot, from: i, to: i + 1, prompt}));
    });
  }
  const numSlots = replay.slots.length;
  replay.reset();
  return {bars, numSlots};
}
