// What survives a reload of this tab: drafts, an answer that is not known to be stored, and how long one has worked. Each
// person's is their own: whoever logs in after them in the same tab finds nothing, and they find it again.
// A browser that keeps nothing (a full or forbidden store) costs the drafts of a reload, and nothing else.

let prefix = ""; // nothing is kept before it is known whose it is

// Whose page this is. Returns whether that is new.
export function belongsTo(person) {
  const before = prefix;
  prefix = `labeling:${person}:`;
  return prefix !== before;
}

export function keep(name, value) {
  if (!prefix) return;
  try {
    sessionStorage.setItem(prefix + name, JSON.stringify(value));
  } catch { /* see above */ }
}

export function kept(name) {
  if (!prefix) return null;
  try {
    return JSON.parse(sessionStorage.getItem(prefix + name));
  } catch {
    return null;
  }
}

export function drop(name) {
  try {
    sessionStorage.removeItem(prefix + name);
  } catch { /* see above */ }
}

export function dropAll() {
  if (!prefix) return;
  try {
    for (const name of Object.keys(sessionStorage)) if (name.startsWith(prefix)) sessionStorage.removeItem(name);
  } catch { /* see above */ }
}
