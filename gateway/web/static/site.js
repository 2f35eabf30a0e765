// Alarms of the whole site, over all tiles: one cause for many chairs, and what the gateway itself suffers from.

import { age } from "./ages.js";
import { acknowledging, alarmNote, calls, highest, ranked, signalled, unacknowledged } from "./alarms.js";
import { act } from "./deeds.js";
import { button, make, mark, put, show } from "./dom.js";
import { MARKS } from "./words.js";

const SITE = { chair: "", session: "" };

export class SiteAlarms {
    #alarms = [];

    constructor(element) {
        this.element = element;
        const ack = button("acknowledgeAll", "Acknowledge", () => {
            // An empty list would mean all there is by the time it arrives.
            const shown = unacknowledged(this.#alarms);
            if (shown.length) act(SITE, acknowledging(shown), ack);
        });
        const pause = button("pauseAll", "Pause sound", () => act(SITE, { kind: "pause_audio" }, pause));
        this.list = make("ul", "");
        this.answers = make("div", "row", pause, ack);
        element.append(this.list, this.answers);
    }

    /** What no live heartbeat stands behind is grey, and does not flash. */
    draw(beat, now, live) {
        const sinceMs = beat ? age(beat, now) : 0;
        this.#alarms = ranked(beat?.gateway?.alarms ?? []);
        show(this.element, this.#alarms.length > 0);
        mark(this.element, "history", live ? "" : "yes");
        mark(this.element, "level", highest(this.#alarms));
        mark(this.element, "calls", this.#alarms.some((alarm) => calls(alarm)) ? "yes" : "no");
        while (this.list.children.length > this.#alarms.length) this.list.lastChild.remove();
        while (this.list.children.length < this.#alarms.length) {
            this.list.append(make("li", "", make("b", "marks"), make("span", "reason"), make("small", "note")));
        }
        this.#alarms.forEach((alarm, i) => {
            const [marks, reason, note] = this.list.children[i].children;
            put(marks, MARKS[signalled(alarm)]);
            put(reason, alarm.reason);
            put(note, alarmNote(alarm, sinceMs));
        });
        for (const element of this.answers.children) show(element, live && this.#alarms.some(calls));
    }
}
