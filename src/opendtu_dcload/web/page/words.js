// Words, numbers and times in the reader's language: English as it stands in the page, German by de.json.

const tag = (navigator.languages ?? [navigator.language]).find((wanted) => /^(de|en)\b/i.test(wanted)) ?? "en";
export const language = tag.slice(0, 2).toLowerCase();

let german = null;
const UNKNOWN = "–";
const SPACE = "\u00a0";

/** Load the German words when they are wanted; without them the page stays English. */
export async function loadWords() {
  if (language !== "de") return;
  try {
    german = await (await fetch("de.json")).json();
    document.documentElement.lang = "de";
  } catch {
    german = null;
  }
}

/** Return the page's own words, with {name} replaced by `values.name`. */
export function t(english, values = {}) {
  const text = german?.page[english] ?? english;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Mark words of a table that `t` translates when they are shown. */
export const words = (english) => english;

/** Translate what stands in the page from the start. */
export function translateStatic(root) {
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.textContent);
}

const capital = (text) => (text ? text[0].toLocaleUpperCase(tag) + text.slice(1) : "");

/** Return a reason of the plant, by its stable name; that it is a dry run the page says anyway. */
export const reason = (name, text) => capital(german?.reasons[name] ?? text.replace(/^dry run: /, ""));

/** Return what is wrong: of an alarm or an event, whose subject is called `whose`. */
export function cause(name, text, whose) {
  const translated = german && (german.alarms[name] ?? german.causes[name] ?? german.reasons[name]);
  return capital(translated ? (whose ? `${translated}: ${whose}` : translated) : text.replace(/^dry run: /, ""));
}

/** Return a fixed phrase of the service (why it waits, a note, an outcome), or one with a number in it. */
export function phrase(text) {
  if (!text || !german) return text ?? "";
  if (german.phrases[text]) return german.phrases[text];
  for (const [pattern, translated] of Object.entries(german.patterns)) {
    const found = new RegExp(`^${pattern}$`).exec(text);
    if (found) return translated.replace(/\$(\d)/g, (_, group) => found[group] ?? "");
  }
  return text;
}

const formats = new Map();
function formatted(value, digits) {
  if (value === null || value === undefined || !Number.isFinite(value)) return null;
  if (!formats.has(digits)) {
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    formats.set(digits, new Intl.NumberFormat(tag, options));
  }
  const scale = 10 ** digits;
  const rounded = Math.round(value * scale) / scale + 0;
  return formats.get(digits).format(rounded).replace("-", "\u2212");
}

/** Return a value with its unit; a dash when it is not known. */
export function quantity(value, unit, digits = 0) {
  const number = formatted(value, digits);
  return number === null ? UNKNOWN : unit ? number + SPACE + unit : number;
}

export const watts = (value) => quantity(value, "W");
export const wattHours = (value) =>
  Math.abs(value ?? 0) >= 1000 ? quantity(value / 1000, "kWh", Math.abs(value) >= 1e5 ? 0 : 2) : quantity(value, "Wh");

/** Return a duration such as "1 h 20 min". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return UNKNOWN;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return quantity(whole, "s");
  if (whole < 3600) return parts([Math.floor(whole / 60), "min"], [whole < 600 ? whole % 60 : 0, "s"]);
  if (whole < 86400) return parts([Math.floor(whole / 3600), "h"], [Math.floor((whole % 3600) / 60), "min"]);
  return parts([Math.floor(whole / 86400), t("d")], [Math.floor((whole % 86400) / 3600), "h"]);
}
const parts = (...all) => all.filter(([number]) => number > 0).map(([n, unit]) => quantity(n, unit)).join(" ");

/** Return how long ago something was. */
export const ago = (seconds) =>
  seconds === null || seconds === undefined ? UNKNOWN : t("{time} ago", { time: duration(seconds) });

const time = (options) => {
  const format = new Intl.DateTimeFormat(tag, options);
  return (date) => format.format(date);
};
export const clock = time({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const hourMinute = time({ hour: "2-digit", minute: "2-digit" });
const weekdayTime = time({ weekday: "short", hour: "2-digit", minute: "2-digit" });
export const day = time({ weekday: "short", day: "numeric", month: "short" });

/** Return when something was: its time, with its day when that is not today. */
export function moment(date) {
  return date.toDateString() === new Date().toDateString() ? clock(date) : weekdayTime(date);
}
