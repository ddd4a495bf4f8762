// Words across the page: what keeps the work from going on, and what to do.

import { make, one } from "./dom.js";
import { dropAll } from "./kept.js";

export function banner(kind, text, link = null) {
  const shown = one("banner");
  if (shown?.dataset.kind === kind && shown.dataset.text === text) return;
  shown?.remove();
  const box = make("div", { id: "banner", role: "alert", "data-kind": kind, "data-text": text }, text);
  if (link) box.append(" ", make("a", { href: link.href }, link.text));
  document.body.append(box);
}

export function unbanner(kind) {
  const shown = one("banner");
  if (shown && (!kind || shown.dataset.kind === kind)) shown.remove();
}

// Gradio shows nothing when a session ends or the network goes: say it.
const send = window.fetch;
window.fetch = async (...args) => {
  try {
    const answer = await send(...args);
    if (answer.status === 401) {
      banner("ended", "Your session has ended. What you have not submitted is kept.", { href: "/login", text: "Log in" });
    } else if (answer.ok) {
      unbanner("unreachable");
    }
    return answer;
  } catch (error) {
    if (error.name !== "AbortError") {
      banner("unreachable", "The server can't be reached. Your answer is not saved yet; it is sent again when the server is back.");
    }
    throw error;
  }
};

export async function leave(waiting) {
  if (waiting && !confirm("Your last answer is not saved yet. Log out all the same, and lose it?")) return;
  try {
    const answer = await send("/logout", { method: "POST" });
    if (!answer.ok) throw new Error(String(answer.status));
  } catch {
    banner("unreachable", "You are still logged in: the server doesn't answer. Try again.");
    return;
  }
  dropAll();
  location.assign("/login?ended=true");
}
