// The set points: shown to everybody, changed by who knows the token.

import { element, list, one, write } from "./now.js";
import { phrase, quantity, t, watts } from "./words.js";

const KEPT_AS = "opendtu-dcload token";

/** The values, and the two forms behind them. */
export class SetPoints {
  constructor() {
    this.root = document.getElementById("set-points");
    this.edit = one(this.root, "edit-form");
    this.ask = one(this.root, "token-form");
    this.change = one(this.root, "change");
    this.said = one(this.root, "said");
    this.token = document.getElementById("token");
    this.change.addEventListener("click", () => this.begin());
    this.ask.addEventListener("submit", (event) => this.submit(event, () => this.tryToken()));
    this.edit.addEventListener("submit", (event) => this.submit(event, () => this.save()));
    one(this.root, "token-cancel").addEventListener("click", () => this.end());
    one(this.root, "edit-cancel").addEventListener("click", () => this.end());
    one(this.root, "forget").addEventListener("click", () => {
      sessionStorage.removeItem(KEPT_AS);
      this.end(t("The token is forgotten."));
    });
  }

  get isOpen() {
    return !this.edit.hidden || !this.ask.hidden;
  }

  /** Show the values of a state; an open form keeps what the user has typed. */
  show(state) {
    this.state = state;
    const values = state.set_points;
    one(this.root, "read-only").hidden = values.may_write;
    this.change.hidden = !values.may_write || this.isOpen;
    const rows = [
      [t("Regulation"), values.is_regulating ? t("on") : t("off")],
      [t("Grid target"), watts(values.grid_target_w)],
      [t("Most the inverters may give together"), watts(values.max_feed_in_w)],
      ...this.inverters().map(([serial, name]) => {
        return [name, values.inverters[serial].is_enabled ? t("in use") : t("not in use")];
      }),
    ];
    const root = list("set-points");
    const key = JSON.stringify(rows);
    if (root.dataset.key === key) return;
    root.dataset.key = key;
    root.replaceChildren(
      ...rows.map(([title, value]) => {
        const made = element("div");
        made.append(element("dt", "", title), element("dd", "", value));
        return made;
      }),
    );
  }

  inverters() {
    const name = (serial) => this.state.inverters.find((inverter) => inverter.serial === serial)?.name || serial;
    return Object.keys(this.state.set_points.inverters).map((serial) => [serial, name(serial)]);
  }

  begin() {
    write(this.said, "");
    if (sessionStorage.getItem(KEPT_AS)) this.openEdit();
    else this.open(this.ask, this.token);
  }

  open(form, field) {
    this.ask.hidden = form !== this.ask;
    this.edit.hidden = form !== this.edit;
    this.change.hidden = true;
    field.focus();
  }

  end(words = "") {
    this.ask.hidden = this.edit.hidden = true;
    this.token.value = "";
    write(this.said, words);
    this.show(this.state);
    if (!this.change.hidden) this.change.focus();
  }

  openEdit() {
    const values = this.state.set_points;
    const fields = this.edit.elements;
    fields.is_regulating.checked = values.is_regulating;
    fields.grid_target_w.value = quantity(values.grid_target_w, "");
    fields.max_feed_in_w.value = quantity(values.max_feed_in_w, "");
    list("enables").replaceChildren(
      ...this.inverters().map(([serial, name]) => {
        const label = element("label", "check");
        const box = document.createElement("input");
        box.type = "checkbox";
        box.checked = values.inverters[serial].is_enabled;
        box.dataset.serial = serial;
        label.append(box, " ", element("span", "", name));
        return label;
      }),
    );
    this.before = this.read();
    this.open(this.edit, fields.is_regulating);
  }

  read() {
    const fields = this.edit.elements;
    const boxes = [...list("enables").querySelectorAll("input")];
    return {
      is_regulating: fields.is_regulating.checked,
      grid_target_w: fields.grid_target_w.value,
      max_feed_in_w: fields.max_feed_in_w.value,
      inverters: Object.fromEntries(boxes.map((box) => [box.dataset.serial, { is_enabled: box.checked }])),
    };
  }

  async submit(event, action) {
    event.preventDefault();
    const button = event.submitter;
    if (button) button.disabled = true;
    write(this.said, "");
    try {
      await action();
    } catch (refusal) {
      write(this.said, refusal instanceof Refusal ? refusal.message : t("The service does not answer: try again."));
    } finally {
      if (button) button.disabled = false;
    }
  }

  async tryToken() {
    const token = this.token.value.trim();
    await put({}, token).catch((refusal) => {
      if (refusal.status !== 422) throw refusal; // nothing to set, and the token was good
    });
    sessionStorage.setItem(KEPT_AS, token);
    this.token.value = "";
    this.openEdit();
  }

  /** Send what the user has changed, and nothing else. */
  async save() {
    const read = this.read();
    const wanted = {};
    for (const name of ["grid_target_w", "max_feed_in_w"]) {
      if (read[name] !== this.before[name]) wanted[name] = number(read[name]);
    }
    if (read.is_regulating !== this.before.is_regulating) wanted.is_regulating = read.is_regulating;
    for (const [serial, value] of Object.entries(read.inverters)) {
      if (value.is_enabled !== this.before.inverters[serial].is_enabled) (wanted.inverters ??= {})[serial] = value;
    }
    if (Object.keys(wanted).length === 0) return this.end(t("Nothing was changed."));
    try {
      this.state.set_points = await put(wanted, sessionStorage.getItem(KEPT_AS) ?? "");
    } catch (refusal) {
      if (refusal instanceof Refusal && refusal.status === 401) {
        sessionStorage.removeItem(KEPT_AS);
        this.open(this.ask, this.token);
      }
      throw refusal;
    }
    return this.end(t("Saved."));
  }
}

/** Why the service did not take it, in one sentence. */
class Refusal extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** Return the number that was typed, in any of the ways in which one is shown: 3000, 3.000, 3,000, 3’000, 3 000 W. */
export function number(text) {
  const digits = text.replace(/[\s'’]/g, "").replace(/W$/, "").replace("\u2212", "-");
  // A set point has no more than four digits before its decimals: a mark with three behind it divides thousands.
  const value = Number(digits.replace(/^(-?[1-9]\d?)[.,](?=\d{3}$)/, "$1").replace(",", "."));
  if (digits === "" || !Number.isFinite(value)) throw new Refusal(0, t("“{text}” is no number.", { text }));
  return value;
}

const wrongToken = () => new Refusal(401, t("The token is wrong: look at the section [web] of config.toml."));

async function put(values, token) {
  if (!/^[\x21-\x7e]+$/.test(token)) throw wrongToken(); // no token has other letters, and no header carries them
  const response = await fetch("/api/set-points", {
    method: "PUT",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify(values),
    signal: AbortSignal.timeout(8000),
  });
  if (response.ok) return response.json();
  if (response.status === 401) throw wrongToken();
  const { status } = response;
  throw new Refusal(status, phrase((await response.text()).trim()) || t("The service refused it ({status}).", { status }));
}
