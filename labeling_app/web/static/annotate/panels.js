// What opens beside the work: one panel at a time; it takes the focus, and gives it back.

import { button, field, make, one, shows } from "./dom.js";
import { tell } from "./form.js";
import { page, when } from "./page.js";

const NAMES = { guidelines: "Guidelines", history: "Your answers", thread: "Ask the lead", keys: "Keys" };
const VERBS = { guidelines: "read-guidelines", history: "read-history", thread: "read-thread" };
let before = null;

export const opened = () => document.documentElement.dataset.panel || "";

export function prepare() {
  for (const [name, label] of Object.entries(NAMES)) {
    const panel = one(`panel-${name}`);
    for (const [attribute, value] of Object.entries({ role: "dialog", "aria-label": label, tabindex: "-1" })) panel.setAttribute(attribute, value);
    panel.prepend(make("button", { class: "close", type: "button", "aria-label": "Close", onclick: close }, "close · Esc"));
  }
}

export function toggle(name) {
  if (opened() === name) close();
  else open(name);
}

export function open(name) {
  if (!opened()) before = document.activeElement;
  document.documentElement.dataset.panel = name;
  if (VERBS[name]) { tell(); button(`do-${VERBS[name]}`)?.click(); }
  const question = name === "thread" && page.item ? field("question") : null;
  (question || one(`panel-${name}`)).focus({ preventScroll: true });
}

export function close() {
  if (!opened()) return;
  delete document.documentElement.dataset.panel;
  if (before?.isConnected && before !== document.body) before.focus({ preventScroll: true });
  else document.activeElement?.blur();
}

// A new consent is asked for in the page itself: nothing else is there.
when("state", () => {
  if (page.state.phase === "consent") {
    close();
    tell();
    button("do-read-guidelines")?.click();
  } else if (shows("agree")) {
    close();
  }
});
