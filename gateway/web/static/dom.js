// Small helpers for the document. Everything that came over the wire is set as text, never as markup.

export const by = (id) => document.getElementById(id);

/** An element with a class, and children that are elements or text. */
export function make(tag, className = "", ...children) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...children);
    return element;
}

export function button(className, text, pressed) {
    const element = make("button", className, text);
    element.type = "button";
    element.addEventListener("click", pressed);
    return element;
}

/** Set text only where it changed: a wall redraws four times a second for months. */
export function put(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

export function mark(element, name, value) {
    if (value === "") delete element.dataset[name];
    else if (element.dataset[name] !== String(value)) element.dataset[name] = value;
}

export function show(element, shown) {
    if (element.hidden === shown) element.hidden = !shown;
}
