// One chair in full, beside the wall and never over its banner: alarms, criteria, and what staff can do.
// Not modal, and without alert() or confirm(): those would stop the page's clock.

import { age, current } from "./ages.js";
import { acknowledging, alarmNote, left, named, ranked, signalled, unacknowledged, urgent } from "./alarms.js";
import { act, notice } from "./deeds.js";
import { button, make, mark, put, show } from "./dom.js";
import { Entries } from "./entries.js";
import { section, sure } from "./fields.js";
import { forms } from "./forms.js";
import { Readiness } from "./readiness.js";
import { clock, phase } from "./words.js";

export class Panel {
    #chair = "";
    #state = null;
    #parts = {};
    #built = "";
    #forms = null;
    #entries = new Entries((...asked) => this.#send(...asked), notice);
    #readiness = new Readiness(rows);

    constructor(dialog, resized) {
        this.dialog = dialog;
        this.resized = resized;
        const p = this.#parts;
        const part = (name, tag = "div") => (p[name] = make(tag, name));
        p.ack = button("", "Acknowledge all", () => this.#send(
            acknowledging(unacknowledged(this.#state.alarms), this.#state.during_outage.length > 0), p.ack));
        p.pause = button("", "Pause sound", () => this.#send({ kind: "pause_audio" }, p.pause));
        p.off = sure("Switch the sound off", (pressed) => this.#send({ kind: "audio_off", on: true }, pressed));
        p.on = button("", "Switch the sound on", () => this.#send({ kind: "audio_off", on: false }, p.on));
        dialog.append(
            make("header", "", part("title", "h2"), part("where", "p"), button("close", "Close", () => this.close())),
            section("Alarms", part("alarms", "ul"), part("suppressions", "ul"), part("outage", "p"),
                make("div", "row", p.ack, p.pause, p.off, p.on)),
            section("Readiness", ...this.#readiness.elements),
            part("deeds"),
            section("Entered", this.#entries.element),
            section("Lately", part("lately", "ol")),
            part("print", "p"));
        document.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
        addEventListener("hashchange", () => this.#follow());
        this.#follow();
    }

    open(chair) {
        location.hash = `chair=${encodeURIComponent(chair)}`;
    }

    close() {
        location.hash = "";
    }

    /** The address names the chair, so that the tablet beside it can keep it. */
    #follow() {
        const address = /^#chair=(.+)$/.exec(location.hash);
        this.#chair = address ? decodeURIComponent(address[1]) : "";
        this.#built = "";
        if (this.#chair) this.dialog.show();
        else this.dialog.close();
        setTimeout(this.resized);
    }

    draw(chairs, lately, site, now, live) {
        if (!this.#chair) return;
        const entry = chairs.get(this.#chair);
        const p = this.#parts;
        put(p.title, this.#chair);
        this.#state = entry?.state ?? null;
        if (!this.#state) return put(p.where, "Nothing was heard of this chair yet.");
        const state = this.#state;
        const sinceMs = age(entry, now);
        mark(this.dialog, "history", current(entry, now, live) ? "" : "yes");
        const where = `${state.alias} · ${state.protocol} · ${phase(state.phase)} ${clock(state.phase_s + sinceMs / 1000)}`;
        put(p.where, (state.session ? where : "No session") + ` · board ${state.device}${state.online ? "" : " (offline)"}`);
        this.#alarms(state, sinceMs);
        this.#readiness.draw(state, sinceMs);
        this.#entries.draw(state.entries ?? [], sinceMs);
        rows(p.lately, [...(lately.get(this.#chair) ?? [])].reverse(), (t) => [
            t.level, `${new Date(t.at_ms).toLocaleTimeString([], { hourCycle: "h23" })}  ${t.what}${t.who ? ` by ${t.who}` : ""}`, t.reason,
        ]);
        put(p.print, state.protocol_hash ? `${state.protocol}, as of ${state.protocol_hash}` : "");
        this.#deeds(state, site, sinceMs, [...chairs.values()].filter((other) => other.state?.session === "").map((other) => other.chair));
    }

    #alarms(state, sinceMs) {
        const p = this.#parts;
        const { alarms, during_outage: outage = [], suppressions = [] } = state;
        rows(p.alarms, ranked(alarms), (alarm) => [
            signalled(alarm), named(alarm), [urgent(alarm), alarmNote(alarm, sinceMs)].filter(Boolean).join(" · "),
        ]);
        if (!alarms.length) rows(p.alarms, ["No alarm."], (words) => ["none", words, ""]);
        rows(p.suppressions, suppressions, (one) => ["none", `No sound: ${one.reason}`, left(one.left_s, sinceMs)]);
        put(p.outage, outage.length ? `During the outage: ${outage.join(" · ")}` : "");
        show(p.ack, unacknowledged(alarms).length > 0 || outage.length > 0);
        show(p.pause, alarms.length > 0);
        show(p.off, alarms.length > 0 && !state.audio_off);
        show(p.on, state.audio_off === true);
    }

    /** The forms are built anew only for another chair or session: nobody loses what they typed. */
    #deeds(state, site, sinceMs, free) {
        const built = [state.chair, state.session, site?.protocols].join("|");
        if (built !== this.#built) {
            this.#built = built;
            this.#forms = forms(state, site?.protocols ?? [], (...asked) => this.#send(...asked), notice);
            this.#parts.deeds.replaceChildren(...this.#forms.elements);
        }
        this.#forms.draw(state, free, sinceMs);
    }

    /** True if the gateway did it. */
    async #send(action, pressed, form) {
        const ok = await act(this.#state, action, pressed);
        if (ok) form?.reset();
        return ok;
    }
}

/** As many rows as items, each a line of words and one of detail. */
function rows(list, items, words) {
    while (list.children.length > items.length) list.lastChild.remove();
    while (list.children.length < items.length) list.append(make("li", "", make("span"), make("small")));
    items.forEach((item, i) => {
        const [kind, text, detail] = words(item);
        mark(list.children[i], "kind", kind);
        put(list.children[i].firstChild, text);
        put(list.children[i].lastChild, detail);
    });
}
