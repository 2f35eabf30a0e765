// The forms for staff actions; each makes one action of the contract.

import { button, make } from "./dom.js";

const SURE_MS = 4000;
const YES_NO = (yes, no) => [["", "–"], ["true", yes], ["false", no]];
const MOAAS = ["no response", "to pain only", "to prodding", "to a loud voice", "lethargic", "awake"];

/** What can be done for a chair in this state. `send(action, button, form)` posts it. */
export function forms(state, protocols, send, notice) {
    if (!state.session) return [start(protocols, send, notice)];
    const plain = (text, action) => button("", text, (event) => send(action, event.target));
    const ready = state.readiness.state;
    return [
        section("Dose and cuff", row(
            plain("First dose", { kind: "dose", what: "first" }),
            plain("Further dose", { kind: "dose", what: "further" }),
            plain("Dose end", { kind: "dose", what: "end" }),
            plain("Measure pressure now", { kind: "measure" }))),
        observe(send, notice),
        section("Leaving", row(
            enabled(ready === "CRITERIA_MET", sure("Sign off", { kind: "sign_off" }, send)),
            enabled(ready === "SIGNED_OFF", sure("Discharge with escort", { kind: "discharge" }, send)))),
        abort(send, notice),
    ];
}

function start(protocols, send, notice) {
    const protocol = protocols.length ? choice("protocol", protocols.map((id) => [id, id])) : field("protocol", 64);
    const alias = field("alias", 12);
    alias.placeholder = "a short name, not the patient's";
    const sys = number("baseline_sys_mmhg", 50, 260);
    const dia = number("baseline_dia_mmhg", 20, 180);
    return form("Start a session", "Start", [
        ["Protocol", protocol], ["Alias", alias], ["Baseline systolic (mmHg)", sys], ["Baseline diastolic (mmHg)", dia],
    ], (pressed, element) => {
        const action = { kind: "start", protocol: protocol.value.trim(), alias: alias.value.trim() };
        if (!action.protocol || !action.alias) return notice("A session needs a protocol and an alias.", false);
        for (const input of [sys, dia]) if (input.value !== "") action[input.name] = Number(input.value);
        send(action, pressed, element);
    });
}

function observe(send, notice) {
    const scale = (words) => words.map((word, i) => [String(i), word ? `${i} ${word}` : String(i)]).reverse();
    const items = {
        moaas: ["Sedation (MOAA/S)", [["", "–"], ...scale(MOAAS)]],
        dissociation: ["Dissociation", YES_NO("present", "none")],
        nausea: ["Nausea (0-10)", [["", "–"], ...scale(Array(11).fill("")).reverse()]],
        gait_steady: ["Gait", YES_NO("steady", "not steady")],
        oriented: ["Oriented", YES_NO("yes", "no")],
        escort: ["Escort", YES_NO("is here", "not here")],
    };
    const selects = Object.entries(items).map(([name, [label, options]]) => [label, choice(name, options)]);
    return form("Observe", "Record", selects, (pressed, element) => {
        const seen = selects.filter(([, select]) => select.value !== "");
        if (!seen.length) return notice("Choose what you saw; what is left open stays unknown.", false);
        const values = seen.map(([, select]) => [select.name, JSON.parse(select.value)]);
        send({ kind: "observe", ...Object.fromEntries(values) }, pressed, element);
    });
}

function abort(send, notice) {
    const reason = field("reason", 200);
    return form("End without discharge", "End session", [["Reason", reason]], (pressed, element) => {
        if (!reason.value.trim()) return notice("Say why the session ends.", false);
        send({ kind: "abort", reason: reason.value.trim() }, pressed, element);
    });
}

const section = (title, ...children) => make("section", "", make("h3", "", title), ...children);
const row = (...children) => make("div", "row", ...children);

function form(title, verb, fields, submitted) {
    const submit = make("button", "primary", verb);
    const element = make("form", "", ...fields.map(([label, input]) => make("label", "", label, input)), submit);
    element.addEventListener("submit", (event) => {
        event.preventDefault();
        submitted(submit, element);
    });
    return section(title, element);
}

function field(name, maxLength) {
    const input = make("input");
    Object.assign(input, { name, maxLength, autocomplete: "off" });
    return input;
}

function number(name, min, max) {
    const input = make("input");
    Object.assign(input, { name, type: "number", min, max, step: 1 });
    return input;
}

function choice(name, options) {
    const select = make("select", "", ...options.map(([value, text]) => new Option(text, value)));
    select.name = name;
    return select;
}

function enabled(yes, element) {
    element.disabled = !yes;
    return element;
}

/** A button that has to be pressed twice. */
function sure(text, action, send) {
    let asked = -Infinity;
    const element = button("primary", text, () => {
        if (performance.now() - asked < SURE_MS) {
            asked = -Infinity;
            element.textContent = text;
            return send(action, element);
        }
        asked = performance.now();
        element.textContent = `Press again: ${text.toLowerCase()}`;
        setTimeout(() => (element.textContent = text), SURE_MS);
    });
    return element;
}
