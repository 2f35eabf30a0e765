// Readiness in full: the verdict, each criterion with its number, and the published scores as far as they are measured.

import { LOST_MS } from "./ages.js";
import { make, put } from "./dom.js";
import { ago, plain } from "./words.js";

const SIGNS = { met: "✓", unmet: "✗", unknown: "?" };
const VERDICTS = { met: "met", unmet: "not met", unknown: "unknown" };

export class Readiness {
    constructor(rows) {
        this.rows = rows;
        this.verdict = make("p", "verdict");
        this.reached = make("p", "reached");
        this.criteria = make("ul", "criteria");
        this.scores = make("ul", "scores");
        this.elements = [this.verdict, this.reached, this.criteria, this.scores];
    }

    draw({ readiness, scores = [] }, sinceMs) {
        const lost = sinceMs > LOST_MS;
        put(this.verdict, plain(readiness.state).toLowerCase() + (readiness.state === "CRITERIA_MET" ? " – advisory" : ""));
        put(this.reached, [
            reached("Criteria first met", readiness.first_met, sinceMs),
            reached("Met but for the time", readiness.first_met_but_time, sinceMs),
        ].filter(Boolean).join(" · "));
        this.rows(this.criteria, readiness.criteria, (c) => [
            c.verdict, `${SIGNS[c.verdict]} ${c.label}`, `${VERDICTS[c.verdict]} · ${lost ? "--" : c.detail}`,
        ]);
        this.rows(this.scores, scores, (score) => ["score", `${score.label} ${lost ? "--" : points(score)}`, lost ? "" : missing(score)]);
    }
}

/** What is missing is no point and no zero. */
function points({ total, items }) {
    if (total !== undefined) return String(total);
    return `${items.reduce((sum, item) => sum + (item.points ?? 0), 0)} or more`;
}

function missing({ id, items }) {
    const open = items.filter((item) => item.points === undefined);
    const notes = open.length ? [`missing: ${open.map((item) => `${item.label.toLowerCase()} (${item.detail})`).join(", ")}`] : [];
    return (id === "news2" ? ["for information", ...notes] : notes).join(" · ");
}

function reached(words, view, sinceMs) {
    if (!view) return "";
    const after = view.after_first_dose_s;
    return `${words} ${ago(view.ago_s * 1000 + sinceMs)} ago` + (after === undefined ? "" : `, ${ago(after * 1000)} after the first dose`);
}
