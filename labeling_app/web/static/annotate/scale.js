// The bar of seven and "both bad": side and strength at once.

import { button, label } from "./dom.js";
import { changed, form } from "./form.js";
import { page, when, working } from "./page.js";
import { send } from "./sending.js";

export const RATES = ["rate-a3", "rate-a2", "rate-a1", "rate-tie", "rate-b1", "rate-b2", "rate-b3"];
const NAMES = [
  "A is much better", "A is clearly better", "A is a bit better", "equally good",
  "B is a bit better", "B is clearly better", "B is much better",
];

export const isChoice = (id) => RATES.includes(id) || id === "both-bad";

export function choose(id) {
  if (!working() || page.state.mode !== "comparison") return;
  const rate = RATES.indexOf(id);
  const selected = rate < 0 ? { kind: "both_bad" } : { kind: "choice", strength: rate - 3 };
  if (page.state.by_enter) {
    changed({ selected });
  } else {
    form.selected = selected;
    draw();
    send(selected);
  }
}

function draw() {
  const chosen = form.selected;
  const id = !chosen ? "" : chosen.kind === "both_bad" ? "both-bad" : RATES[chosen.strength + 3];
  for (const other of [...RATES, "both-bad"]) button(other)?.setAttribute("aria-pressed", String(other === id));
}

export function name() {
  label("scale", { role: "group", "aria-label": "Which response is better?" });
  RATES.forEach((id, number) => button(id)?.setAttribute("aria-label", `${NAMES[number]}, key ${number + 1}`));
  button("both-bad")?.setAttribute("aria-label", "Both are bad, key X");
}

when("form", draw);
