// What makes the lead's pages nicer. All of them work without it.
(() => {
  "use strict";

  // An open menu closes when something else is clicked, or by Escape.
  const menus = [...document.querySelectorAll("details.menu")];
  document.addEventListener("click", (event) => menus.forEach((menu) => menu.contains(event.target) || menu.removeAttribute("open")));
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && menus.find((menu) => menu.open);
    if (open) { open.removeAttribute("open"); open.querySelector("summary").focus(); }
  });

  // A form is sent once, however often its button is clicked. One that downloads a file stays on the page.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) { event.preventDefault(); return; }
    if ("stays" in form.dataset) return;
    form.dataset.sent = "true";
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

  // What is wrong is read out, and seen.
  document.querySelector(".problem")?.focus();

  // A tab that is chosen is in sight, on a phone too.
  document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  // A button that copies the text of an element.
  document.querySelectorAll("button[data-copies]").forEach((button) => {
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent.trim());
      button.textContent = "Copied";
    });
  });

  // A file that is too large is said before it travels.
  document.querySelectorAll("input[type=file][data-largest]").forEach((input) => input.addEventListener("change", () => {
    const largest = Number(input.dataset.largest), file = input.files[0];
    const large = file && file.size > largest;
    input.setCustomValidity(large ? `This file has ${Math.ceil(file.size / 1e6)} MB; at most ${largest / 1e6} MB are taken here. Use the command line for it.` : "");
    input.reportValidity();
  }));
})();
