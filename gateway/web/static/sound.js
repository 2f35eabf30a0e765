// The page's own alarm sound, after IEC 60601-1-8: pulses of a tone with five harmonics, repeated by level.
// A browser allows sound only after somebody pressed a button, so the page always says whether it can sound.

import { RANK } from "./words.js";
import { by, mark, put } from "./dom.js";

const FUNDAMENTAL_HZ = 440;
// Pulse starts in s, pulse length in s, and when the burst repeats.
const BURSTS = {
    high: { starts: [0, 0.25, 0.5, 0.95, 1.2, 2.2, 2.45, 2.7, 3.15, 3.4], pulse: 0.15, every: 7000 },
    medium: { starts: [0, 0.4, 0.8], pulse: 0.2, every: 15000 },
    low: { starts: [0], pulse: 0.2, every: 30000 },
};

export class Sound {
    #context = null;
    #level = "none";
    #burstAt = -Infinity;
    #bursts = 0;
    #wanted = localStorage.getItem("sound") === "on";

    constructor() {
        by("sound").addEventListener("click", () => this.#toggle());
        if (this.#wanted) this.#resume();
    }

    /** Called with the highest level that should sound now. */
    tick(level, now) {
        const on = this.#wanted && this.#context?.state === "running";
        put(by("sound").firstElementChild, on ? "Sound on" : this.#wanted ? "Sound blocked" : "Sound off");
        put(by("sound").lastElementChild, on ? "turn off" : "enable sound");
        mark(by("sound"), "on", on);
        const risen = RANK[level] > RANK[this.#level];
        this.#level = level;
        if (!on || level === "none") return;
        if (risen || now - this.#burstAt >= BURSTS[level].every) this.#burst(BURSTS[level], level, now);
    }

    #toggle() {
        // Pressing a blocked button means that sound is wanted, not that it should be off.
        this.#wanted = !(this.#wanted && this.#context?.state === "running");
        localStorage.setItem("sound", this.#wanted ? "on" : "off");
        this.#burstAt = -Infinity;
        if (this.#wanted) this.#resume();
        else this.#context?.suspend();
    }

    #resume() {
        this.#context ??= new AudioContext();
        this.#context.resume();
    }

    #burst({ starts, pulse }, level, now) {
        this.#burstAt = now;
        mark(by("sound"), "bursts", `${++this.#bursts} ${level}`);
        const context = this.#context;
        const wave = context.createPeriodicWave(new Float32Array(6), new Float32Array([0, 1, 0.8, 0.7, 0.6, 0.5]));
        for (const start of starts) {
            const at = context.currentTime + 0.05 + start;
            const tone = new OscillatorNode(context, { type: "custom", periodicWave: wave, frequency: FUNDAMENTAL_HZ });
            const gain = new GainNode(context, { gain: 0 });
            gain.gain.setValueAtTime(0, at);
            gain.gain.linearRampToValueAtTime(0.7, at + 0.02);
            gain.gain.setValueAtTime(0.7, at + pulse - 0.02);
            gain.gain.linearRampToValueAtTime(0, at + pulse);
            tone.connect(gain).connect(context.destination);
            tone.start(at);
            tone.stop(at + pulse);
        }
    }
}
