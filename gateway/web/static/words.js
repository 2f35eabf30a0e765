// The words and number formats of the page.

export const RANK = { none: 0, low: 1, medium: 2, high: 3 };
export const MARKS = { none: "", low: "*", medium: "**", high: "***" };

const QUALITY = {
    good: "", settling: "settling", no_finger: "no finger", low_perfusion: "low perfusion", motion: "motion",
    saturation: "sensor saturated", ambient: "too much light", sensor_fault: "sensor fault",
    cuff_hold: "held: cuff inflates", below_range: "below the measuring range",
};
const PHASES = { before: "Before dose", dosing: "Dosing", recovery: "Recovery" };
const CUFF = { zeroing: "zeroing", inflating: "inflating", deflating: "measuring", dumping: "releasing", fault: "fault" };

export const quality = (word) => QUALITY[word] ?? word;
export const phase = (word) => PHASES[word] ?? plain(word);
export const cuffPhase = (word) => CUFF[word] ?? "";
export const plain = (word) => word.replaceAll("_", " ");
export const whole = (value) => (value === undefined ? "--" : String(Math.round(value)));

/** m:ss, or h:mm:ss. */
export function clock(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    const two = (n) => String(n).padStart(2, "0");
    const h = Math.floor(s / 3600);
    return h ? `${h}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${two(Math.floor(s / 60))}:${two(s % 60)}`;
}

/** An age for people: 12 s, 4 min, 2 h. */
export function ago(ms) {
    const s = Math.floor(ms / 1000);
    if (s < 60) return `${s} s`;
    return s < 7200 ? `${Math.floor(s / 60)} min` : `${Math.floor(s / 3600)} h`;
}

/** "84 %, limit 85 %", unless the reason says so itself or there is no quantity in it. */
export function against(alarm) {
    if (alarm.value === undefined || !alarm.unit || /\d/.test(alarm.reason)) return "";
    const number = (value) => `${Math.round(value * 10) / 10} ${alarm.unit}`;
    return alarm.limit === undefined ? number(alarm.value) : `${number(alarm.value)}, limit ${number(alarm.limit)}`;
}
