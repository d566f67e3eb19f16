// What has been: events, totals, and the health of each device.

import { called, element, list, one, write } from "./now.js";
import { cause, day, duration, moment, phrase, quantity, t, wattHours, words } from "./words.js";

const FEW = 8;
const MOST_EVENTS = 200;
const WHOLE_DAY_S = 82000; // the shortest day has 23 h, and each start costs some seconds

/** The events, the newest first; all of them when the user asks. */
export class Events {
  constructor() {
    this.rows = [];
    this.showsAll = false;
    this.root = list("events");
    const section = this.root.closest("section");
    this.none = one(section, "no-events");
    this.more = one(section, "more-events");
    this.more.addEventListener("click", () => {
      this.showsAll = true;
      this.root.tabIndex = -1;
      this.show();
      this.root.focus();
    });
  }

  replace(rows, state) {
    this.rows = [...rows].sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).slice(0, MOST_EVENTS);
    this.show(state);
  }

  add(row, state) {
    const same = (other) => other.at === row.at && other.name === row.name && other.subject === row.subject;
    this.replace([row, ...this.rows.filter((other) => !same(other))], state);
  }

  show(state = this.state) {
    this.state = state;
    const shown = this.showsAll ? this.rows : this.rows.slice(0, FEW);
    this.root.replaceChildren(...shown.map((row) => this.row(row)));
    this.none.hidden = this.rows.length > 0;
    this.more.hidden = shown.length === this.rows.length;
  }

  row(event) {
    const made = element("li");
    const time = element("time", "", moment(new Date(event.at)));
    time.dateTime = event.at;
    const whose = event.subject ? called(event.subject, this.state) : "";
    const what = element("span", "", cause(event.name, event.text, event.text.endsWith(`: ${whose}`) ? whose : ""));
    const lasted = event.lasted_s === null || event.lasted_s === undefined ? t("still on") : duration(event.lasted_s);
    made.append(time, what, element("span", "small lasted", lasted));
    return made;
  }
}

function row(...cells) {
  const made = element("tr");
  cells.forEach((text, at) => {
    const cell = element(at === 0 ? "th" : "td", "", text);
    if (at === 0) cell.scope = "row";
    made.append(cell);
  });
  return made;
}

/** Return the sum over days of what is known; null when nothing is. */
function sum(days, name) {
  const known = days.map((each) => each[name]).filter((value) => value !== null && value !== undefined);
  return known.length ? known.reduce((total, value) => total + value, 0) : null;
}

const TOTALS = [
  [words("Exported"), "exported_wh", wattHours],
  [words("Imported although there was room"), "avoidable_import_wh", wattHours, "inverters"],
  [words("Imported"), "imported_wh", wattHours],
  [words("Commands"), "commands", (value) => quantity(value, ""), "inverters"],
];

/** Show today and the days before it. */
export function showTotals(state) {
  const { today, days } = state;
  const key = JSON.stringify([today, days]);
  const root = list("totals");
  if (root.dataset.key === key) return;
  root.dataset.key = key;
  const before =
    days.length === 1 ? t("The day before") : t("The {count} days before", { count: quantity(days.length, "") });
  const knownS = sum(days, "known_s");
  const isPartial = days.some((each) => each.known_s < WHOLE_DAY_S);
  write(
    one(document, "days-title"),
    isPartial ? t("{days}, known for {time}", { days: before, time: duration(knownS) }) : before,
  );
  root.replaceChildren(
    ...TOTALS.map(([title, name, shown, of = "plant"]) => {
      const made = row(t(title), shown(today[name]), shown(sum(days, name)));
      made.dataset.of = of;
      return made;
    }),
  );
  for (const cell of document.querySelectorAll("#totals .before, #totals [data-list=totals] td:last-child")) {
    cell.hidden = days.length === 0;
  }
  document.getElementById("days").hidden = days.length === 0;
  list("days").replaceChildren(
    ...[...days].reverse().map((each) => {
      const made = row(
        day(new Date(`${each.date}T12:00:00`)),
        each.known_s < WHOLE_DAY_S ? duration(each.known_s) : t("the whole day"),
        wattHours(each.exported_wh),
        wattHours(each.avoidable_import_wh),
        quantity(each.commands, ""),
      );
      for (const cell of [made.children[3], made.children[4]]) cell.dataset.of = "inverters";
      return made;
    }),
  );
}

const HEALTH = {
  well: ["good", words("well")],
  old: ["warn", words("old values")],
  lost: ["bad", words("lost")],
  unknown: ["quiet", words("not known")],
};
const KINDS = {
  meter: words("Meter"),
  dtu: words("OpenDTU"),
  inverter: words("Inverter"),
  battery: words("Battery"),
  relay: words("Relay"),
};

/** Show how each device is. */
export function showDevices(state) {
  const root = list("devices");
  const key = JSON.stringify(state.devices);
  if (root.dataset.key === key) return;
  root.dataset.key = key;
  root.replaceChildren(
    ...state.devices.map((device) => {
      const made = element("li");
      const [kind, health] = HEALTH[device.health] ?? HEALTH.unknown;
      const chip = element("span", "chip", t(health));
      chip.dataset.kind = kind;
      const said = element("div", "", t(KINDS[device.kind] ?? device.kind));
      const hasName = device.name && ![device.kind, KINDS[device.kind]].includes(device.name);
      if (hasName) said.append(" ", element("b", "", device.name.replace(/^com\.victronenergy\./, "")));
      said.append(" ", element("span", "small", phrase(device.text)));
      made.append(chip, said);
      return made;
    }),
  );
}
