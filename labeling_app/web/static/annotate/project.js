// Another project is another item. Gradio says nothing when one is chosen, but every event brings the project.

import { moving } from "./page.js";

const JOIN = "/gradio_api/queue/join";
const send = window.fetch;
let project = null;

window.fetch = (...args) => {
  const chosen = String(args[0]?.url ?? args[0]).includes(JOIN) ? projectOf(args[1]?.body) : null;
  if (chosen !== null && project !== null && chosen !== project) moving();
  project = chosen ?? project;
  return send(...args);
};

function projectOf(body) {
  try {
    return JSON.parse(body).data[0] ?? null;
  } catch {
    return null;
  }
}
