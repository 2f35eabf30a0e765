// The wall: what came over the stream, drawn four times a second with its age. A timer of its own decides whether
// the page is live, so that no missing event can leave an old number looking new.

import { age, current, freshness, notLive } from "./ages.js";
import { gravest, sounding, soundingOfSite } from "./alarms.js";
import { rememberWho } from "./deeds.js";
import { by, mark, put, show } from "./dom.js";
import { Panel } from "./panel.js";
import { SiteAlarms } from "./site.js";
import { Sound } from "./sound.js";
import { Stream } from "./stream.js";
import { Tile } from "./tile.js";
import { MARKS, RANK, ago } from "./words.js";

const TICK_MS = 250;
const SLEPT_MS = 2000;

const chairs = new Map(); // chair -> {chair, state, retained, ageMs, at}
const lately = new Map(); // chair -> its last alarm transitions
const tiles = new Map();
const order = new Intl.Collator("en", { numeric: true }).compare;
const sound = new Sound();
const siteAlarms = new SiteAlarms(by("site-alarms"));
const panel = new Panel(by("panel"), arrange);
const stream = new Stream("/events", take);
let site = null;
let drawing = false;
let longestTickMs = 0;
let lastTick = { mono: performance.now(), wall: Date.now() };

function take(kind, entry) {
    if (kind === "site") takeSite(entry);
    if (kind === "lately") lately.set(entry.chair, entry.transitions);
    if (kind === "chair") {
        if (!chairs.has(entry.chair)) requestArrange();
        chairs.set(entry.chair, entry);
    }
    if (!drawing) {
        drawing = true;
        setTimeout(draw);
    }
}

function takeSite(entry) {
    if (site && site.version !== entry.version) location.reload();
    site = entry;
    put(by("site"), entry.site);
    document.title = `Chairside ${entry.site}`;
    for (const chair of chairs.keys()) if (!entry.chairs.includes(chair)) chairs.delete(chair);
    requestArrange();
}

function tick() {
    const now = performance.now();
    const wall = Date.now();
    // performance.now() may stand still while a computer sleeps. A wall clock that ran ahead says so: what we have
    // is history, ask again. If it was only somebody setting the clock, we ask once for nothing.
    if (wall - lastTick.wall - (now - lastTick.mono) > SLEPT_MS) {
        for (const entry of chairs.values()) entry.retained = true;
        if (stream.beat) stream.beat.retained = true;
        stream.open();
    }
    // How long this page has been deaf at most, for whoever checks what it says about itself.
    longestTickMs = Math.max(longestTickMs, now - lastTick.mono);
    document.body.dataset.longestTickMs = Math.ceil(longestTickMs);
    lastTick = { mono: now, wall };
    for (const animation of document.getAnimations()) animation.startTime = 0; // all tiles flash together
    stream.watch(now);
    draw();
}

function draw() {
    drawing = false;
    const now = performance.now();
    const why = notLive(stream, now);
    const live = why === "";
    drawBanner(why);
    siteAlarms.draw(stream.beat, now, live);
    for (const [chair, tile] of tiles) tile.draw(chairs.get(chair), now, live);
    panel.draw(chairs, lately, site, now, live);
    drawSummary(now, live);
    drawHealth(now);
    sound.tick(live ? soundLevel(now) : sessionRuns() ? "high" : "none", now);
    put(by("clock"), new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }));
}

function drawBanner(why) {
    const banner = by("banner");
    if (why) put(banner, `NOT LIVE – ${why}`);
    if (banner.hidden && why) {
        // How long it had been silent when the page first said so, for whoever checks this page.
        banner.dataset.silentMs = Math.round(Math.max(performance.now() - stream.at, age(stream.beat, performance.now())));
    }
    show(banner, why !== "");
    document.body.classList.toggle("not-live", why !== "");
}

