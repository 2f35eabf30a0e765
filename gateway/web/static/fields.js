// Parts of forms: every input has a label, every button a word.

import { button, make } from "./dom.js";

const SURE_MS = 4000;

export const section = (title, ...children) => make("section", "", make("h3", "", title), ...children);
export const row = (...children) => make("div", "row", ...children);
export const labelled = (label, input) => make("label", "", make("span", "", label), input);

/** Rarely needed: folded away behind its name. */
export const folded = (title, ...children) => make("details", "", make("summary", "", title), ...children);

/** A form whose `submitted(button, form)` is called instead of leaving the page. */
export function form(verb, fields, submitted) {
    const submit = make("button", "primary", verb);
    const element = make("form", "", ...fields.map(([label, input]) => labelled(label, input)), submit);
    element.addEventListener("submit", (event) => {
        event.preventDefault();
        submitted(submit, element);
    });
    return element;
}

/** A form of one small number, in one line. */
export function inline(verb, label, input, submitted) {
    const element = form(verb, [[label, input]], submitted);
    element.className = "inline";
    element.lastChild.className = "";
    return element;
}

export function text(name, maxLength) {
    const input = make("input");
    return Object.assign(input, { name, maxLength, autocomplete: "off" });
}

export function number(name, min, max) {
    const input = make("input");
    return Object.assign(input, { name, type: "number", min, max, step: 1 });
}

export function choice(name, options) {
    const select = make("select", "", ...options.map(([value, words]) => new Option(words, value)));
    select.name = name;
    return select;
}

/** A button that has to be pressed twice. */
export function sure(words, pressed, className = "") {
    let asked = -Infinity;
    const element = button(className, words, () => {
        if (performance.now() - asked < SURE_MS) {
            asked = -Infinity;
            element.textContent = words;
            return pressed(element);
        }
        asked = performance.now();
        element.textContent = `Press again: ${words.toLowerCase()}`;
        setTimeout(() => (element.textContent = words), SURE_MS);
    });
    return element;
}
