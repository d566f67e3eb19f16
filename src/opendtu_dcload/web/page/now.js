// What flows now: the plant, its inverters, what is wrong, and how old all of it is.

import { ago, cause, clock, moment, phrase, quantity, reason, t, wattHours, watts, words } from "./words.js";

const OUTCOMES = {
  WAITING: words("waits for the DTU"),
  TAKEN: words("taken by the DTU"),
  ACKNOWLEDGED: words("acknowledged by the inverter"),
  IGNORED: words("taken by the DTU, without effect"),
  DECLINED: words("declined by the DTU"),
  UNANSWERED: words("no answer from the DTU"),
};
const SAYS_AGE_S = 5; // as long as a meter value may be acted on; an older one says how old it is
const BALANCED_W = 15; // nearer to nothing than this is neither bought nor sold: a meter's noise

export const one = (root, name) => root.querySelector(`[data-v="${name}"]`);
export const list = (name) => document.querySelector(`[data-list="${name}"]`);

/** Write a text where it is another one than before: nothing else is ever made of what a device says. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Write a text, and hide its place while there is none. */
export function writeOrHide(element, text) {
  write(element, text);
  element.hidden = !text;
}

/** Make an element with a class and a text. */
export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

/** Lead a link to the manual; only to the web or to this service, whatever the address says. */
export function lead(link, address) {
  let url = null;
  try {
    url = address ? new URL(address, location.href) : null;
  } catch {
    url = null;
  }
  link.hidden = !url || !["https:", "http:"].includes(url.protocol);
  if (link.hidden) {
    link.removeAttribute("href");
    return;
  }
  if (link.href !== url.href) link.href = url.href;
  if (url.origin !== location.origin) {
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
}

/** Return a name for a serial, a DTU or the meter, as the user knows it. */
export function called(subject, state) {
  const inverter = state?.inverters.find((candidate) => candidate.serial === subject);
  if (inverter) return inverter.name || subject;
  return { meter: t("Meter"), battery: t("Battery"), "": t("Plant") }[subject] ?? subject;
}

function gridWords(gridW) {
  if (gridW === null) return t("not known");
  if (Math.abs(gridW) < BALANCED_W) return t("neither bought nor given away");
  return gridW > 0 ? t("bought") : t("given away");
}

function showPlant(state, passedS) {
  const root = document.getElementById("now");
  const plant = state.plant;
  write(one(root, "reason"), reason(plant.reason.name, plant.reason.text));
  lead(one(root, "reason-link"), plant.reason.link);
  writeOrHide(one(root, "wait"), plant.wait ? phrase(plant.wait) : "");
  one(root, "dry").hidden = !state.program.is_dry;
  write(one(root, "grid"), watts(plant.grid_w));
  const ageS = age(state.meter.age_s, passedS);
  const isOld = plant.grid_w !== null && ageS >= SAYS_AGE_S;
  write(one(root, "grid-words"), isOld ? `${gridWords(plant.grid_w)}, ${ago(ageS)}` : gridWords(plant.grid_w));
  const side = plant.grid_w === null || Math.abs(plant.grid_w) < BALANCED_W ? "even" : plant.grid_w > 0 ? "in" : "out";
  root.querySelector(".tile.grid").dataset.side = side;
  write(one(root, "load"), watts(plant.load_w));
  write(one(root, "output"), watts(plant.output_w));
  const told = t("set to {set} of at most {cap}", { set: watts(plant.set_point_w), cap: watts(plant.cap_w) });
  write(one(root, "set-point"), told);
}

function showSolar(state) {
  const root = document.getElementById("now");
  root.querySelector(".tile.solar").hidden = !state.solar;
  if (state.solar) write(one(root, "solar"), watts(state.solar.power_w));
}

function showBattery(state) {
  const root = document.getElementById("now");
  const battery = state.battery;
  root.querySelector(".tile.battery").hidden = !battery;
  if (!battery) return;
  const hasSoc = battery.soc_pct !== null;
  write(one(root, "battery"), hasSoc ? quantity(battery.soc_pct, "%") : quantity(battery.voltage_v, "V", 1));
  const said = [];
  if (hasSoc && battery.voltage_v !== null) said.push(quantity(battery.voltage_v, "V", 1));
  if (battery.power_w !== null) {
    const power = watts(Math.abs(battery.power_w));
    said.push(battery.power_w < 0 ? t("gives {power}", { power }) : t("takes {power}", { power }));
  }
  if (battery.temperature_c !== null) said.push(quantity(battery.temperature_c, "°C"));
  write(one(root, "battery-words"), said.join(", "));
}

function showMeter(state, passedS) {
  const meter = state.meter;
  const phases = (meter.phases_w ?? []).map((w, at) => [w, at + 1]).filter(([w]) => w !== null);
  const name = meter.name && meter.name !== "meter" ? meter.name : meter.address;
  const measured = ago(age(meter.age_s, passedS));
  const said = [`${t("Meter")} ${name ?? ""}`.trim()];
  if (meter.is_fresh) said.push(t("measured {ago}", { ago: measured }));
  else if (meter.age_s === null) said.push(t("no fresh value"));
  else said.push(t("no fresh value, the last one {ago}", { ago: measured }));
  if (phases.length > 1) said.push(phases.map(([w, number]) => `L${number} ${watts(w)}`).join(", "));
  write(one(document.getElementById("now"), "meter"), said.join(" · "));
}

const age = (ageS, passedS) => (ageS === null || ageS === undefined ? null : ageS + passedS);

function inverterState(inverter) {
  if (inverter.is_reachable === false) return ["bad", t("out of reach")];
  if (!inverter.is_fresh) return ["warn", t("old values")];
  if (!inverter.is_enabled) return ["quiet", t("not in use")];
  if (inverter.is_on === false) return ["quiet", t("off")];
  return inverter.is_on === null ? ["warn", t("not known")] : ["good", t("on")];
}

function showInverter(card, inverter, passedS) {
  const put = (name, text) => write(one(card, name), text);
  put("name", inverter.name || inverter.serial);
  const chip = one(card, "state");
  const [kind, said] = inverterState(inverter);
  write(chip, said);
  chip.dataset.kind = kind;
  put("output", watts(inverter.output_w));
  put("limit", t("{limit} of {rated}", { limit: watts(inverter.limit_w), rated: watts(inverter.rated_w) }));
  put("temperature", quantity(inverter.temperature_c, "°C"));
  put("dc", `${quantity(inverter.dc_voltage_v, "V", 1)}, ${watts(inverter.dc_power_w)}`);
  put("age", ago(age(inverter.age_s, passedS)));
  const { last_command: command, last_outcome: outcome } = inverter;
  put("command", command ? [phrase(command), t(OUTCOMES[outcome] ?? "")].filter(Boolean).join(": ") : t("none"));
  put("yield", wattHours(inverter.yield_total_wh));
  writeOrHide(one(card, "note"), phrase(inverter.note));
  const share = (value) => `${Math.max(0, Math.min(100, (100 * (value ?? 0)) / (inverter.rated_w || 1)))}%`;
  card.querySelector(".fill").style.setProperty("width", share(inverter.output_w));
  const mark = card.querySelector(".mark");
  mark.hidden = inverter.limit_w === null || !inverter.rated_w;
  mark.style.setProperty("left", share(inverter.limit_w));
}

function showInverters(state, passedS) {
  const root = list("inverters");
  const serials = state.inverters.map((inverter) => inverter.serial).join();
  if (root.dataset.serials !== serials) {
    root.dataset.serials = serials;
    const template = document.getElementById("inverter").content.firstElementChild;
    root.replaceChildren(...state.inverters.map(() => template.cloneNode(true)));
  }
  state.inverters.forEach((inverter, at) => showInverter(root.children[at], inverter, passedS));
}

function showAlarms(state, passedS) {
  const alarms = state.alarms;
  document.getElementById("alarms").hidden = alarms.length === 0;
  const root = list("alarms");
  const key = JSON.stringify(alarms.map(({ cause: name, subject, text }) => [name, subject, text]));
  if (root.dataset.key !== key) {
    root.dataset.key = key;
    root.replaceChildren(...alarms.map((alarm) => alarmRow(alarm, state)));
  }
  alarms.forEach((alarm, at) => {
    const since = new Date(Date.now() - 1000 * age(alarm.since_s, passedS));
    write(root.children[at].querySelector("time"), t("since {time}", { time: moment(since) }));
  });
}

function alarmRow(alarm, state) {
  const row = element("li", alarm.severity === "warning" ? "alarm warning" : "alarm");
  const kind = element("strong", "", alarm.severity === "warning" ? t("Warning") : t("Alarm"));
  const link = element("a", "", t("What to do"));
  lead(link, alarm.link);
  const what = cause(alarm.cause, alarm.text, alarm.subject && subjectOf(alarm, state));
  link.setAttribute("aria-label", `${t("What to do")}: ${what}`);
  row.append(kind, " ", element("span", "", what), " ", element("time", "small"), " ", link);
  return row;
}

/** Return whose alarm it is where its text says so, too: one plant has one meter and one battery. */
function subjectOf(alarm, state) {
  const name = called(alarm.subject, state);
  return alarm.text.endsWith(`: ${name}`) ? name : "";
}

/** Show a state; `passedS` is how long ago it came. */
export function showNow(state, passedS) {
  document.documentElement.dataset.inverters = state.inverters.length ? "some" : "none";
  showAlarms(state, passedS);
  showPlant(state, passedS);
  showSolar(state);
  showBattery(state);
  showMeter(state, passedS);
  showInverters(state, passedS);
}

/** Say whether what is shown is true now; `since` is when the last state came, null when none came yet. */
export function showLink(isLive, since) {
  document.documentElement.dataset.values = isLive ? "live" : "old";
  const chip = document.getElementById("link");
  write(chip, isLive ? t("live") : since ? t("old values") : t("connecting …"));
  chip.dataset.kind = isLive ? "good" : "warn";
  const said = since
    ? t("Old values: all of this is from {time}. The service does not answer; trying again …", { time: clock(since) })
    : t("The service does not answer; trying again …");
  writeOrHide(document.getElementById("old"), isLive ? "" : said);
}
