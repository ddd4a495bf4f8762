// What a project may ask of each response: ratings on named axes, and a mark on what is unsafe.

import { make, one } from "./dom.js";
import { changed, form } from "./form.js";
import { page, ranks, when } from "./page.js";

const nameOf = (response) => (ranks() ? String(response + 1) : "AB"[response]);
const groups = () => [...document.querySelectorAll("#extras .group")];
let drawn = "";

function build() {
  const { axes, safety, count, mode } = page.state;
  const wanted = JSON.stringify([axes, safety, count, mode]);
  if (wanted === drawn) return;
  drawn = wanted;
  const rows = (axes || []).map((axis, number) => axisOf(axis, number, count));
  if (safety) rows.push(flags(count));
  one("extras")?.replaceChildren(...rows);
}

function axisOf(axis, number, count) {
  const legend = make("legend", {}, axis.name, axis.description ? make("small", {}, axis.description) : null);
  const choices = Array.from({ length: count }, (_, response) => {
    const group = make("div", { class: "group", role: "radiogroup", "aria-label": `${axis.name} of ${nameOf(response)}` });
    group.append(make("span", { class: `who who-${nameOf(response).toLowerCase()}`, "aria-hidden": "true" }, nameOf(response)));
    for (let value = axis.low; value <= axis.high; value++) {
      const input = make("input", { type: "radio", name: `axis-${number}-${response}`, value, "data-axis": axis.name, "data-response": response });
      group.append(make("label", {}, input, make("span", {}, String(value))));
    }
    return group;
  });
  return make("fieldset", { class: "axis" }, legend, ...choices);
}

function flags(count) {
  const boxes = Array.from({ length: count }, (_, response) =>
    make("label", { class: "flag" }, make("input", { type: "checkbox", "data-unsafe": response }), make("span", {}, `${nameOf(response)} is unsafe`)));
  return make("fieldset", { class: "axis flags" }, make("legend", {}, "safety · F"), ...boxes);
}

function draw() {
  build();
  for (const input of document.querySelectorAll("#extras input")) {
    const { axis, response, unsafe } = input.dataset;
    input.checked = axis === undefined
      ? form.unsafe.includes(Number(unsafe))
      : form.ratings[axis]?.[Number(response)] === Number(input.value);
  }
}

document.addEventListener("change", ({ target }) => {
  if (!target.closest?.("#extras")) return;
  const { axis, response, unsafe } = target.dataset;
  if (axis === undefined) {
    const others = form.unsafe.filter((one) => one !== Number(unsafe));
    changed({ unsafe: target.checked ? [...others, Number(unsafe)] : others });
  } else {
    const numbers = Array.from({ length: page.state.count }, (_, one) => form.ratings[axis]?.[one] ?? null);
    numbers[Number(response)] = Number(target.value);
    changed({ ratings: { ...form.ratings, [axis]: numbers } });
  }
});

const rated = (group) => group.querySelector("input:checked");

export function toRatings() {
  const first = groups().find((group) => !rated(group)) || groups()[0];
  (first && (rated(first) || first.querySelector("input")))?.focus();
}

export function toFlags() {
  document.querySelector("#extras .flags input")?.focus();
}

// A digit in a row of an axis: rate, and go on to the next row. 0 stands for 10.
export function digit(target, key) {
  const group = target.closest("#extras .group");
  if (!group || !/^[0-9]$/.test(key)) return false;
  const found = group.querySelector(`input[value="${key}"]`) || (key === "0" && group.querySelector('input[value="10"]'));
  if (!found) return true;
  found.click();
  const all = groups(), next = all.slice(all.indexOf(group) + 1).find((one) => !rated(one)) || all.find((one) => !rated(one));
  if (next) next.querySelector("input").focus();
  else document.activeElement?.blur();
  return true;
}

when("form", draw);
