// What survives a reload of this tab: drafts, an answer that is not known to be stored, and how long one has worked.
// A browser that keeps nothing (a full or forbidden store) costs the drafts of a reload, and nothing else.

const PREFIX = "labeling:";

export function keep(name, value) {
  try {
    sessionStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch { /* see above */ }
}

export function kept(name) {
  try {
    return JSON.parse(sessionStorage.getItem(PREFIX + name));
  } catch {
    return null;
  }
}

export function drop(name) {
  try {
    sessionStorage.removeItem(PREFIX + name);
  } catch { /* see above */ }
}

export function dropAll() {
  try {
    for (const name of Object.keys(sessionStorage)) if (name.startsWith(PREFIX)) sessionStorage.removeItem(name);
  } catch { /* see above */ }
}
