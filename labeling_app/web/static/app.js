// The page's keys, times and submission ids. It clicks the page's own buttons: what happens is decided on the server.
(() => {
  "use strict";

  const RATES = ["rate-a3", "rate-a2", "rate-a1", "rate-tie", "rate-b1", "rate-b2", "rate-b3"];
  const IDLE_AFTER = 30_000, AWAY_AFTER = 5 * 60_000, ANSWERED_WITHIN = 10_000;
  const one = (id) => document.getElementById(id);
  const button = (id) => { const found = one(id); return found && (found.matches("button") ? found : found.querySelector("button")); };
  const field = (id) => { const found = one(id); return found && found.querySelector("textarea, input"); };

  const NAMES = ["A is much better", "A is clearly better", "A is a bit better", "equally good", "B is a bit better", "B is clearly better", "B is much better"];

  const page = { item: "", since: 0, idle: 0, active: 0, submission: "", selected: null, waits: 0, said: "", order: [], ties: false };

  const itemNow = () => { const found = field("item"); return found ? found.value : ""; };
  const typing = (target) => target.closest("input, textarea, select, [contenteditable='true']");
  const shows = (id) => Boolean(one(id)?.offsetParent);
  const ranking = () => shows("submit-ranking");
  const byEnter = () => shows("submit") || ranking();

  // A new item: the clock starts, and keys count again.
  function draw() {
    const item = itemNow();
    if (item === page.item) return;
    Object.assign(page, { item, since: Date.now(), idle: 0, active: Date.now(), submission: crypto.randomUUID(), selected: null, waits: 0, said: "", order: [], ties: false });
    document.body.classList.remove("skipping");
    RATES.concat("both-bad").forEach((id) => button(id)?.removeAttribute("aria-pressed"));
    number();
    RATES.forEach((id, number) => button(id)?.setAttribute("aria-label", `${NAMES[number]}, key ${number + 1}`));
    document.documentElement.dataset.item = item;
  }

  function active() {
    const now = Date.now();
    if (page.active && now - page.active > IDLE_AFTER) page.idle += now - page.active;
    page.active = now;
  }

  // What the server is told with an answer. Set before the click reaches Gradio, which then sends it along.
  function tell(clicked = "") {
    // A submission id belongs to one answer: sent again it is stored once, and another answer needs another one.
    const said = clicked && clicked + JSON.stringify(page.selected) + (field("rationale")?.value || "");
    if (said && page.said && said !== page.said) page.submission = crypto.randomUUID();
    page.said = said || page.said;
    const seconds = Math.max(0, Date.now() - page.since - page.idle) / 1000;
    const facts = { submission: page.submission, seconds, idle: page.idle / 1000, by_enter: byEnter(), selected: page.selected, here: Date.now() - page.active < AWAY_AFTER };
    const box = field("facts");
    if (!box) return;
    box.value = JSON.stringify(facts);
    box.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function mark(id) {
    const rate = RATES.indexOf(id);
    page.selected = rate < 0 ? { kind: "both_bad" } : { kind: "choice", strength: rate - 3 };
    RATES.concat("both-bad").forEach((other) => button(other)?.setAttribute("aria-pressed", String(other === id)));
  }

  // A ranking: groups of responses, the best first. Those of one group tie.
  function place(response) {
    if (page.order.flat().includes(response)) return;
    if (page.ties && page.order.length) page.order.at(-1).push(response);
    else page.order.push([response]);
    page.ties = false;
    number();
  }

  function takeBack() {
    page.order.at(-1)?.pop();
    if (page.order.length && !page.order.at(-1).length) page.order.pop();
    page.ties = false;
    number();
  }

  function number() {
    const ranks = {};
    let better = 0;
    for (const group of page.order) {
      for (const response of group) ranks[response] = better + 1;
      better += group.length;
    }
    const shown = [1, 2, 3, 4, 5, 6, 7, 8, 9].filter((response) => shows(`rank-${response}`));
    for (const response of shown) {
      const rank = ranks[response];
      const label = button(`rank-${response}`);
      if (rank) label.dataset.rank = rank; else delete label.dataset.rank;
      label.setAttribute("aria-label", `Response ${response}${rank ? `, rank ${rank}` : ", not ranked yet"}`);
    }
    const whole = shown.length > 0 && shown.every((response) => ranks[response]);
    if (ranking()) page.selected = whole ? { kind: "ranking", ranks: shown.map((response) => ranks[response]) } : null;
  }

  document.addEventListener("click", (event) => {
    const id = event.target.closest("button")?.id;
    if (!id) return;
    if (id === "log-out") { leave(); return; }
    if (id === "skip") { document.body.classList.toggle("skipping"); return; }
    if (id === "keys") { document.body.classList.toggle("helping"); return; }
    if (/^rank-[1-9]$/.test(id)) { place(Number(id.slice(5))); return; }
    if (RATES.includes(id) || id === "both-bad") mark(id);
    active();
    tell(id);
  }, true);

  async function leave() {
    await fetch("/logout", { method: "POST" });
    location.assign("/login?ended=true");
  }

  function press(id) {
    const found = button(id);
    if (found && found.offsetParent) found.click();
  }

  document.addEventListener("keydown", (event) => {
    active();
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") { document.body.classList.remove("skipping", "helping"); document.activeElement?.blur(); return; }
    if (typing(event.target)) {
      if (event.key === "Enter" && !event.shiftKey && event.target.closest("#rationale") && byEnter()) { event.preventDefault(); submit(); }
      return;
    }
    const key = event.key.toLowerCase();
    if (key === "?") { document.body.classList.toggle("helping"); return; }
    if (page.waits || !page.item) return; // the next item isn't drawn yet
    if (document.body.classList.contains("skipping")) {
      if (key === "s") document.body.classList.remove("skipping");
      else if (/^[1-5]$/.test(key)) { page.waits = Date.now(); press(`skip-${key}`); }
    } else if (ranking() && /^[1-9]$/.test(key)) press(`rank-${key}`);
    else if (ranking() && key === "=") page.ties = true;
    else if (ranking() && key === "backspace") takeBack();
    else if (ranking() && key === "x") return;
    else if (/^[1-7]$/.test(key)) choose(RATES[Number(key) - 1]);
    else if (key === "x") choose("both-bad");
    else if (key === "s") document.body.classList.add("skipping");
    else if (key === "u") press("undo");
    else if (key === "enter" && byEnter()) submit();
    else return;
    event.preventDefault();
  });

  function choose(id) {
    if (!byEnter()) page.waits = Date.now();
    press(id);
  }

  function submit() {
    if (page.waits || !page.selected) return;
    page.waits = Date.now();
    press(ranking() ? "submit-ranking" : "submit");
  }

  for (const kind of ["pointermove", "wheel", "touchstart"]) document.addEventListener(kind, active, { passive: true });

  // Gradio shows nothing when a session ends or the network goes: say it, and let keys count again.
  const send = window.fetch;
  window.fetch = async (...args) => {
    try {
      const answer = await send(...args);
      if (answer.status === 401) banner("Your session has ended. What you have not submitted is kept.", "/login", "Log in");
      else if (answer.ok) unbanner();
      return answer;
    } catch (error) {
      banner("The server can't be reached. Your answer is not saved yet; choose again when it is back.");
      page.waits = 0;
      throw error;
    }
  };

  function banner(text, link, action) {
    unbanner();
    const box = document.createElement("div");
    box.id = "banner";
    box.setAttribute("role", "alert");
    box.textContent = text;
    if (link) {
      const anchor = document.createElement("a");
      anchor.href = link;
      anchor.textContent = action;
      box.append(" ", anchor);
    }
    document.body.append(box);
  }

  function unbanner() { one("banner")?.remove(); }

  // Gradio sets a field's value without an event: look for a new item, and for words after an answer that was refused.
  setInterval(() => {
    draw();
    if (page.waits && one("saved")?.textContent.includes("Not saved")) page.waits = 0;
    if (page.waits && Date.now() - page.waits > ANSWERED_WITHIN) {
      page.waits = 0;
      banner("The server has not answered. Choose again: the same answer is stored once only.");
    }
  }, 30);
  setInterval(() => tell(), 20_000); // whether anybody is still there
})();
