// The labeling page's script. It turns keys and clicks into answers and sends them by Gradio's own events; what happens
// is decided on the server.

import { leave } from "./banner.js";
import { one } from "./dom.js";
import * as differs from "./differs.js";
import "./guidelines.js";
import { more } from "./history.js";
import { explain, skip } from "./keys.js";
import { prepare, toggle } from "./panels.js";
import "./project.js";
import { place } from "./ranking.js";
import "./rest.js";
import { choose, isChoice, name } from "./scale.js";
import { send, unsent } from "./sending.js";
import "./stay.js";
import { submit } from "./submit.js";
import { write } from "./thread.js";
import "./typed.js";
import { moving, when, working } from "./page.js";
import { watch } from "./watch.js";
import { furnish } from "./words.js";

const CLICKS = {
  "log-out": () => leave(Boolean(unsent())),
  "open-lead": () => location.assign("/lead/"),
  skip: () => skip(),
  keys: () => toggle("keys"),
  differences: differs.toggle,
  submit,
  "submit-ranking": submit,
  "open-guidelines": () => toggle("guidelines"),
  "open-history": () => toggle("history"),
  "open-thread": () => toggle("thread"),
  "more-history": more,
  ask: write,
};

const MOVES = new Set(["undo", "agree"]);

function clicked(event) {
  const id = event.target.closest?.("button")?.id || "";
  if (MOVES.has(id) && !moving()) event.stopImmediatePropagation(); // first what is on its way
  if (id === "again") moving(); // the page clicks it itself where an item stays away
  if (CLICKS[id]) CLICKS[id]();
  else if (isChoice(id)) choose(id);
  else if (/^rank-[1-9]$/.test(id)) place(Number(id.slice(5)));
  else if (/^skip-[1-5]$/.test(id) && working()) {
    const reason = event.target.closest("button").textContent.replace(/ · [1-5]$/, "").trim();
    skip(false);
    send({ kind: "skip", reason });
  }
}

when("news", (told) => {
  if (told.leads) document.documentElement.dataset.leads = "true";
});

const NEEDED = [
  "top", "again", "work", "prompt", "card-a", "card-b", "card-1", "card-9", "bar", "typed", "scale", "others", "edit", "rationale", "saved",
  "guidelines", "more-history", "question", "ask", "panel-guidelines", "panel-history", "panel-thread", "panel-keys", "differences",
  "facts", "state", "panel", "news", "do-send", "do-write", "do-stay",
];

// Gradio makes its elements in its own time, and not all at once.
function begin() {
  if (!NEEDED.every(one)) { setTimeout(begin, 20); return; }
  furnish();
  prepare();
  explain();
  name();
  if (!differs.able()) one("differences").hidden = true;
  document.addEventListener("click", clicked, true);
  watch();
}

begin();
