// The guidelines, and on a new version what changed in them.

import { button, make, one } from "./dom.js";
import { tell } from "./form.js";
import { page, when } from "./page.js";
import { opened } from "./panels.js";

const AROUND = 1; // unchanged lines shown around a change

when("panel", (panel) => {
  if (panel.kind !== "guidelines") return;
  one("changes")?.remove();
  page.guideline = panel.id;
  tell();
  document.documentElement.dataset.consented = String(panel.consented);
  const lines = panel.changes || [];
  if (!lines.some(([kind]) => kind !== "same")) return;
  const near = lines.map((_, at) => lines.slice(Math.max(0, at - AROUND), at + AROUND + 1).some(([kind]) => kind !== "same"));
  const shown = lines.filter((_, at) => near[at]).map(([kind, text]) =>
    make(kind === "added" ? "ins" : kind === "removed" ? "del" : "p", { class: "line" }, text || "\u00a0"));
  one("guidelines").before(make("section", { id: "changes", "aria-label": "What changed" },
    make("h3", {}, `What is new in version ${panel.version}`), ...shown));
});

// A version that came while one read: it is shown, and asked about anew.
when("refused", (state) => {
  if (page.state.phase !== "consent" && opened() !== "guidelines") return;
  if (!one("newer")) one("guidelines").before(make("p", { id: "newer", role: "alert" }));
  one("newer").textContent = state.refused;
  delete document.documentElement.dataset.consented; // until the text is there
  tell();
  button("do-read-guidelines")?.click();
});

// Nobody agrees before the text is there.
when("state", () => {
  one("newer")?.remove();
  if (page.state.phase === "consent") delete document.documentElement.dataset.consented;
});