function drawSummary(now, live) {
    const counts = { high: 0, medium: 0, low: 0 };
    let ready = 0;
    let unheard = 0;
    for (const entry of chairs.values()) {
        const { state } = entry;
        if (freshness(entry, now, live) !== "live") unheard += 1;
        if (!state) continue;
        const level = gravest(state);
        if (level !== "none") counts[level] += 1;
        if (state.readiness.state === "CRITERIA_MET") ready += 1;
    }
    const words = {};
    for (const [level, n] of Object.entries(counts)) words[level] = n ? `${MARKS[level]} ${n} ${level}` : "";
    words.unheard = unheard ? `${unheard} without fresh data` : "";
    words.calm = chairs.size && !Object.values(words).some(Boolean) ? "All calm" : "";
    words.ready = ready ? `${ready} ${ready === 1 ? "meets" : "meet"} criteria` : "";
    if (stream.beat?.gateway?.alarms?.length) words.calm = "";
    for (const part of by("summary").children) put(part, live ? words[part.className] : "");
    show(by("empty"), live && chairs.size === 0);
}

function drawHealth(now) {
    const gateway = stream.beat?.gateway;
    if (!gateway) return put(by("health"), "gateway not heard");
    const total = (counts) => Object.values(counts ?? {}).reduce((a, b) => a + b, 0);
    const parts = [
        `gateway heard ${ago(age(stream.beat, now))} ago`,
        `${gateway.devices_online ?? 0} of ${gateway.chairs ?? 0} boards online`,
        (gateway.sink ?? "off") === "off" ? "no InfluxDB" : `InfluxDB ${gateway.sink}, ${gateway.sink_lag_s.toFixed(1)} s behind`,
        `refused ${total(gateway.refused)}`,
        `dropped ${total(gateway.dropped)}`,
    ];
    if (gateway.journal_ok === false) parts.push("JOURNAL FAILS");
    mark(by("health"), "bad", gateway.journal_ok === false || total(gateway.dropped) > 0 || "");
    put(by("health"), parts.join(" · "));
}

function soundLevel(now) {
    let level = soundingOfSite(stream.beat?.gateway?.alarms ?? [], age(stream.beat, now));
    for (const entry of chairs.values()) {
        if (!entry.state || !current(entry, now, true)) continue;
        const own = sounding(entry.state, age(entry, now));
        if (RANK[own] > RANK[level]) level = own;
    }
    return level;
}

const sessionRuns = () => [...chairs.values()].some(({ state }) => state?.session);

function requestArrange() {
    setTimeout(arrange);
}

/** Tiles stay in the order of their places, and as many columns are made as let the numbers be largest. */
function arrange() {
    const names = [...chairs.keys()].sort(order);
    for (const [chair, tile] of tiles) {
        if (chairs.has(chair)) continue;
        tile.element.remove();
        tiles.delete(chair);
    }
    for (const chair of names) {
        if (!tiles.has(chair)) tiles.set(chair, new Tile(chair, () => panel.open(chair)));
    }
    const wall = by("wall");
    const elements = names.map((chair) => tiles.get(chair).element);
    if (elements.some((element, i) => wall.children[i] !== element)) wall.replaceChildren(...elements);
    const { clientWidth: width, clientHeight: height } = wall;
    let best = { columns: 1, unit: 0 };
    for (let columns = 1; columns <= names.length; columns++) {
        const rows = Math.ceil(names.length / columns);
        const unit = Math.min(width / columns / 100, height / rows / 74);
        if (unit > best.unit) best = { columns, unit };
    }
    // Below this size nobody reads a tile, and on a phone all should be large: let the page scroll instead.
    const readable = best.unit >= 2.6 && innerWidth >= 620;
    wall.classList.toggle("scrolls", !readable);
    wall.style.setProperty("--columns", readable ? best.columns : Math.max(1, Math.floor(width / 340)));
    draw();
}

rememberWho();
new ResizeObserver(requestArrange).observe(by("wall"));
document.addEventListener("visibilitychange", tick);
// A page that the browser keeps for "back" would hold one of the six connections that a server gets: no button would
// work on the seventh. What it showed is history; one that comes back begins anew.
addEventListener("pagehide", () => stream.close());
addEventListener("pageshow", (event) => event.persisted && location.reload());
setInterval(tick, TICK_MS);
tick();
