// The words in which two responses differ, marked without touching the page: by the browser's own highlights.

import { button, one } from "./dom.js";
import { keep, kept } from "./kept.js";
import { page, ranks, when } from "./page.js";

const MOST_CELLS = 4_000_000;
export const able = () => "highlights" in CSS;
let on = false;

export function toggle() {
  on = !on;
  keep("differs", on);
  draw();
}

function draw() {
  if (!able()) return;
  button("differences")?.setAttribute("aria-pressed", String(on));
  CSS.highlights.delete("differs");
  if (!on || ranks() || !page.item) return;
  const a = words(one("response-a")), b = words(one("response-b"));
  const [lone, other] = alone(a.map(({ text }) => text), b.map(({ text }) => text));
  CSS.highlights.set("differs", new Highlight(...lone.map((at) => a[at].range), ...other.map((at) => b[at].range)));
}

function words(root) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    for (const match of walker.currentNode.data.matchAll(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu)) {
      const range = new StaticRange({
        startContainer: walker.currentNode, startOffset: match.index, endContainer: walker.currentNode, endOffset: match.index + match[0].length,
      });
      found.push({ text: match[0].toLowerCase(), range });
    }
  }
  return found;
}

// The places of words that are not in the longest common subsequence of both.
export function alone(a, b) {
  let start = 0, endA = a.length, endB = b.length;
  while (start < endA && start < endB && a[start] === b[start]) start++;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) { endA--; endB--; }
  const n = endA - start, m = endB - start;
  if (n * m > MOST_CELLS) return [missing(a, b, start, endA), missing(b, a, start, endB)];
  const width = m + 1, longest = new Uint16Array((n + 1) * width);
  for (let i = n - 1; i >= 0; i--) {
    for (let j = m - 1; j >= 0; j--) {
      longest[i * width + j] = a[start + i] === b[start + j]
        ? longest[(i + 1) * width + j + 1] + 1
        : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const lone = [], other = [];
  let i = 0, j = 0;
  while (i < n && j < m) {
    if (a[start + i] === b[start + j]) { i++; j++; }
    else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) lone.push(start + i++);
    else other.push(start + j++);
  }
  while (i < n) lone.push(start + i++);
  while (j < m) other.push(start + j++);
  return [lone, other];
}

// For very long texts: words that the other one doesn't have at all.
function missing(words, others, start, end) {
  const known = new Set(others);
  return Array.from({ length: end - start }, (_, at) => start + at).filter((at) => !known.has(words[at]));
}

when("person", () => { on = Boolean(kept("differs")); });
when("drawn", draw);
