// What staff entered, newest first. A wrong one is corrected, never erased: it stays, struck through.

import { button, make, mark, put } from "./dom.js";
import { baseline, dose, observation } from "./facts.js";
import { form, row } from "./fields.js";
import { ago } from "./words.js";

const FACTS = { dose, baseline, observe: observation };

export class Entries {
    #rows = new Map(); // entry id -> its row
    #send;
    #notice;

    constructor(send, notice) {
        this.#send = send;
        this.#notice = notice;
        this.list = make("ol", "entries");
        this.correction = make("div", "correction");
        this.element = make("div", "", this.list, this.correction);
    }

    draw(entries, sinceMs) {
        const ids = entries.map((entry) => entry.id);
        for (const [id, row] of this.#rows) {
            if (ids.includes(id)) continue;
            row.remove();
            this.#rows.delete(id);
        }
        entries.forEach((entry, i) => {
            const row = this.#rows.get(entry.id) ?? this.#made(entry);
            if (this.list.children[i] !== row) this.list.insertBefore(row, this.list.children[i] ?? null);
            const [words, note, correct] = row.children;
            const wrong = entry.superseded_by !== undefined;
            mark(row, "superseded", wrong ? "yes" : "");
            put(words, entry.text);
            put(note, `${ago(entry.ago_s * 1000 + sinceMs)} ago, by ${entry.who}${wrong ? " · corrected" : ""}`);
            correct.hidden = wrong;
        });
    }

    #made(entry) {
        const correct = button("correct", "Correct", () => this.#begin(entry));
        correct.setAttribute("aria-label", `Correct: ${entry.text}`);
        const made = make("li", "", make("span"), make("small"), correct);
        this.#rows.set(entry.id, made);
        return made;
    }

    #begin(entry) {
        const fact = FACTS[entry.kind]();
        const send = async (action, pressed) => {
            if (await this.#send({ kind: "correct", entry: entry.id, ...action }, pressed)) this.correction.replaceChildren();
        };
        const instead = form("Record this instead", fact.fields, (pressed) => {
            const action = fact.read();
            if (action === null) return this.#notice(fact.nothing, false);
            send({ instead: action }, pressed);
        });
        this.correction.replaceChildren(
            make("p", "wrong", "Wrong: ", make("s", "", entry.text)),
            instead,
            row(
                button("", "It did not happen", (event) => send({}, event.target)),
                button("", "Leave it", () => this.correction.replaceChildren())));
        this.correction.scrollIntoView({ block: "nearest" });
    }
}
