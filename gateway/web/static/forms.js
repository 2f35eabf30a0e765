// What staff can do for a chair; each form or button makes one action of the contract. Built once for a session: what
// changes meanwhile is drawn into it, so that nobody loses what they typed.

import { left } from "./alarms.js";
import { button, make, mark, put, show } from "./dom.js";
import { baseline, given, observation } from "./facts.js";
import { choice, folded, form, inline, number, row, section, sure, text } from "./fields.js";
import { ago } from "./words.js";

/** `send(action, button, form)` posts an action. The result: elements, and `draw(state, free, sinceMs)`. */
export function forms(state, protocols, send, notice) {
    if (!state.session) return { elements: [start(protocols, send, notice), place(send, notice, false).element], draw() {} };
    const parts = [observe(send, notice), drug(send, notice), pause(send, notice), leaving(send, notice), place(send, notice, true)];
    return {
        elements: parts.map((part) => part.element),
        draw: (...now) => parts.forEach((part) => part.draw(...now)),
    };
}

function start(protocols, send, notice) {
    const protocol = protocols.length ? choice("protocol", protocols.map((id) => [id, id])) : text("protocol", 64);
    const alias = text("alias", 12);
    alias.placeholder = "a short name, not the patient's";
    const sys = number("baseline_sys_mmhg", 50, 260);
    const dia = number("baseline_dia_mmhg", 20, 180);
    return section("Start a session", form("Start", [
        ["Protocol", protocol], ["Alias", alias], ["Baseline systolic (mmHg)", sys], ["Baseline diastolic (mmHg)", dia],
    ], (pressed, element) => {
        const action = { kind: "start", protocol: protocol.value.trim(), alias: alias.value.trim() };
        if (!action.protocol || !action.alias) return notice("A session needs a protocol and an alias.", false);
        send({ ...action, ...given("start", {}, sys, dia) }, pressed, element);
    }));
}

/** What is asked for stands first, with since when; the rest is there on request. */
function observe(send, notice) {
    const { fields, read, nothing } = observation();
    const element = form("Record", fields, (pressed, form_) => {
        const action = read();
        if (action === null) return notice(nothing, false);
        send(action, pressed, form_);
    });
    const asked = make("p", "asked");
    const more = button("more", "", () => mark(element, "all", element.dataset.all ? "" : "yes"));
    element.classList.add("observe");
    element.insertBefore(more, element.lastChild);
    return {
        element: section("Observe", asked, element),
        draw({ asks = [] }, _free, sinceMs) {
            const due = new Map(asks.map((ask) => [ask.item, ask.due_s - sinceMs / 1000]));
            const next = asks.filter((ask) => due.get(ask.item) > 0);
            for (const [label, input] of fields) {
                const dueS = due.get(input.name);
                const now = dueS !== undefined && dueS <= 0;
                mark(input.parentElement, "asked", now ? "yes" : "");
                put(input.previousElementSibling, now ? `${label}, ${dueS > -60 ? "now" : `due for ${ago(-dueS * 1000)}`}` : label);
            }
            const soon = next.map((ask) => `${ask.label} in ${ago(due.get(ask.item) * 1000)}`);
            put(asked, next.length < asks.length ? "" : ["Nothing is asked for now.", ...soon].join(" "));
            put(more, element.dataset.all ? "Only what is asked for" : "Something else");
        },
    };
}

function drug(send, notice) {
    const minutes = number("minutes_ago", 0, 120);
    minutes.placeholder = "now";
    const dose = (words, what) =>
        button("", words, async (event) => {
            if (await send(given("dose", { what }, minutes), event.target)) minutes.value = "";
        });
    const { fields, read, nothing } = baseline();
    const known = make("p", "known");
    const typed = form("Use these", fields, (pressed, element) => {
        const action = read();
        if (action === null) return notice(nothing, false);
        send(action, pressed, element);
    });
    const measured = button("", "Take it from the readings", (event) => send({ kind: "baseline" }, event.target));
    return {
        element: section("Dose and baseline",
            make("label", "", make("span", "", "Minutes ago"), minutes),
            row(dose("First dose", "first"), dose("Further dose", "further"), dose("Dose end", "end")),
            known, folded("Baseline", measured, typed)),
        draw({ baseline: now }) {
            const from = now && (now.readings ? `median of ${now.readings} readings` : "typed");
            put(known, now ? `Baseline ${Math.round(now.sys_mmhg)}/${Math.round(now.dia_mmhg)} mmHg, ${from}` : "No baseline yet.");
        },
    };
}

/** The cuff, and the patient who leaves the chair for a moment: both bounded, both shown. */
function pause(send, notice) {
    const cuff = number("defer_minutes", 1, 15);
    const leave = number("away_minutes", 1, 15);
    for (const input of [cuff, leave]) input.value = 5;
    const minutes = (kind, input) => (pressed) => {
        if (!input.checkValidity() || !input.value) return notice("Between 1 and 15 minutes.", false);
        send({ kind, minutes: Number(input.value) }, pressed);
    };
    const gone = inline("Patient is away", "Leave: minutes", leave, minutes("away", leave));
    const back = button("primary", "Patient is back", (event) => send({ kind: "back" }, event.target));
    const away = make("p", "away");
    return {
        element: section("Cuff and leave",
            row(button("", "Measure pressure now", (event) => send({ kind: "measure" }, event.target))),
            inline("Put off the cuff", "Cuff: minutes", cuff, minutes("defer", cuff)), gone, away, back),
        draw({ away_s: awayS }, _free, sinceMs) {
            show(gone, awayS === undefined);
            show(back, awayS !== undefined);
            put(away, awayS === undefined ? "" : `The patient is away${left(awayS, sinceMs) && `, ${left(awayS, sinceMs)}`}.`);
        },
    };
}

function leaving(send, notice) {
    const sign = sure("Sign off", (pressed) => send({ kind: "sign_off" }, pressed), "primary");
    const discharge = sure("Discharge with escort", (pressed) => send({ kind: "discharge" }, pressed), "primary");
    const reason = text("reason", 200);
    const abort = form("End session", [["Reason", reason]], (pressed, element) => {
        if (!reason.value.trim()) return notice("Say why the session ends.", false);
        send({ kind: "abort", reason: reason.value.trim() }, pressed, element);
    });
    return {
        element: section("Leaving", row(sign, discharge), folded("End without discharge", abort)),
        draw({ readiness }) {
            sign.disabled = readiness.state !== "CRITERIA_MET";
            discharge.disabled = readiness.state !== "SIGNED_OFF";
        },
    };
}

function place(send, notice, occupied) {
    const to = choice("to", []);
    const device = text("device", 32);
    device.placeholder = "cb-7f3a21";
    const move = sure("Move the patient", (pressed) => {
        if (!to.value) return notice("No other chair is free.", false);
        send({ kind: "move", to: to.value }, pressed);
    });
    const swap = sure("Use this board", (pressed) => {
        if (!device.value.trim()) return notice("Type the name on the board.", false);
        send({ kind: "swap", device: device.value.trim() }, pressed);
    });
    const moving = [make("label", "", make("span", "", "To chair"), to), row(move)];
    return {
        element: section("Place",
            folded("Another chair or board",
                ...(occupied ? moving : []),
                make("label", "", make("span", "", "Board"), device), row(swap))),
        draw(_state, free) {
            if ([...to.options].map((option) => option.value).join("|") === free.join("|")) return;
            const chosen = to.value;
            to.replaceChildren(...free.map((chair) => new Option(chair, chair)));
            if (free.includes(chosen)) to.value = chosen;
        },
    };
}
