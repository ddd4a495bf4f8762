// Keys. One decision, one key; dead while one types, and until the next item is drawn.

import { button, field, make, one, press, shows } from "./dom.js";
import * as differs from "./differs.js";
import { digit, toFlags, toRatings } from "./extras.js";
import { close, opened, toggle } from "./panels.js";
import { page, ranks, working } from "./page.js";
import { place, takeBack, tie } from "./ranking.js";
import { choose, isChoice, RATES } from "./scale.js";
import { submit } from "./submit.js";
import { write } from "./thread.js";

const HELP = [
  ["1 2 3", "A is better: much, clearly, a bit"],
  ["4", "equally good"],
  ["5 6 7", "B is better: a bit, clearly, much"],
  ["X", "both are bad"],
  ["S, then 1 to 5", "skip the item, with the reason"],
  ["Enter", "submit, where more than the choice is asked for"],
  ["1 to 9", "in a ranking: the best first"],
  ["=", "in a ranking: the next one ties with the one before"],
  ["Backspace", "in a ranking: take the last one back"],
  ["R", "rate on the axes; a digit rates and goes on"],
  ["F", "mark what is unsafe; Space marks, Tab goes on"],
  ["E", "edit the better response"],
  ["W", "say why"],
  ["U", "the last answer once more"],
  ["H", "your answers, to look at and correct"],
  ["T", "ask the lead about this item, read answers"],
  ["G", "the guidelines"],
  ["D", "mark the words that differ"],
  ["P", "earlier turns of the conversation"],
  ["?", "these keys"],
  ["Esc", "close, or leave a field"],
];

const root = document.documentElement;
export const skipping = () => root.dataset.skipping === "true";
export function skip(on = !skipping()) { root.dataset.skipping = String(on && working()); }

export function explain() {
  const rows = HELP.map(([key, words]) => make("tr", {}, make("th", { scope: "row" }, ...key.split(/\b(?= )/).map((part) => make("kbd", {}, part.trim()))), make("td", {}, words)));
  one("panel-keys").append(make("table", { id: "keys-help" }, make("tbody", {}, ...rows)));
}

const typing = (target) => target.closest?.("textarea, select, [contenteditable='true'], input:not([type=radio]):not([type=checkbox])");

const VERBS = {
  x: () => choose("both-bad"),
  s: () => skip(true),
  u: () => press("undo"),
  h: () => toggle("history"),
  t: () => toggle("thread"),
  g: () => toggle("guidelines"),
  d: () => differs.toggle(),
  p: () => { const earlier = document.querySelector("#prompt details"); if (earlier) earlier.open = !earlier.open; },
  r: toRatings,
  f: toFlags,
  e: () => shows("edit") && field("edit").focus(),
  w: () => shows("rationale") && field("rationale").focus(),
  "?": () => toggle("keys"),
};
const ANYTIME = new Set(["h", "g", "t", "?", "u"]); // also where there is no item

function pressed(event) {
  const { target } = event, key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key === "enter" && target.closest?.("#edit, #rationale")) return void (event.preventDefault(), submit());
    return;
  }
  if (event.repeat || event.altKey) return;
  if (key === "escape") {
    if (skipping()) skip(false);
    else if (opened()) close();
    else document.activeElement?.blur();
    return;
  }
  if (typing(target)) {
    if (key !== "enter" || event.shiftKey) return;
    if (target.closest("#rationale")) { event.preventDefault(); submit(); }
    if (target.closest("#question")) { event.preventDefault(); write(); }
    return;
  }
  if (key === "enter" && acts(target)) return; // a button does what it says
  if (handled(target, key)) event.preventDefault();
}

const acts = (target) => {
  const found = target.closest?.("button, a, summary");
  return found && !(isChoice(found.id) && found.getAttribute("aria-pressed") === "true") && !/^rank-/.test(found.id);
};

function handled(target, key) {
  const { phase } = page.state;
  if (phase === "feedback" && key === "enter") return page.busy || button("again")?.click(), true;
  if (opened() && !ANYTIME.has(key)) return false;
  if (!working() && !(ANYTIME.has(key) && !page.busy && phase !== "begin")) return false;
  if (skipping()) {
    if (key === "s") skip(false);
    else if (/^[1-5]$/.test(key)) press(`skip-${key}`);
    return true;
  }
  if (target.matches?.("#extras input[type=radio]") && digit(target, key)) return true;
  if (key === "enter") return submit(), true;
  if (ranks()) {
    if (/^[1-9]$/.test(key)) return place(Number(key)), true;
    if (key === "=") return tie(), true;
    if (key === "backspace") return takeBack(), true;
    if (key === "x") return true;
  } else if (/^[1-7]$/.test(key)) {
    return choose(RATES[Number(key) - 1]), true;
  }
  if (!VERBS[key]) return false;
  VERBS[key]();
  return true;
}

document.addEventListener("keydown", pressed);
