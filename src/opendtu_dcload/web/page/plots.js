// The last hour and the last day as pictures of our own, and the same in words and as a table.

import { element, one, write } from "./now.js";
import { fetchJson } from "./stream.js";
import { clock, hourMinute, quantity, t, wattHours, watts, words } from "./words.js";

// How long a period is, into how many rows its table divides it, and what is drawn of it while less is known.
const PERIODS = {
  hour: { spanS: 3600, rows: 6, drawnS: [60, 120, 300, 600, 1200, 1800, 3600] },
  day: { spanS: 86400, rows: 8, drawnS: [3600, 10800, 21600, 43200, 86400] },
};
const COLUMNS = ["grid_w", "target_w", "load_w", "set_point_w", "output_w", "saved_w"];
const MOST_BACK_S = 2; // further, and farther ahead than the service ever pauses: its clock was set
const MOST_AHEAD_S = 60;
const HOUR_REDRAWN_MS = 5000;
const DAY_FETCHED_MS = 60000;
const PX_PER_BUCKET = 1.5;
const HEIGHT = 170;
const MARGIN = { left: 60, right: 10, top: 8, bottom: 22 };
const TIME_STEPS_S = [15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600];
const PX_PER_TIME = 64;
const FEWEST_W = 50;
const SVG = "http://www.w3.org/2000/svg";

const PLOTS = {
  "plot-grid": {
    // Of each area its two edges at one moment, in W.
    shades: [
      ["export", (at, c) => [0, c.grid_w[at] < 0 ? c.grid_w[at] : null]],
      ["saved", (at, c) => [c.target_w[at], c.saved_w[at] ? c.target_w[at] + c.saved_w[at] : null]],
    ],
    lines: [["target", "target_w", words("target")], ["grid", "grid_w", words("Grid")]],
    summary: (c, stepS) => {
      const savedWh = energy(c.saved_w, stepS, Math.abs);
      return [
        ...range(c.grid_w),
        t("exported {energy}", { energy: wattHours(exported(c.grid_w, stepS, c.exported_wh)) }),
        ...(savedWh === null ? [] : [t("left alone to save commands {energy}", { energy: wattHours(savedWh) })]),
      ];
    },
  },
  "plot-output": {
    shades: [],
    lines: [["output", "output_w", words("output")], ["set-point", "set_point_w", words("set-point")]],
    summary: (c) => range(c.output_w),
  },
  "plot-load": { shades: [], lines: [["load", "load_w", words("House")]], summary: (c) => range(c.load_w) },
};

const isKnown = (value) => value !== null && value !== undefined;

function mean(values) {
  const known = values.filter(isKnown);
  return known.length ? known.reduce((total, value) => total + value, 0) / known.length : null;
}

