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
// item: the name of the item that is drawn. busy: since when an answer is on its way, 0 if none is.
export const page = { state: { phase: "begin" }, item: "", busy: 0 };

export const ranks = () => page.state.mode === "ranking";
export const working = () => page.state.phase === "work" && page.item !== "" && !page.busy;

const listeners = {};

// Modules tell each other what happened without knowing each other: "drawn" (an item), "form", "state", "answered".
export function when(what, then) {
  (listeners[what] ||= []).push(then);
}

export function happened(what, ...details) {
  for (const then of listeners[what] || []) then(...details);
}
