// How old is what we show? Only performance.now() and ages that came with the values count here, never a wall clock.

export const STALE_MS = 3000; // greyed with its age
export const LOST_MS = 30000; // not shown at all
export const SILENT_MS = 2500; // two heartbeats missed: the page says within 3 s that it is not live

/** Age of a message now. */
export const age = (entry, now) => entry.ageMs + now - entry.at;

/** "live", "stale", "lost" or "none": the worse of the gateway's judgement and our own counting. */
export function freshness(entry, now, live) {
    const vitals = entry.state?.vitals;
    if (!vitals) return "none";
    const ageMs = vitals.age_ms + age(entry, now);
    if (ageMs > LOST_MS || vitals.freshness === "lost") return "lost";
    if (ageMs > STALE_MS || vitals.freshness === "stale" || !current(entry, now, live)) return "stale";
    return "live";
}

/** Is the whole message still news: delivered live, on a live page, and followed up each second? */
export const current = (entry, now, live) => live && !entry.retained && age(entry, now) <= STALE_MS;

/** How long an event was under way beyond the fastest of the last minute or two: a page that slept, or a slow
 * network, receives the past in a burst, and it must not look new. */
export class Transit {
    #fastest = [Infinity, Infinity];
    #since = -Infinity;

    delay(sentMs, now) {
        if (now - this.#since > 60000) {
            this.#fastest = [Infinity, this.#fastest[0]];
            this.#since = now;
        }
        this.#fastest[0] = Math.min(this.#fastest[0], now - sentMs);
        return now - sentMs - Math.min(...this.#fastest);
    }
}

/** Why the page is not live, or "" if it is. */
export function notLive(heard, now) {
    const silent = (since) => Math.floor((now - since) / 1000);
    if (heard.at === null) return "connecting";
    if (now - heard.at > SILENT_MS) return `this screen lost its server ${silent(heard.at)} s ago`;
    const beat = heard.beat;
    if (!beat) return "connecting";
    if (!beat.broker) return "the page's server has no connection to the broker";
    if (!beat.gateway) return "no gateway was heard";
    if (beat.gateway.online === false) return "the gateway stopped";
    if (beat.retained) return "the gateway has not been heard since this screen connected";
    if (age(beat, now) > SILENT_MS) return `gateway silent for ${Math.floor(age(beat, now) / 1000)} s`;
    return "";
}