function extremes(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!isKnown(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

function range(values) {
  const [low, high] = extremes(values);
  if (low > high) return [t("nothing is known yet")];
  return [t("mean {mean}, from {low} to {high}", { mean: watts(mean(values)), low: watts(low), high: watts(high) })];
}

function energy(values, stepS, part) {
  const known = values.filter(isKnown);
  return known.length ? known.reduce((total, value) => total + (part(value) * stepS) / 3600, 0) : null;
}

/** Return what was exported, Wh: as it was counted, or from the power where only that is there. */
const exported = (gridW, stepS, countedWh) =>
  countedWh ? energy(countedWh, 3600, (wh) => wh) : energy(gridW, stepS, (w) => Math.max(0, -w));

/** Keeps what was, and draws the period that is chosen. */
export class Plots {
  constructor() {
    this.root = document.getElementById("plots");
    this.parts = {};
    this.period = "hour";
    this.drawnAt = 0;
    this.dayFetchedAt = 0;
    for (const choice of this.root.querySelectorAll("input[name=period]")) {
      choice.addEventListener("change", () => {
        this.period = choice.value;
        if (this.period === "day") this.refreshDay();
        this.draw();
      });
    }
    new ResizeObserver(() => this.draw()).observe(this.root);
  }

  /** Take the document of /api/history. */
  replace(history) {
    for (const name of Object.keys(PERIODS)) {
      this.parts[name] = { ...history[name], endMs: Date.parse(history[name].end) };
    }
    this.dayFetchedAt = Date.now();
    this.draw();
  }

  /** Add what a state tells to the last hour; false when the service's clock was set: then all is to be fetched anew. */
  add(state) {
    const hour = this.parts.hour;
    if (!hour) return true;
    const atMs = Date.parse(state.at);
    const steps = Math.round((atMs - hour.endMs) / 1000);
    if (steps < -MOST_BACK_S || steps > MOST_AHEAD_S) return false;
    const plant = state.plant;
    const sample = [plant.grid_w, plant.grid_target_w, plant.load_w, plant.set_point_w, plant.output_w, plant.saved_w];
    COLUMNS.forEach((name, number) => {
      const values = hour[name];
      for (let skipped = 1; skipped < Math.min(steps, PERIODS.hour.spanS); skipped++) values.push(null);
      if (steps > 0) values.push(sample[number] ?? null);
      if (values.length > PERIODS.hour.spanS) values.splice(0, values.length - PERIODS.hour.spanS);
    });
    if (steps > 0) hour.endMs = atMs;
    if (document.hidden) return true;
    if (this.period === "day") this.refreshDay();
    else if (Date.now() - this.drawnAt >= HOUR_REDRAWN_MS && !this.root.querySelector(".pointed")) this.draw();
    return true;
  }

  async refreshDay() {
    if (Date.now() - this.dayFetchedAt < DAY_FETCHED_MS) return;
    this.dayFetchedAt = Date.now();
    try {
      this.replace(await fetchJson("/api/history"));
    } catch {
      // The stream says that the service is away, and with its return all is fetched again.
    }
  }

  draw() {
    const part = this.parts[this.period];
    if (!part) return;
    this.drawnAt = Date.now();
    const period = PERIODS[this.period];
    for (const [id, plot] of Object.entries(PLOTS)) {
      const figure = document.getElementById(id);
      const summary = plot.summary(part, part.step_s).join("; ");
      write(one(figure, "summary"), summary);
      const holder = figure.querySelector(".plot");
      const label = `${figure.querySelector("h3").textContent}: ${summary}`;
      holder.replaceChildren(picture(plot, part, period, holder.clientWidth || 320, label));
    }
    this.table(part, period);
  }

  table(part, period) {
    const perRow = period.spanS / period.rows / part.step_s;
    const count = part.grid_w.length;
    const rows = [];
    for (let number = period.rows; number > 0; number--) {
      const [from, to] = [count - number * perRow, count - (number - 1) * perRow];
      if (to <= 0) continue;
      const cut = (name) => part[name].slice(Math.max(0, from), to);
      const endMs = part.endMs - (number - 1) * perRow * part.step_s * 1000;
      const times = [endMs - perRow * part.step_s * 1000, endMs].map((ms) => hourMinute(new Date(ms)));
      const exportedWh = exported(cut("grid_w"), part.step_s, part.exported_wh && cut("exported_wh"));
      const cells = [wattHours(exportedWh), watts(mean(cut("output_w"))), watts(mean(cut("load_w")))];
      const row = element("tr");
      const head = element("th", "", times.join("–"));
      head.scope = "row";
      row.append(head, ...[watts(mean(cut("grid_w"))), ...cells].map((text) => element("td", "", text)));
      for (const cell of [row.children[3], row.children[4]]) cell.dataset.of = "inverters";
      rows.push(row);
    }
    this.root.querySelector("tbody").replaceChildren(...rows.reverse());
  }
}

function svg(tag, attributes, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

/** Return a step of 1, 2 or 5 times a power of ten that divides a span into at most `most` parts. */
function niceStep(span, most) {
  const rough = span / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
}

function picture(plot, part, period, width, description) {
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": description });
  const edges = plot.shades.flatMap(([, between]) => part.grid_w.map((_, at) => between(at, part)[1]));
  const drawnW = [edges, ...plot.lines.map(([, name]) => part[name])];
  const [low, high] = extremes(drawnW.flatMap(extremes).filter(Number.isFinite));
  const span = Math.max(Math.max(high, 0) - Math.min(low, 0) || 0, FEWEST_W);
  const step = niceStep(span, 4);
  const bottom = Math.floor(Math.min(low, 0) / step) * step || 0;
  const top = Math.max(Math.ceil(Math.max(high, 0) / step) * step || 0, bottom + step);
  const right = width - MARGIN.right;
  const floor = HEIGHT - MARGIN.bottom;
  const count = part.grid_w.length;
  const spanS = period.drawnS.find((s) => s >= count * part.step_s) ?? period.spanS;
  const beginMs = part.endMs - spanS * 1000;
  const x = (ms) => MARGIN.left + ((ms - beginMs) / (spanS * 1000)) * (right - MARGIN.left);
  const y = (w) => floor - ((w - bottom) / (top - bottom)) * (floor - MARGIN.top);
  for (let w = bottom; w < top + step / 2; w += step) {
    drawn.append(svg("line", { x1: MARGIN.left, x2: right, y1: y(w), y2: y(w), class: w === 0 ? "zero" : "rule" }));
    const label = quantity(w, w > top - step / 2 ? "W" : "");
    drawn.append(svg("text", { x: MARGIN.left - 6, y: y(w) + 4, class: "axis watt" }, label));
  }
  for (const ms of times(beginMs, part.endMs, (right - MARGIN.left) / PX_PER_TIME)) {
    drawn.append(svg("line", { x1: x(ms), x2: x(ms), y1: MARGIN.top, y2: floor, class: "rule" }));
    const anchor = x(ms) < MARGIN.left + 16 ? "axis begin" : x(ms) > right - 16 ? "axis end" : "axis";
    drawn.append(svg("text", { x: x(ms), y: HEIGHT - 6, class: anchor }, (ms % 60000 ? clock : hourMinute)(new Date(ms))));
  }
  const moment = (at) => x(part.endMs - (count - 1 - at) * part.step_s * 1000);
  const perBucket = Math.max(1, Math.round((PX_PER_BUCKET * spanS) / part.step_s / (right - MARGIN.left)));
  for (const [name, between] of plot.shades) {
    const path = shade((at) => between(at, part), count, moment, y, perBucket);
    drawn.append(svg("path", { d: path, class: `shade ${name}` }));
  }
  for (const [name, column] of plot.lines) {
    drawn.append(svg("path", { d: line(part[column], moment, y, perBucket), class: `line ${name}` }));
  }
  const nearest = (px) => count - 1 - Math.round((moment(count - 1) - px) / (moment(1) - moment(0)));
  pointAt(drawn, count, nearest, moment, (at) => [
    (part.step_s < 60 ? clock : hourMinute)(new Date(part.endMs - (count - 1 - at) * part.step_s * 1000)),
    ...plot.lines.map(([, column, title]) => `${t(title)} ${watts(part[column][at])}`),
  ]);
  return drawn;
}

/** Show the values of the moment under the finger or the mouse; the table has them for everybody. */
function pointAt(drawn, count, nearest, moment, told) {
  const mark = svg("line", { y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, class: "pointed" });
  const right = drawn.viewBox.baseVal.width - MARGIN.right;
  const text = svg("text", { x: right, y: MARGIN.top + 12, class: "axis end pointed" });
  const leave = () => [mark, text].forEach((each) => each.remove());
  const point = (event) => {
    const at = nearest(event.clientX - drawn.getBoundingClientRect().left);
    if (!(at >= 0 && at < count)) return leave();
    for (const end of ["x1", "x2"]) mark.setAttribute(end, moment(at));
    text.textContent = told(at).join("  ");
    return drawn.append(mark, text);
  };
  drawn.addEventListener("pointerdown", point);
  drawn.addEventListener("pointermove", point);
  drawn.addEventListener("pointerleave", leave);
}

/** Yield whole times of day within a period, at most so many. */
function* times(beginMs, endMs, most) {
  const stepMs = 1000 * (TIME_STEPS_S.find((s) => (endMs - beginMs) / 1000 / s <= most) ?? 43200);
  const offsetMs = 60000 * new Date(endMs).getTimezoneOffset();
  for (let ms = Math.ceil((beginMs - offsetMs) / stepMs) * stepMs + offsetMs; ms <= endMs; ms += stepMs) yield ms;
}

const place = (x, y) => `${x.toFixed(1)} ${y.toFixed(1)}`;

/** Return a line through the lowest and the highest value of each bucket, so that no peak is lost; gaps stay gaps. */
function line(values, x, y, perBucket) {
  let path = "";
  let isDrawing = false;
  for (let from = 0; from < values.length; from += perBucket) {
    let [lowest, highest] = [-1, -1];
    for (let at = from; at < Math.min(from + perBucket, values.length); at++) {
      if (!isKnown(values[at])) continue;
      if (lowest < 0 || values[at] < values[lowest]) lowest = at;
      if (highest < 0 || values[at] > values[highest]) highest = at;
    }
    if (lowest < 0) {
      isDrawing = false;
      continue;
    }
    for (const at of lowest === highest ? [lowest] : [Math.min(lowest, highest), Math.max(lowest, highest)]) {
      path += `${isDrawing ? "L" : "M"}${place(x(at), y(values[at]))}`;
      isDrawing = true;
    }
  }
  return path;
}

/** Return the areas between two edges: of each bucket the moment at which they are farthest apart. */
function shade(edges, count, x, y, perBucket) {
  let path = "";
  for (let from = 0; from < count; from += perBucket) {
    let farthest = null;
    for (let at = from; at < Math.min(from + perBucket, count); at++) {
      const [base, edge] = edges(at);
      if (!isKnown(base) || !isKnown(edge)) continue;
      if (!farthest || Math.abs(edge - base) > Math.abs(farthest[1] - farthest[0])) farthest = [base, edge];
    }
    if (!farthest) continue;
    const [left, right] = [x(from).toFixed(1), x(Math.min(from + perBucket, count)).toFixed(1)];
    path += `M${left} ${y(farthest[0]).toFixed(1)}H${right}V${y(farthest[1]).toFixed(1)}H${left}Z`;
  }
  return path;
}
