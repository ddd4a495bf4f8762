// Fetches the part of the page that changes, while somebody looks at it. Without a script the whole page loads again.
(() => {
  "use strict";
  const part = document.querySelector("[data-live]");
  if (!part) return;

  // Whoever reads or selects there is left in peace until the next time.
  const busy = () => document.hidden || part.contains(document.activeElement) || !document.getSelection().isCollapsed;

  async function refresh() {
    if (busy()) return;
    const open = [...part.querySelectorAll("details")].map((one) => one.open);
    const scrolled = [...part.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
    const answer = await fetch(part.dataset.live, { headers: { accept: "text/html" }, redirect: "error" });
    if (!answer.ok || busy()) return;
    part.innerHTML = await answer.text();
    part.querySelectorAll("details").forEach((one, number) => { one.open = open[number] ?? false; });
    part.querySelectorAll(".scroll").forEach((one, number) => { one.scrollLeft = scrolled[number] ?? 0; });
  }

  // A server that is gone for a while is asked again later; the time that the page says shows how old its figures are.
  setInterval(() => refresh().catch(() => {}), Number(part.dataset.seconds) * 1000);
})();
