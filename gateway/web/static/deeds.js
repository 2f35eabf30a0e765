// What staff do: posted as an action with who did it and which session was on the screen.

import { by, put, show } from "./dom.js";

const NOTICE_MS = 8000;
let noticeTimer = 0;

export function notice(text, ok) {
    const element = by("notice");
    put(element, text);
    element.dataset.ok = ok;
    show(element, true);
    clearTimeout(noticeTimer);
    noticeTimer = setTimeout(() => show(element, false), NOTICE_MS);
}

/** Keep the initials on this screen. */
export function rememberWho() {
    const input = by("who");
    input.value = localStorage.getItem("who") ?? "";
    input.addEventListener("input", () => localStorage.setItem("who", input.value.trim()));
}

/** Send an action; true if the gateway did it. Says what came of it. */
export async function act(state, action, pressed) {
    const who = by("who").value.trim();
    if (!who) {
        notice("Type your initials first.", false);
        by("who").focus();
        return false;
    }
    pressed.disabled = true;
    try {
        const response = await fetch(`/do/${encodeURIComponent(state.chair)}`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ who, session: state.session, action }),
            signal: AbortSignal.timeout(15000),
        });
        const answer = await response.json();
        const ok = answer.ok === true;
        notice(`${state.chair}: ${ok ? answer.reason || "done" : answer.error || answer.reason || "refused"}`, ok);
        return ok;
    } catch {
        notice(`${state.chair}: no answer from the server. Look at the chair before you try again.`, false);
        return false;
    } finally {
        pressed.disabled = false;
    }
}
