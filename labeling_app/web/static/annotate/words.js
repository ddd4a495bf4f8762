// Small words around the item: notices, what was said, lengths, feedback, and how far the work is.

import { button, make, one } from "./dom.js";
import { page, when } from "./page.js";

// Places for them, made once; Gradio has the rest.
export function furnish() {
  const bar = one("bar");
  const notice = make("section", { id: "notice", "aria-live": "polite" });
  one("again").before(notice);
  one("top").append(make("div", { id: "share", "aria-hidden": "true" }, make("span")));
  one("prompt").before(make("p", { id: "given" }));
  one("typed").before(make("p", { id: "lengths" }), make("div", { id: "extras" }));
  bar.before(make("section", { id: "feedback", role: "status" }));
  one("saved").setAttribute("role", "status");
  one("saved").setAttribute("aria-live", "polite");
  one("prompt").setAttribute("role", "region");
  one("prompt").setAttribute("aria-label", "Prompt");
  for (const letter of "ab") region(`card-${letter}`, `Response ${letter.toUpperCase()}`);
  for (let number = 1; number <= 9; number++) region(`card-${number}`, `Response ${number}`);
}

function region(id, name) {
  one(id)?.setAttribute("role", "region");
  one(id)?.setAttribute("aria-label", name);
}

const say = (id, ...parts) => one(id)?.replaceChildren(...parts.filter(Boolean));

when("state", () => {
  const { state } = page;
  const [heading, sentence] = state.notice || [];
  say("notice", ...(heading ? [make("h2", {}, heading), make("p", {}, sentence)] : []));
  say("given", ...(state.said ? ["You said: ", make("strong", {}, state.said), ". Choose again to correct it."] : []));
  say("lengths", state.lengths || "");
  one("share")?.style.setProperty("--share", state.share ?? 0);
  const { feedback } = state;
  say("feedback", ...(state.phase === "feedback" ? [
    make("p", { class: feedback.right ? "right" : "wrong" }, feedback.words),
    make("button", { id: "continue", type: "button", onclick: () => button("again")?.click() }, "go on · Enter"),
  ] : []));
  if (state.phase === "feedback") one("continue")?.focus({ preventScroll: true });
});
