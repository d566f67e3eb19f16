// The status page: what the service tells, once a second, put where it belongs.

import { showLink, showNow } from "./now.js";
import { Plots } from "./plots.js";
import { SetPoints } from "./set_points.js";
import { fetchJson, Stream } from "./stream.js";
import { Events, showDevices, showTotals } from "./tables.js";
import { cause, duration, loadWords, reason, t, translateStatic } from "./words.js";

const SPOKEN_AFTER_MS = 10000; // reasons take turns: a screen reader hears of one that stays
const EVENTS_AGAIN_MS = 6000; // the service writes its history out every 5 s

await loadWords();
translateStatic(document);
translateStatic(document.getElementById("inverter").content);

const plots = new Plots();
const events = new Events();
const setPoints = new SetPoints();
let latest = null;
let receivedAt = null;

const spoken = { reason: null, since: 0, pending: null, alarms: null };

function speak(text) {
  document.getElementById("spoken").textContent = text;
}

/** Tell a screen reader what is news: an alarm at once, a reason that stays. Numbers are for who asks. */
function speakNews(state) {
  const name = state.plant.reason.name;
  if (name !== spoken.pending) [spoken.pending, spoken.since] = [name, Date.now()];
  if (spoken.reason === null) spoken.reason = name;
  if (name !== spoken.reason && Date.now() - spoken.since >= SPOKEN_AFTER_MS) {
    spoken.reason = name;
    speak(reason(name, state.plant.reason.text));
  }
  const known = new Set(state.alarms.map((alarm) => `${alarm.cause} ${alarm.subject}`));
  const fresh = state.alarms.filter((alarm) => spoken.alarms && !spoken.alarms.has(`${alarm.cause} ${alarm.subject}`));
  if (fresh.length) speak(`${t("Alarm")}: ${fresh.map((alarm) => cause(alarm.cause, alarm.text, "")).join("; ")}`);
  if (spoken.alarms && [...known].join() !== [...spoken.alarms].join()) fetchHistory(EVENTS_AGAIN_MS);
  spoken.alarms = known;
}

function showState(state) {
  if (latest === null) performance.mark("first-state");
  const isBack = latest !== null && document.documentElement.dataset.values === "old";
  latest = state;
  receivedAt = Date.now();
  showLink(true, null);
  showNow(state, 0);
  showTotals(state);
  showDevices(state);
  setPoints.show(state);
  if (!plots.add(state)) fetchHistory(EVENTS_AGAIN_MS);
  if (isBack) speak(t("Live again."));
  else speakNews(state);
  const { name, version, uptime_s: uptime } = state.program;
  const { commands_last_hour: count, commands_per_hour: most } = state.plant;
  const said = [`${name} ${version}`, t("running for {time}", { time: duration(uptime) })];
  if (state.inverters.length) said.push(t("{count} of at most {most} commands in the last hour", { count, most }));
  document.querySelector('[data-v="program"]').textContent = said.join(" · ");
}

let fetching = null;

/** Fetch what was, now or after so many ms; what ends meanwhile is told there, not by the stream. */
function fetchHistory(inMs = 0) {
  if (inMs && fetching) return;
  clearTimeout(fetching);
  fetching = setTimeout(async () => {
    fetching = null;
    try {
      const history = await fetchJson("/api/history");
      plots.replace(history);
      events.replace(history.events, latest);
    } catch {
      // With the service's return all is fetched again.
    }
  }, inMs);
}

new Stream({
  state: showState,
  log(row) {
    events.add(row, latest);
    fetchHistory(EVENTS_AGAIN_MS);
  },
  begun: () => fetchHistory(),
  old(ageMs) {
    const isNews = latest && document.documentElement.dataset.values !== "old";
    if (isNews) speak(t("The service does not answer: old values."));
    showLink(false, receivedAt && new Date(receivedAt));
    if (latest) showNow(latest, ageMs / 1000);
  },
}).start();
