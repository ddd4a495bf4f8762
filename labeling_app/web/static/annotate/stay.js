// While somebody is there, the server is told so: the item stays theirs, and they hear what is new. A tab that was left
// alone sends nothing: its item goes to others, and its session ends in time.

import { here } from "./clock.js";
import { button } from "./dom.js";
import { tell } from "./form.js";
import { page } from "./page.js";

const EVERY = 60_000;

setInterval(() => {
  if (!here() || page.busy) return;
  tell();
  button("do-stay")?.click();
}, EVERY);
