// One's own answers, each of which can be corrected.

import { button, make, one } from "./dom.js";
import { tell } from "./form.js";
import { moving, when } from "./page.js";
import { close } from "./panels.js";

let last = null;

when("panel", (panel) => {
  if (panel.kind !== "history") return;
  const list = one("past") || make("ol", { id: "past" });
  if (!list.isConnected) one("more-history").before(list);
  const entries = panel.answers.map(entry);
  if (panel.before) list.append(...entries);
  else list.replaceChildren(...(entries.length ? entries : [make("li", {}, "Nothing yet. What you answer appears here.")]));
  last = panel.answers.at(-1)?.assignment ?? last;
  one("more-history").classList.toggle("asked", panel.more);
});

function entry(answer) {
  const at = new Date(answer.at);
  return make("li", { class: answer.side ? `side-${answer.side}` : "" },
    make("p", { class: "what" }, make("strong", {}, answer.said), answer.revision > 1 ? " · corrected" : "", answer.late ? " · late" : "",
      make("time", { datetime: answer.at }, at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" }))),
    make("p", { class: "prompt", dir: "auto" }, answer.prompt),
    ...answer.responses.map((text, number) => make("p", { class: "response", dir: "auto" }, make("b", {}, answer.responses.length > 2 ? `${number + 1}` : "AB"[number]), " ", text)),
    answer.rationale ? make("p", { class: "why", dir: "auto" }, `“${answer.rationale}”`) : null,
    make("button", { type: "button", "data-assignment": answer.assignment, onclick: () => again(answer.assignment) }, "look again, correct"));
}

export function again(assignment) {
  if (!moving()) return;
  close();
  tell({ item: String(assignment) });
  button("do-reopen")?.click();
}

export function more() {
  tell({ before: last });
  button("do-read-history")?.click();
}
