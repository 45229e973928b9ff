// The page of the system's health, asked again while it is open.

import { json, token } from "./api.js";
import { element, find, repeated } from "./page.js";

const EVERY_MS = 3000;

export function start(onToken) {
  find("token").value = token.get();
  find("access").onsubmit = (event) => {
    event.preventDefault();
    token.set(find("token").value.trim());
    onToken();
    open();
  };
}

export const { open, close } = repeated(refresh, EVERY_MS);

async function refresh() {
  const facts = [];
  try {
    const status = await json("/v1/status");
    facts.push(["State", status.ready ? "ready" : `not ready: ${status.cause}`], ...Object.entries(status.facts));
  } catch (error) {
    facts.push(["State", `not ready: ${error.message}`]);
  }
  find("health").replaceChildren(...facts.flatMap(([name, value]) => [
    element("dt", { textContent: name }),
    element("dd", {}, /^https?:\/\//.test(value) ? element("a", { href: value, textContent: value }) : String(value)),
  ]));
  find("health-time").textContent = `at ${new Date().toLocaleTimeString()}`;
}
