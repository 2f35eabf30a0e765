// The live events. EventSource reconnects by itself; where it gives up or hangs, the watchdog opens a new one.

import { Transit } from "./ages.js";

const REOPEN_MS = 5000;

export class Stream {
    /** When anything came last, by performance.now(); null before. */
    at = null;
    /** The last beat: {broker, gateway, retained, ageMs, at}. */
    beat = null;
    #source = null;
    #openedAt = 0;

    constructor(url, take) {
        this.url = url;
        this.take = take;
        this.open();
    }

    open() {
        this.#source?.close();
        this.#openedAt = performance.now();
        this.#source = new EventSource(this.url);
        let transit = new Transit();
        this.#source.onopen = () => (transit = new Transit());
        for (const kind of ["site", "chair", "lately", "beat"]) {
            this.#source.addEventListener(kind, (event) => {
                const body = JSON.parse(event.data);
                const now = performance.now();
                const entry = { ...body, ageMs: (body.age_ms ?? 0) + transit.delay(body.sent_ms, now), at: now };
                this.at = now;
                if (kind === "beat") this.beat = entry;
                this.take(kind, entry);
            });
        }
    }

    close() {
        this.#source.close();
    }

    watch(now) {
        if (now - Math.max(this.at ?? 0, this.#openedAt) > REOPEN_MS) this.open();
    }
}
