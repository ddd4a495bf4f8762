// A ranking: groups of responses, the best first. Those of one group tie.

import { button, label } from "./dom.js";
import { changed, form, rankOf } from "./form.js";
import { page, ranks, when, working } from "./page.js";

let ties = false; // the next one ties with the one before

export function place(response) {
  if (!working() || !ranks() || response > page.state.count || form.order.flat().includes(response)) return;
  const order = form.order.map((group) => [...group]);
  if (ties && order.length) order.at(-1).push(response);
  else order.push([response]);
  ties = false;
  changed({ order });
}

export function tie() {
  if (working() && ranks()) ties = true;
}

export function takeBack() {
  if (!working() || !ranks()) return;
  const order = form.order.map((group) => [...group]);
  order.at(-1)?.pop();
  ties = false;
  changed({ order: order.filter((group) => group.length) });
}

function draw() {
  if (!ranks()) return;
  const rank = rankOf();
  for (let response = 1; response <= page.state.count; response++) {
    const shown = button(`rank-${response}`);
    if (!shown) continue;
    if (rank[response]) shown.dataset.rank = rank[response];
    else delete shown.dataset.rank;
    label(`rank-${response}`, { "aria-label": `Response ${response}, ${rank[response] ? `rank ${rank[response]}` : "not ranked yet"}` });
  }
}

when("form", draw);
when("drawn", () => { ties = false; });
