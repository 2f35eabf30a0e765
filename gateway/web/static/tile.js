// One chair on the wall. Built once, then only texts and marks change, so that nothing jumps under a finger.

import { STALE_MS, age, current, freshness } from "./ages.js";
import { acknowledging, alarmNote, answerable, calls, gravest, left, named, ranked, signalled, urgent } from "./alarms.js";
import { act } from "./deeds.js";
import { button, make, mark, put, show } from "./dom.js";
import { MARKS, ago, clock, cuffPhase, phase, quality, whole } from "./words.js";

const ASKED_MAX = 2; // the panel names all

function oldness(ageMs, retained) {
    if (ageMs > STALE_MS) return `${retained ? "over " : ""}${ago(ageMs)} old`;
    return retained ? "history" : "not live";
}

export class Tile {
    #state = null;
    #parts = {};
    #wasFresh = "none";

    constructor(chair, opened) {
        const p = this.#parts;
        const part = (name, tag = "span") => (p[name] = make(tag, name));
        const labelled = (label, unit, ...children) =>
            make("div", "quantity", make("span", "label", label, make("small", "", ` ${unit}`)), ...children);
        p.place = button("place", chair, opened);
        p.ack = button("ack", "Acknowledge", () => this.#acknowledge());
        const face = make("div", "face",
            make("header", "", make("h2", "", p.place), part("alias"), part("flags"), part("phase")),
            make("div", "numbers",
                labelled("SpO₂", "%", part("spo2", "output"), part("signal")),
                make("div", "side",
                    labelled("Pulse", "/min", part("pulse", "output")),
                    labelled("Pressure", "mmHg", part("pressure", "output"), part("pressureNote"))),
                make("div", "hatched", part("lost"), part("lastPressure"))),
            make("div", "foot",
                make("div", "alarm", part("marks"), part("reason"),
                    make("div", "notes", part("against", "b"), " ", part("note")), p.ack),
                part("outage", "div"),
                part("asked", "div"),
                make("div", "ready", part("readiness"), part("missing"))));
        this.element = make("article", "tile", face);
        this.element.dataset.chair = chair;
        this.element.addEventListener("click", (event) => {
            if (!event.target.closest("button")) opened();
        });
    }

    draw(entry, now, live) {
        this.#state = entry?.state ?? null;
        if (!this.#state) return this.#unheard();
        const state = this.#state;
        const sinceMs = age(entry, now);
        mark(this.element, "heard", "yes");
        mark(this.element, "history", current(entry, now, live) ? "" : "yes");
        mark(this.element, "session", state.session ? "yes" : "no");
        this.#vitals(entry, now, live);
        this.#pressure(state, sinceMs, current(entry, now, live));
        this.#alarm(state, sinceMs);
        this.#asked(state, sinceMs);
        this.#readiness(state);
        const flags = this.#flags(state, sinceMs);
        const where = `${phase(state.phase)} ${clock(state.phase_s + sinceMs / 1000)}`;
        put(this.#parts.alias, state.session ? state.alias : "");
        put(this.#parts.phase, state.session ? (flags ? where : `${state.protocol} · ${where}`) : "free");
        const outage = state.during_outage ?? [];
        put(this.#parts.outage, outage.length ? `During the outage: ${outage.join(" · ")}` : "");
    }

    /** What is not as usual: the patient is away, or the sound is off. */
    #flags(state, sinceMs) {
        const flags = [];
        if (state.away_s !== undefined) flags.push(`AWAY ${left(state.away_s, sinceMs)}`.trim());
        if (state.audio_off) flags.push("SOUND OFF");
        put(this.#parts.flags, flags.join(" · "));
        return flags.length > 0;
    }

    /** What staff are asked to look at, the longest due first. */
    #asked({ asks = [] }, sinceMs) {
        const due = asks.filter((ask) => ask.due_s * 1000 <= sinceMs).sort((a, b) => a.due_s - b.due_s);
        const first = due.slice(0, ASKED_MAX).map((ask) => ask.label);
        const more = due.length > ASKED_MAX ? [`${due.length - ASKED_MAX} more`] : [];
        put(this.#parts.asked, due.length ? `Please look: ${[...first, ...more].join(" · ")}` : "");
    }

    #unheard() {
        mark(this.element, "heard", "no");
        mark(this.element, "level", "none");
        this.#lost("NOT HEARD YET");
    }

    #lost(text) {
        mark(this.element, "fresh", "lost");
        put(this.#parts.lost, text);
        for (const name of ["spo2", "pulse"]) put(this.#parts[name], "--");
    }

    #vitals(entry, now, live) {
        const { vitals, online } = entry.state;
        const fresh = freshness(entry, now, live);
        const ageMs = vitals ? vitals.age_ms + age(entry, now) : 0;
        if (fresh === "stale" && this.#wasFresh === "live") this.element.dataset.staleAtMs = Math.round(ageMs);
        this.#wasFresh = fresh;
        const signal = [];
        if (fresh === "lost") this.#lost(`NO SIGNAL for ${clock(ageMs / 1000)}`);
        else if (fresh === "none") this.#lost(online ? "WAITING FOR A READING" : "NO SIGNAL");
        else {
            mark(this.element, "fresh", fresh);
            put(this.#parts.lost, "");
            // Below what the board was calibrated for, a number is a direction: it must not look like a measurement.
            const about = vitals.quality === "below_range" && vitals.spo2_pct !== undefined ? "≈" : "";
            put(this.#parts.spo2, about + whole(vitals.spo2_pct));
            put(this.#parts.pulse, whole(vitals.pulse_bpm));
            if (fresh === "stale") signal.push(oldness(ageMs, entry.retained));
            if (vitals.quality !== "good") signal.push(quality(vitals.quality));
            if (fresh === "live" && cuffPhase(vitals.cuff)) {
                signal.push(`cuff ${cuffPhase(vitals.cuff)} ${whole(vitals.cuff_mmhg)} mmHg`);
            }
            if (vitals.pi_pct !== undefined) signal.push(`PI ${vitals.pi_pct.toFixed(1)} %`);
        }
        if (!online) signal.unshift("board offline");
        put(this.#parts.signal, signal.join(" · "));
    }

    #pressure({ pressure, cuff_next_s: nextS, session }, sinceMs, now) {
        const { pressure: value, pressureNote: note } = this.#parts;
        const notes = [];
        mark(value, "current", now && (pressure?.current ?? false));
        if (!pressure) put(value, "--/--");
        else {
            put(value, `${whole(pressure.sys_mmhg)}/${whole(pressure.dia_mmhg)}`);
            if (pressure.map_mmhg !== undefined) notes.push(`mean ${whole(pressure.map_mmhg)}`);
            if (pressure.quality === "failed") notes.push(`failed: ${(pressure.reason ?? "").replaceAll("_", " ")}`);
            notes.push(`${ago(pressure.age_ms + sinceMs)} ago`);
        }
        const inS = (nextS ?? 0) - sinceMs / 1000;
        if (now && session && inS > 0) notes.push(`next ${clock(inS)}`);
        put(note, notes.join(" · "));
        put(this.#parts.lastPressure, pressure ? `last pressure ${value.textContent} · ${notes.join(" · ")}` : "");
    }

    #alarm(state, sinceMs) {
        const alarms = ranked(state.alarms);
        const level = gravest(state);
        const { marks, reason, note, ack } = this.#parts;
        put(this.#parts.against, alarms.length ? urgent(alarms[0]) : "");
        mark(this.element, "level", level);
        mark(this.element, "calls", alarms.some((alarm) => signalled(alarm) === level && calls(alarm)) ? "yes" : "no");
        put(marks, MARKS[level]);
        show(ack, answerable(state.alarms).length > 0);
        if (!alarms.length) {
            put(reason, level === "none" ? "" : `${level} alarm`);
            return put(note, "");
        }
        put(reason, alarms[0].reason);
        const others = alarms.slice(1).map(named);
        put(note, [alarmNote(alarms[0], sinceMs), ...others].join(" · "));
    }

    #readiness({ readiness }) {
        const missing = readiness.criteria.filter((criterion) => criterion.verdict !== "met");
        const said = {
            NO_SESSION: ["", ""],
            NOT_READY: ["Not ready", missing.map((criterion) => criterion.label).join(" · ")],
            CRITERIA_MET: ["Meets criteria", "advisory: a member of staff decides"],
            SIGNED_OFF: ["Signed off", `by ${readiness.signed_off_by ?? "staff"}`],
            DISCHARGED: ["Discharged", ""],
        }[readiness.state];
        mark(this.element, "ready", readiness.state);
        const count = readiness.state === "NOT_READY" && missing.length ? `: ${missing.length} missing` : "";
        put(this.#parts.readiness, said[0] + count);
        put(this.#parts.missing, said[1]);
    }

    #acknowledge() {
        // Only what this screen shows: an alarm that came meanwhile is not acknowledged unseen.
        const alarms = answerable(this.#state.alarms);
        if (alarms.length) act(this.#state, acknowledging(alarms), this.#parts.ack);
    }
}
