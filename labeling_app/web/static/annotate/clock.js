// How long an item was looked at, without the time in which nobody did anything.

const IDLE_AFTER = 30_000, AWAY_AFTER = 5 * 60_000;
const clock = { since: Date.now(), idle: 0, active: Date.now() };

export function start() {
  Object.assign(clock, { since: Date.now(), idle: 0, active: Date.now() });
}

export function active() {
  const now = Date.now();
  if (now - clock.active > IDLE_AFTER) clock.idle += now - clock.active;
  clock.active = now;
}

export const times = () => ({
  seconds: Math.max(0, Date.now() - clock.since - clock.idle) / 1000,
  idle: clock.idle / 1000,
});

export const here = () => Date.now() - clock.active < AWAY_AFTER;
export const lastActive = () => clock.active;

for (const kind of ["pointermove", "wheel", "touchstart", "keydown"]) {
  document.addEventListener(kind, active, { passive: true, capture: true });
}
