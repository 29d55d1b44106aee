// Forms are sent as JSON; what came back is shown; once a second the live parts are taken from the page anew.
"use strict";

const EVERY_MS = 1000;
const seen = new Map();

function live(root) {
  return [...root.querySelectorAll("[data-live]")];
}

// A part is replaced only where the server says something else than before: what is being typed stays.
async function refresh() {
  const answer = await fetch("/");
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const fresh of live(page)) {
    const old = document.getElementById(fresh.id);
    if (!old || seen.get(fresh.id) === fresh.outerHTML) continue;
    seen.set(fresh.id, fresh.outerHTML);
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    old.replaceWith(document.adoptNode(fresh));
    if (focused) document.getElementById(focused)?.focus();
  }
}

function show(lines) {
  const place = document.getElementById("answer");
  place.hidden = false;
  place.replaceChildren(...lines.map(([kind, text]) => {
    const line = document.createElement("p");
    line.className = kind;
    line.textContent = text;
    return line;
  }));
}

async function send(form) {
  const method = form.dataset.method || "POST";
  const to = form.querySelector("[data-action]")?.value || form.getAttribute("action");
  const body = JSON.stringify(Object.fromEntries(new FormData(form)));
  const answer = await fetch(to, { method, body, headers: { "content-type": "application/json" } });
  if (answer.ok && form.dataset.then === "reload") {
    location.reload();
    return;
  }
  const said = await answer.text();
  const fields = said ? JSON.parse(said) : {};
  // Long, sealed, and already in the form.
  delete fields.challenge;
  const challenge = answer.headers.get("www-authenticate");
  show([
    ["line", `${method} ${to}`],
    [answer.ok ? "status good" : "status bad", `${answer.status} ${answer.statusText}`],
    ...(challenge ? [["header", `WWW-Authenticate: ${challenge}`]] : []),
    ...Object.entries(fields).map(([name, value]) => ["field", `${name}: ${value}`]),
  ]);
  await refresh();
}

function sayAway() {
  show([["status bad", "The bank does not answer. Is it still running?"]]);
}

document.addEventListener("submit", (event) => {
  event.preventDefault();
  send(event.target).catch(sayAway);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-into]");
  if (!button) return;
  const from = button.dataset.from ? document.getElementById(button.dataset.from) : button;
  document.getElementById(button.dataset.into).value = from?.dataset.code || "";
});

async function watch() {
  try {
    await refresh();
  } catch {
    sayAway();
  }
  setTimeout(watch, EVERY_MS);
}

for (const part of live(document)) seen.set(part.id, part.outerHTML);
if (seen.size) setTimeout(watch, EVERY_MS);
