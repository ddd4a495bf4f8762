// The answer as a whole, where more than the choice is asked for: it is sent once nothing is missing.

import { make, one } from "./dom.js";
import { answer } from "./form.js";
import { page, when, working } from "./page.js";
import { send } from "./sending.js";

export function submit() {
  if (!working() || !page.state.by_enter) return;
  const { made, missing } = answer();
  say(missing || "");
  if (made) send(made);
}

// Beside the button; read out by screen readers.
function say(text) {
  if (!one("missing")) one("others").before(make("p", { id: "missing", role: "alert" }));
  one("missing").textContent = text;
}

when("form", () => { if (one("missing")) one("missing").textContent = ""; });
