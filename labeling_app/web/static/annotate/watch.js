// What the server says. Gradio sets a field's value without an event, so that it is looked at: often while an answer is
// on its way. An item counts as drawn when all its texts are on the page: they carry its name.

import { start } from "./clock.js";
import { button, field, one } from "./dom.js";
import { load } from "./form.js";
import { belongsTo } from "./kept.js";
import { happened, page, ranks } from "./page.js";
import { attempt, heard, unsent } from "./sending.js";

const SELDOM = 80, SERVE_AGAIN_AFTER = 3_000;
const seen = {};
let drawing = 0, asked = false, begun = false;
let stored = "", repeated = false; // the last answer that was said to be stored, and whether that is only said again

function news(name) {
  const text = field(name)?.value || "";
  if (!text || text === seen[name]) return null;
  seen[name] = text;
  return JSON.parse(text);
}

function look() {
  const state = news("state");
  if (state) receive(state);
  const panel = news("panel");
  if (panel) happened("panel", panel);
  const told = news("news");
  if (told) happened("news", told);
  if (drawing) draw();
}

function receive(state) {
  if (state.person && belongsTo(state.person)) happened("person");
  if (heard(state)) { happened("refused", state); return; }
  repeated = Boolean(state.stored) && state.stored === stored;
  stored = state.stored || stored;
  if (state.phase === "feedback") {
    page.state = { ...page.state, ...state };
    page.busy = 0;
  } else {
    page.state = state;
    drawing = state.item ? Date.now() : 0;
    if (!state.item) {
      page.item = "";
      page.busy = 0;
    }
  }
  asked = false;
  show();
  happened("state");
  if (drawing) draw();
  if (!begun) {
    begun = true;
    if (unsent()) attempt(); // of before a reload
  }
}

const isDrawn = (item) => ["prompt", ...cards()].every((id) => one(id)?.querySelector(`.of-${item}`));
const cards = () => (ranks() ? Array.from({ length: page.state.count }, (_, number) => `response-${number + 1}`) : ["response-a", "response-b"]);

function draw() {
  const { item } = page.state;
  if (!isDrawn(item)) {
    if (!asked && Date.now() - drawing > SERVE_AGAIN_AFTER) {
      asked = true;
      button("again")?.click();
    }
    return;
  }
  drawing = 0;
  page.item = item;
  if (!unsent() && !repeated) page.busy = 0; // what was asked for since is still on its way
  start();
  show();
  load();
  happened("drawn");
}

// CSS shows what belongs to the state.
function show() {
  const { dataset } = document.documentElement;
  const { phase, mode = "", by_enter = false } = page.state;
  Object.assign(dataset, { phase, mode, enter: String(Boolean(by_enter)), item: page.item });
  for (let number = 1; number <= 9; number++) one(`card-${number}`)?.classList.toggle("used", number <= (page.state.count || 0));
}

function often() {
  if (page.busy || drawing) look();
  requestAnimationFrame(often);
}

export function watch() {
  setInterval(look, SELDOM);
  requestAnimationFrame(often);
}
