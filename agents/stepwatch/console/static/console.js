// Keys on the list of alerts, and leaving when the session has ended. Everything can be read and done without this.
"use strict";

const rows = () => [...document.querySelectorAll("[data-row] a.title")];
const typing = () => /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing()) return;
  const filter = document.querySelector(".filters input");
  if (event.key === "/" && filter) {
    event.preventDefault();
    filter.focus();
    return;
  }
  const step = { j: 1, k: -1 }[event.key];
  const links = rows();
  if (!step || !links.length) return;
  const at = links.indexOf(document.activeElement);
  links[Math.min(Math.max(at + step, 0), links.length - 1)].focus();
});

// A list that refreshes itself must not take the place from under somebody's keys.
let held = "";
document.addEventListener("htmx:beforeSwap", () => {
  held = rows().includes(document.activeElement) ? document.activeElement.getAttribute("href") : "";
});
document.addEventListener("htmx:afterSettle", () => {
  if (held) rows().find((link) => link.getAttribute("href") === held)?.focus();
});
