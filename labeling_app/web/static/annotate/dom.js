// Elements of the page: Gradio's by their ids, and small ones of our own. Texts go in as text, never as HTML.

export const one = (id) => document.getElementById(id);

export function button(id) {
  const found = one(id);
  return found && (found.matches("button") ? found : found.querySelector("button"));
}

export const field = (id) => one(id)?.querySelector("textarea, input");

export const shows = (id) => Boolean(one(id)?.offsetParent);

// Gradio learns of a value by the event that typing makes.
export function fill(id, value) {
  const box = field(id);
  if (!box || box.value === value) return;
  box.value = value;
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

export function press(id) {
  const found = button(id);
  if (found && found.offsetParent && !found.disabled) found.click();
}

export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") made.addEventListener("click", value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function label(id, attributes) {
  const found = one(id);
  if (found) for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
}
