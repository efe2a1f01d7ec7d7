"use strict";
const machines = document.getElementById("machines");
const summary = document.getElementById("summary");
const trouble = document.getElementById("trouble");
let ahead = Date.now() - Number(machines.dataset.now);

function ages() {
  for (const age of machines.querySelectorAll("[data-heard]")) {
    const seconds = Math.max(0, Math.round((Date.now() - ahead - Number(age.dataset.heard)) / 1000));
    const [count, unit] = seconds < 120 ? [seconds, "s"] : seconds < 7200 ? [Math.floor(seconds / 60), "min"] : [Math.floor(seconds / 3600), "h"];
    const text = `${count} ${unit} ago`;
    if (age.textContent !== text) age.textContent = text;
  }
}

function take(news) {
  ahead = Date.now() - news.now;
  if (news.all) machines.replaceChildren();
  for (const name of news.gone) [...machines.rows].find((row) => row.dataset.machine === name)?.remove();
  for (const text of news.rows) {
    const template = document.createElement("template");
    template.innerHTML = text;
    const row = template.content.firstElementChild;
    const name = row.dataset.machine;
    const next = [...machines.rows].find((other) => other.dataset.machine >= name);
    if (next?.dataset.machine === name) next.replaceWith(row);
    else machines.insertBefore(row, next ?? null);
  }
  document.getElementById("none").hidden = machines.rows.length > 0;
  if (summary.textContent !== news.summary) summary.textContent = news.summary;
  ages();
}

function listen() {
  const live = new EventSource("/live");
  live.onopen = () => { trouble.hidden = true; };
  live.onmessage = (event) => take(JSON.parse(event.data));
  live.onerror = () => {
    trouble.hidden = false;
    // The browser asks again by itself, except where the server refused.
    if (live.readyState === EventSource.CLOSED) setTimeout(listen, 10000);
  };
}

setInterval(ages, 1000);
listen();
