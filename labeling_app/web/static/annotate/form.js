// What is chosen and typed for the item on the page. It is kept as a draft at every change, and becomes the answer.

import { button, fill } from "./dom.js";
import { drop, keep, kept } from "./kept.js";
import { happened, page, ranks } from "./page.js";

const DRAFT_AFTER = 600;
const empty = () => ({ selected: null, order: [], rationale: "", ratings: {}, unsafe: [], edits: {} });

export const form = empty();
let pending = null, draftTimer = 0;

// An item is drawn: what was kept here goes before what the server kept, and that before the answer so far.
export function load() {
  const { state, item } = page;
  Object.assign(form, empty(), given(state.given), state.draft || {}, kept(`draft:${item}`) || {});
  happened("form");
  tell();
}

function given(answer) {
  if (!answer) return {};
  const found = {
    rationale: answer.rationale || "",
    ratings: answer.ratings || {},
    unsafe: answer.unsafe || [],
  };
  if (answer.kind === "choice") found.selected = { kind: "choice", strength: answer.strength };
  if (answer.kind === "both_bad") found.selected = { kind: "both_bad" };
  if (answer.ranks) {
    found.order = [...new Set(answer.ranks)].sort((a, b) => a - b)
      .map((rank) => answer.ranks.flatMap((other, response) => (other === rank ? [response + 1] : [])));
  }
  if (answer.edit) found.edits = { [answer.strength < 0 ? 0 : 1]: answer.edit };
  return found;
}

export function changed(change) {
  Object.assign(form, change);
  if (!page.item) return;
  keep(`draft:${page.item}`, form);
  happened("form");
  clearTimeout(draftTimer);
  draftTimer = setTimeout(() => { tell(); button("do-draft")?.click(); }, DRAFT_AFTER);
}

export function forget(item) {
  clearTimeout(draftTimer);
  drop(`draft:${item}`);
}

// All that the server may want to know, at all times: events that overlap can't read each other's half.
export function tell(more = {}) {
  if ("pending" in more) { pending = more.pending; delete more.pending; }
  fill("facts", JSON.stringify({ item: page.item, draft: form, guideline: page.guideline, ...(pending || {}), ...more }));
}

// Which side is better: 0 or 1; null for a tie, or where nothing is chosen.
export function better() {
  const strength = form.selected?.strength;
  return strength ? Number(strength > 0) : null;
}

export function rankOf() {
  const found = {};
  let placed = 0;
  for (const group of form.order) {
    for (const response of group) found[response] = placed + 1;
    placed += group.length;
  }
  return found;
}

// The answer, or in words what is missing.
export function answer() {
  const { state } = page;
  const made = ranks() ? ranking() : form.selected && { ...form.selected };
  if (!made) return { missing: ranks() ? "Rank every response first." : "Choose a side first." };
  if (state.axes) {
    for (const axis of state.axes) {
      const numbers = form.ratings[axis.name] || [];
      for (let response = 0; response < state.count; response++) {
        if (!Number.isInteger(numbers[response])) return { missing: `Rate “${axis.name}” of every response first (R).` };
      }
    }
    made.ratings = Object.fromEntries(state.axes.map(({ name }) => [name, form.ratings[name].slice(0, state.count)]));
  }
  const why = form.rationale.trim();
  if (state.rationale === "required" && !why) return { missing: "Say why first (W)." };
  if (state.rationale !== "off" && why) made.rationale = why;
  if (state.safety && form.unsafe.length) made.unsafe = [...form.unsafe].sort((a, b) => a - b);
  const side = better(), edit = (form.edits[side] || "").trim();
  if (state.texts && side !== null && edit && edit !== state.texts[side].trim()) made.edit = edit;
  return { made };
}

function ranking() {
  const found = rankOf();
  const ranks = Array.from({ length: page.state.count }, (_, response) => found[response + 1]);
  return ranks.every(Boolean) && { kind: "ranking", ranks };
}
