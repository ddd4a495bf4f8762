// Answers on their way. One is kept until the server has said that it is stored, through reloads too, and sent again
// until then. Its submission id makes that harmless: sent again it is stored once.

import { banner, unbanner } from "./banner.js";
import { start, times } from "./clock.js";
import { button } from "./dom.js";
import { forget, tell } from "./form.js";
import { drop, keep, kept } from "./kept.js";
import { happened, page, ranks, when } from "./page.js";

const FIRST_WAIT = 4_000, LONGEST_WAIT = 15_000, RELOAD_AFTER = 45_000;
const AGAIN = "Not saved yet, trying again.";

let pending = null; // { many, since, facts }
let wait = FIRST_WAIT, due = 0;

export const unsent = () => pending;

export function send(answer) {
  if (page.busy || !page.item) return;
  const facts = { item: page.item, answer, submission: newId(), ...times() };
  pending = { many: ranks(), since: Date.now(), facts };
  keep("pending", pending);
  wait = FIRST_WAIT;
  happened("answered", answer);
  attempt();
}

// crypto.randomUUID is there only on HTTPS and on localhost.
const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export function attempt() {
  if (!pending) return;
  page.busy = Date.now();
  due = Date.now() + wait;
  wait = Math.min(wait * 1.5, LONGEST_WAIT);
  tell({ pending: pending.facts });
  button(pending.many ? "do-send-ranking" : "do-send")?.click();
}

function done() {
  pending = null;
  drop("pending");
  tell({ pending: null });
  unbanner("again");
}

// What the server said. Returns whether it was about an answer that stays on the page.
export function heard(state) {
  if (pending && state.stored === pending.facts.submission) {
    forget(pending.facts.item);
    done();
  }
  if (!state.refused) return false;
  if (state.again && pending) {
    banner("again", `${AGAIN} ${state.refused}`);
    due = Date.now() + wait;
    return true;
  }
  // What was typed and chosen stays on the page, as a draft.
  if (pending && state.submission === pending.facts.submission) done();
  page.busy = 0;
  return true;
}

async function check() {
  if (!pending || Date.now() < due) return;
  banner("again", AGAIN);
  if (Date.now() - pending.since > RELOAD_AFTER && outlives() && (await answers())) {
    location.reload();
    return;
  }
  attempt();
}

// Whether the answer is there after a reload too.
function outlives() {
  const since = Date.now(), { submission } = pending.facts;
  keep("pending", { ...pending, since });
  const found = kept("pending");
  return found?.since === since && found.facts.submission === submission;
}

// Whether the server is there at all: if it is, and an answer stays away, the page begins anew and sends it again.
async function answers() {
  try {
    return (await fetch("/healthz")).ok;
  } catch {
    return false;
  }
}

when("person", () => {
  pending = kept("pending");
  tell({ pending: null });
});
setInterval(check, 500);
window.addEventListener("online", () => { due = Math.min(due, Date.now()); });
