// The way from the service to the page: a stream of states that is begun again for as long as the page is open.

const OLD_AFTER_MS = 4000;
const AGAIN_MS = [500, 1000, 2000, 3000];

/** Return the JSON that the service answers. */
export async function fetchJson(path) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(8000) });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

/**
 * Follow /api/stream. `on.state(state)` and `on.log(row)` for what comes, `on.begun()` each time the stream stands,
 * `on.old(ageMs)` once a second while nothing has come for some seconds.
 */
export class Stream {
  constructor(on) {
    this.on = on;
    this.heardAt = null;
    this.tries = 0;
    this.asks = false;
  }

  start() {
    this.open();
    setInterval(() => this.look(), 1000);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.ageMs > OLD_AFTER_MS) this.open();
    });
    addEventListener("online", () => this.open());
  }

  get ageMs() {
    return this.heardAt === null ? Infinity : Date.now() - this.heardAt;
  }

  open() {
    clearTimeout(this.timer);
    this.source?.close();
    const source = new EventSource("/api/stream");
    this.source = source;
    source.addEventListener("open", () => this.on.begun());
    source.addEventListener("state", (event) => this.hear(JSON.parse(event.data)));
    source.addEventListener("log", (event) => this.on.log(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      source.close();
      if (this.source !== source) return;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.open(), AGAIN_MS[Math.min(this.tries++, AGAIN_MS.length - 1)]);
    });
  }

  hear(state) {
    this.tries = 0;
    this.heardAt = Date.now();
    this.on.state(state);
  }

  /** Ask when the stream is silent: perhaps nothing changes, perhaps it hangs, perhaps nobody is there. */
  async look() {
    if (this.ageMs <= OLD_AFTER_MS) return;
    if (!this.asks) {
      this.asks = true;
      try {
        this.hear(await fetchJson("/api/state"));
      } catch {
        // It is told below.
      } finally {
        this.asks = false;
      }
    }
    if (this.ageMs > OLD_AFTER_MS) this.on.old(this.ageMs);
  }
}
