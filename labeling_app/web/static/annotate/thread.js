// The thread with the lead about the item on the page, and word of answers about earlier ones.

import { button, field, fill, make, one } from "./dom.js";
import { tell } from "./form.js";
import { again } from "./history.js";
import { page, when } from "./page.js";
import { opened } from "./panels.js";

when("panel", (panel) => {
  if (panel.refused && opened() === "thread") { note(panel.refused); return; }
  if (panel.kind !== "thread") return;
  const lines = panel.lines.map((line) => make("li", { class: line.mine ? "mine" : "theirs" }, make("b", {}, line.author), make("p", { dir: "auto" }, line.text)));
  list("lines").replaceChildren(...lines);
  const elsewhere = panel.elsewhere.map((other) => make("li", { class: "theirs" },
    make("p", { class: "prompt", dir: "auto" }, other.prompt), make("p", { dir: "auto" }, other.text),
    make("button", { type: "button", onclick: () => again(other.assignment) }, "look at that item")));
  if (elsewhere.length) elsewhere.unshift(make("li", { class: "head" }, "The lead has answered about earlier items"));
  list("elsewhere").replaceChildren(...elsewhere);
  if (panel.written) { fill("question", ""); note("Sent. The lead's answer appears here."); } else note("");
  unread(panel.elsewhere.length);
});

function list(id) {
  if (!one(id)) within("question").before(make("ul", { id, "aria-live": "polite" }));
  return one(id);
}

// Gradio puts a field into a frame of its own.
const within = (id) => [...one("panel-thread").children].find((child) => child.contains(one(id)));

function note(text) {
  if (!one("thread-note")) one("ask").after(make("p", { id: "thread-note", role: "status" }));
  one("thread-note").textContent = text;
}

function unread(count) {
  const found = button("open-thread");
  if (!found) return;
  if (count) found.dataset.unread = count;
  else delete found.dataset.unread;
  found.setAttribute("aria-label", count ? `Ask the lead, key T; ${count} answers not read` : "Ask the lead about this item, key T");
}

when("news", (news) => unread(news.unread || 0));

export function write() {
  const question = field("question")?.value.trim();
  if (!question || !page.item) return;
  tell({ question });
  button("do-write")?.click();
}
