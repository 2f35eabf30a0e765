// What an alarm means for people: how urgent, whether somebody is still to come, whether it sounds, and its small print.

import { MARKS, RANK, against, clock } from "./words.js";

const LOUDER = { low: "medium", medium: "high", high: "high" };

/** The level that it is signalled with: one that nobody acknowledged in its time, a level higher. */
export const signalled = (alarm) => (alarm.escalated && calls(alarm) ? LOUDER[alarm.level] : alarm.level);

/** Alarms as a person wants them: gravest first, of equals those that are not over, then the newest. */
export function ranked(alarms) {
    const over = (alarm) => Number(alarm.condition === "latched");
    const rank = (alarm) => RANK[signalled(alarm)];
    return [...alarms].sort((a, b) => rank(b) - rank(a) || over(a) - over(b) || a.since_s - b.since_s);
}

export const highest = (alarms) => (alarms.length ? signalled(ranked(alarms)[0]) : "none");

export function gravest(state) {
    const own = highest(state.alarms);
    return RANK[own] > RANK[state.level] ? own : state.level;
}

/** What acknowledges these and no more: not one that came meanwhile, nor one that rose above what was shown. */
export const acknowledging = (alarms, outage = false) => ({
    kind: "acknowledge",
    alarms: alarms.map((alarm) => alarm.id),
    outage,
    ...(alarms.length ? { upto: ["high", "medium", "low"].find((level) => alarms.some((one) => one.level === level)) } : {}),
});

export const unacknowledged = (alarms) => alarms.filter((alarm) => alarm.acknowledged_by === undefined);

/** Those to acknowledge here: one that an alarm of the whole site stands for is acknowledged with that one. */
export const answerable = (alarms) => unacknowledged(alarms).filter((alarm) => alarm.carried_by === undefined);

/** Does it call somebody by itself: unacknowledged, not over, not suppressed for now, not one of many? */
export const calls = (alarm) =>
    alarm.acknowledged_by === undefined && alarm.condition !== "latched" &&
    alarm.suppressed_by === undefined && alarm.carried_by === undefined;

/** Does it sound? A pause ends by itself here too, also if nothing more is heard. */
const loud = (alarm, sinceMs) => calls(alarm) && !alarm.audio_off && (alarm.silenced_s ?? 0) * 1000 <= sinceMs;

/** The level that should sound. The gateway has the last word whether at all. */
export function sounding(state, sinceMs) {
    if (!state.sound) return "none";
    const own = state.alarms.filter((alarm) => loud(alarm, sinceMs));
    return own.length ? highest(own) : state.level;
}

export const soundingOfSite = (alarms, sinceMs) => highest(alarms.filter((alarm) => loud(alarm, sinceMs)));

/** A time that was left when the message came, now: "04:12 left", or "" once it is over. */
export function left(seconds, sinceMs) {
    const leftS = (seconds ?? 0) - sinceMs / 1000;
    return leftS > 0 ? `${clock(leftS)} left` : "";
}

export function alarmNote(alarm, sinceMs) {
    const notes = [];
    if (alarm.condition === "latched") notes.push("over, not acknowledged");
    else notes.push(`for ${clock(alarm.since_s + sinceMs / 1000)}`);
    if (alarm.condition === "clearing") notes.push("clearing");
    if (alarm.acknowledged_by !== undefined) notes.push(`acknowledged by ${alarm.acknowledged_by}`);
    if (alarm.suppressed_by !== undefined) {
        notes.push([`no sound: ${alarm.suppressed_by}`, left(alarm.suppressed_s, sinceMs)].filter(Boolean).join(", "));
    }
    if (alarm.audio_off) notes.push("SOUND OFF");
    const silencedS = (alarm.silenced_s ?? 0) - sinceMs / 1000;
    if (silencedS > 0) notes.push(`sound paused ${clock(silencedS)}`);
    if (alarm.carried_by !== undefined) notes.push("one of many, see above");
    return notes.join(" · ");
}

/** What is said first: that nobody came in time, then value and limit. */
export function urgent(alarm) {
    return [alarm.escalated && calls(alarm) ? "NOBODY HAS COME" : "", against(alarm)].filter(Boolean).join(" · ");
}

export const named = (alarm) => `${MARKS[signalled(alarm)]} ${alarm.reason}`;
