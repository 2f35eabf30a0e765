// What staff do: posted as an action with who did it and which session was on the screen. A post that broke off is
// repeated with its id, which the gateway answers once.

import { by, put, show } from "./dom.js";

const NOTICE_MS = 8000;
const GIVE_UP_MS = 15000;
const AGAIN_MS = 1000;
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

/** Send an action; true if the gateway did it. Says what came of it. `state` is the chair as it was shown, with an empty
 * name for the whole site. */
export async function act(state, action, pressed) {
    const who = by("who").value.trim();
    if (!who) {
        notice("Type your initials first.", false);
        by("who").focus();
        return false;
    }
    const where = state.chair || "all chairs";
    const body = JSON.stringify({ id: freshId(), who, session: state.session, action });
    pressed.disabled = true;
    try {
        const answer = await post(state.chair ? `/do/${encodeURIComponent(state.chair)}` : "/do", body);
        const ok = answer.ok === true;
        notice(`${where}: ${ok ? answer.reason || "done" : answer.error || answer.reason || "refused"}`, ok);
        return ok;
    } catch {
        notice(`${where}: no answer from the server. Look at the chair before you try again.`, false);
        return false;
    } finally {
        pressed.disabled = false;
    }
}

/** Again and again until somebody answers, or until it would surprise whoever pressed. */
async function post(url, body) {
    const giveUp = AbortSignal.timeout(GIVE_UP_MS);
    let answer = null;
    for (;;) {
        try {
            const response = await fetch(url, {
                method: "POST", headers: { "content-type": "application/json" }, body, signal: giveUp,
            });
            answer = await response.json();
            if (response.status < 500) return answer;
        } catch (error) {
            if (giveUp.aborted && !answer) throw error;
        }
        if (giveUp.aborted) return answer;
        await new Promise((again) => setTimeout(again, AGAIN_MS));
    }
}

/** Not by crypto.randomUUID, which a page without TLS does not have. */
const freshId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
