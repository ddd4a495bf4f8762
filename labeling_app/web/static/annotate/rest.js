// A reminder to rest after a long time of work. Nothing is measured for anybody else.

import { lastActive } from "./clock.js";
import { make, one } from "./dom.js";
import { keep, kept } from "./kept.js";
import { page } from "./page.js";

const A_REST = 5 * 60_000, EVERY = 5_000;

function look() {
  const now = Date.now(), minutes = page.state.rest || 0;
  const work = kept("work") || { since: now, until: now };
  if (now - work.until > A_REST) work.since = now; // that was one
  if (page.item && now - lastActive() < A_REST) work.until = now;
  keep("work", work);
  if (minutes && page.item && now - work.since > minutes * 60_000) remind(Math.round((now - work.since) / 60_000));
}

function remind(minutes) {
  if (one("rest")) return;
  const later = () => { keep("work", { since: Date.now(), until: Date.now() }); one("rest").remove(); };
  one("work").before(make("section", { id: "rest", role: "status" },
    make("p", {}, `You have worked for ${minutes} minutes. A few minutes away from the screen keep a judgement fresh; your item waits for you.`),
    make("button", { type: "button", onclick: later }, "remind me later")));
}

setInterval(look, EVERY);
