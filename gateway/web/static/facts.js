// What staff enter and may correct later: a dose, a baseline, an observation. Each is a set of fields and how to read
// them as an action of the contract; null when nothing was entered.

import { choice, number, text } from "./fields.js";

const NONE = ["", "–"];
const YES_NO = (yes, no) => [NONE, ["true", yes], ["false", no]];
const words = (...pairs) => [NONE, ...pairs.map(([value, shown]) => [JSON.stringify(value), shown])];
const MOAAS = ["no response", "to pain only", "to prodding", "to a loud voice", "lethargic", "awake"];
const toTen = words(...Array.from({ length: 11 }, (_, i) => [i, String(i)]));

/** Item of the contract -> [label, input]. In the order in which a nurse looks. */
const ITEMS = {
    moaas: () => ["Sedation (MOAA/S)", words(...MOAAS.map((said, i) => [i, `${i} ${said}`]).reverse())],
    oriented: () => ["Oriented", YES_NO("yes", "no")],
    dissociation: () => ["Dissociation", YES_NO("present", "none")],
    cadss: () => ["Dissociation (CADSS, 0-92)", number("cadss", 0, 92)],
    nausea: () => ["Nausea (0-10)", toTen],
    pain: () => ["Pain (0-10)", toTen],
    gait: () => ["Gait", words(["steady", "steady"], ["help", "with help"], ["unable", "unable"])],
    activity: () => ["Moves limbs", words([4, "all four"], [2, "two"], [0, "none"])],
    breathing: () => ["Breathing", words(["deep", "deep, coughs"], ["limited", "limited"], ["apnoea", "apnoea"])],
    oxygen: () => ["Breathes", YES_NO("oxygen", "room air")],
    escort: () => ["Escort", YES_NO("is here", "not here")],
    note: () => ["Note", text("note", 200)],
};

/** Fields: [[label, input]]. `read()` gives the action. */
export function observation() {
    const fields = Object.entries(ITEMS).map(([name, item]) => {
        const [label, input] = item();
        return [label, Array.isArray(input) ? choice(name, input) : input];
    });
    const value = (input) => (input.name === "note" ? input.value.trim() : JSON.parse(input.value));
    return {
        fields,
        read() {
            const seen = fields.map(([, input]) => input).filter((input) => input.value.trim() !== "");
            return seen.length ? { kind: "observe", ...Object.fromEntries(seen.map((i) => [i.name, value(i)])) } : null;
        },
        nothing: "Choose what you saw; what is left open stays unknown.",
    };
}

export function dose() {
    const what = choice("what", [["first", "first dose"], ["further", "further dose"], ["end", "dose end"]]);
    const minutes = number("minutes_ago", 0, 120);
    minutes.placeholder = "as it was";
    return {
        fields: [["It was the", what], ["Minutes ago", minutes]],
        read: () => given("dose", { what: what.value }, minutes),
        nothing: "",
    };
}

/** Both pressures as they were typed. */
export function baseline() {
    const sys = number("sys_mmhg", 50, 260);
    const dia = number("dia_mmhg", 20, 180);
    return {
        fields: [["Systolic (mmHg)", sys], ["Diastolic (mmHg)", dia]],
        read: () => (sys.value && dia.value ? given("baseline", {}, sys, dia) : null),
        nothing: "A baseline is both pressures, systolic and diastolic.",
    };
}

/** An action with every number that was typed. */
export function given(kind, more, ...numbers) {
    const typed = numbers.filter((input) => input.value !== "").map((input) => [input.name, Number(input.value)]);
    return { kind, ...more, ...Object.fromEntries(typed) };
}
