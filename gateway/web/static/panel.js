// One chair in full, beside the wall and never over its banner: alarms, criteria, and what staff can do.
// Not modal, and without alert() or confirm(): those would stop the page's clock.

import { age, current } from "./ages.js";
import { act, notice } from "./deeds.js";
import { button, make, mark, put } from "./dom.js";
import { forms } from "./forms.js";
import { alarmNote, ranked, unacknowledged } from "./tile.js";
import { MARKS, against, clock, phase, plain } from "./words.js";

const SIGNS = { met: "✓", unmet: "✗", unknown: "?" };
const VERDICTS = { met: "met", unmet: "not met", unknown: "unknown" };

export class Panel {
    #chair = "";
    #state = null;
    #parts = {};
    #built = "";

    constructor(dialog, resized) {
        this.dialog = dialog;
        this.resized = resized;
        const p = this.#parts;
        const part = (name, tag = "div") => (p[name] = make(tag, name));
        const section = (title, ...children) => make("section", "", make("h3", "", title), ...children);
        p.ack = button("", "Acknowledge all", () =>
            act(this.#state, {
                kind: "acknowledge",
                alarms: unacknowledged(this.#state).map((alarm) => alarm.id),
                outage: this.#state.during_outage.length > 0,
            }, p.ack));
        p.pause = button("", "Pause sound", () => act(this.#state, { kind: "pause_audio" }, p.pause));
        dialog.append(
            make("header", "", part("title", "h2"), part("where", "p"), button("close", "Close", () => this.close())),
            section("Alarms", part("alarms", "ul"), part("outage", "p"), make("div", "row", p.ack, p.pause)),
            section("Readiness", part("verdict", "p"), part("criteria", "ul")),
            part("deeds"),
            section("Lately", part("lately", "ol")));
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
        const named = /^#chair=(.+)$/.exec(location.hash);
        this.#chair = named ? decodeURIComponent(named[1]) : "";
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
        p.ack.parentElement.hidden = !this.#state?.alarms.length && !this.#state?.during_outage?.length;
        if (!this.#state) return put(p.where, "Nothing was heard of this chair yet.");
        const state = this.#state;
        const sinceMs = age(entry, now);
        mark(this.dialog, "history", current(entry, now, live) ? "" : "yes");
        const where = `${state.alias} · ${state.protocol} · ${phase(state.phase)} ${clock(state.phase_s + sinceMs / 1000)}`;
        put(p.where, (state.session ? where : "No session") + ` · board ${state.device}${state.online ? "" : " (offline)"}`);
        this.#rows(p.alarms, ranked(state), (alarm) => [
            alarm.level, `${MARKS[alarm.level]} ${alarm.reason}`, [against(alarm), alarmNote(alarm, sinceMs)].filter(Boolean).join(" · "),
        ]);
        const outage = state.during_outage ?? [];
        put(p.outage, outage.length ? `During the outage: ${outage.join(" · ")}` : "");
        if (!state.alarms.length) this.#rows(p.alarms, ["No alarm."], (text) => ["none", text, ""]);
        put(p.verdict, plain(state.readiness.state).toLowerCase() + (state.readiness.state === "CRITERIA_MET" ? " – advisory" : ""));
        this.#rows(p.criteria, state.readiness.criteria, (c) => [
            c.verdict, `${SIGNS[c.verdict]} ${c.label}`, `${VERDICTS[c.verdict]} · ${c.detail}`,
        ]);
        this.#rows(p.lately, [...(lately.get(this.#chair) ?? [])].reverse(), (t) => [
            t.level, `${new Date(t.at_ms).toLocaleTimeString([], { hourCycle: "h23" })}  ${t.what}${t.who ? ` by ${t.who}` : ""}`, t.reason,
        ]);
        this.#deeds(state, site);
    }

    /** The forms are built anew only when what can be done changes: nobody loses what they typed. */
    #deeds(state, site) {
        const built = [state.chair, state.session, state.phase, state.readiness.state, site?.protocols].join("|");
        if (built === this.#built) return;
        this.#built = built;
        const send = async (action, pressed, form) => {
            const ok = await act(this.#state, action, pressed);
            if (ok) form?.reset();
        };
        this.#parts.deeds.replaceChildren(...forms(state, site?.protocols ?? [], send, notice));
    }

    #rows(list, items, words) {
        while (list.children.length > items.length) list.lastChild.remove();
        while (list.children.length < items.length) list.append(make("li", "", make("span"), make("small")));
        items.forEach((item, i) => {
            const [kind, text, detail] = words(item);
            mark(list.children[i], "kind", kind);
            put(list.children[i].firstChild, text);
            put(list.children[i].lastChild, detail);
        });
    }
}
