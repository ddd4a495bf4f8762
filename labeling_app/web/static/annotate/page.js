// The one state that all modules share.
//
// state: what the server said of the item on the page:
//   phase       work, feedback, consent, notice
//   item        its name; empty where there is none
//   mode, count comparison or ranking, and of how many responses
//   by_enter    a key only selects, Enter submits
//   rationale   off, optional, required
//   axes, safety, texts (of the responses, where the better one may be edited)
//   given, said the answer so far, where it is looked at again
//   draft       what was chosen and typed and not submitted
//   lengths, notice, feedback, share
//   person      whose it is
// item: the name of the item that is drawn. busy: since when an answer or another item is on its way, 0 if none is.
// guideline: the id of the version of the guidelines that is shown.
export const page = { state: { phase: "begin" }, item: "", busy: 0, guideline: 0 };

const MOVES_WITHIN = 10_000;

export const ranks = () => page.state.mode === "ranking";
// The item of the state is the one that is drawn, and nothing is on its way.
export const working = () => page.state.phase === "work" && page.item !== "" && page.item === page.state.item && !page.busy;

// Another item is asked for: a key that comes before it is drawn is meant for neither. Returns false where something is
// on its way already. Where nothing comes of it the item on the page can be answered again.
export function moving() {
  if (page.busy) return false;
  const since = page.busy = Date.now();
  setTimeout(() => { if (page.busy === since) page.busy = 0; }, MOVES_WITHIN);
  return true;
}

const listeners = {};

// Modules tell each other what happened without knowing each other: "drawn" (an item), "form", "state", "answered",
// "refused", "person" (it is known whose page this is).
export function when(what, then) {
  (listeners[what] ||= []).push(then);
}

export function happened(what, ...details) {
  for (const then of listeners[what] || []) then(...details);
}
