// The fields that are written in: why, and the better response edited.

import { field, fill, one } from "./dom.js";
import { better, changed, form } from "./form.js";
import { page, when } from "./page.js";

let writing = false; // we set a field: that is no typing

function draw() {
  const side = better();
  const edits = Boolean(page.state.texts) && side !== null;
  one("edit")?.classList.toggle("asked", edits);
  one("rationale")?.classList.toggle("asked", (page.state.rationale || "off") !== "off");
  one("edit")?.setAttribute("data-side", edits ? "ab"[side] : "");
  writing = true;
  fill("rationale", form.rationale);
  if (edits) fill("edit", form.edits[side] ?? page.state.texts[side]);
  writing = false;
}

document.addEventListener("input", (event) => {
  if (writing || !page.item) return;
  if (event.target === field("rationale")) changed({ rationale: event.target.value });
  const side = better();
  if (event.target === field("edit") && side !== null) changed({ edits: { ...form.edits, [side]: event.target.value } });
}, true);

when("form", draw);
