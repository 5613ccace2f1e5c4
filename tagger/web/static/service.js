"use strict";
// Sends chosen photos to /v1/tags and shows the answer. Text from files and from the server is set as text, never as HTML.

const form = document.getElementById("try");
const input = document.getElementById("photos");
const token = document.getElementById("token");
const drop = document.getElementById("drop");
const status_ = document.getElementById("status");
const results = document.getElementById("results");
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
let busy = false;
let addresses = [];

function shown(text) {
  return String(text).replace(UNSAFE, (mark) => "\\u" + mark.charCodeAt(0).toString(16).padStart(4, "0"));
}

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = shown(text);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function percent(value) {
  return (100 * value).toFixed(1) + " %";
}

function facts(row) {
  const list = element("dl");
  const add = (name, text, kind) => list.append(element("dt", name), element("dd", text, kind ? { class: kind } : {}));
  add("Tag", row.tag || "none");
  if (row.confidence !== null) add("Confidence", percent(row.confidence));
  if (row.group) add("Group", row.group + " (" + percent(row.group_confidence) + ")");
  if (row.low_confidence) add("Flag", "a person should check it", "flagged");
  else add("Flag", "not flagged", "good");
  if (row.reason) add("Reason", row.reason);
  if (row.duplicate_of) add("Duplicate of", row.duplicate_of);
  return list;
}

function bars(row) {
  const table = element("table", undefined, { class: "bars" });
  table.append(element("caption", "All tags, the most probable first", { class: "hidden" }));
  const body = element("tbody");
  for (let rank = 1; rank === 1 || row["tag_" + rank]; rank++) {
    const name = rank === 1 ? row.tag : row["tag_" + rank];
    const value = rank === 1 ? row.confidence : row["confidence_" + rank];
    if (!name || value === null) break;
    const line = element("tr");
    const cell = element("td");
    cell.append(element("meter", percent(value), { min: 0, max: 1, value: value, "aria-label": "probability of " + shown(name) }));
    line.append(element("th", name, { scope: "row" }), cell, element("td", percent(value), { class: "number" }));
    body.append(line);
  }
  table.append(body);
  return table;
}

function picture(address, text, kind) {
  return element("img", undefined, { src: address, alt: text, class: kind, width: 112, height: 112 });
}

function seenBy(networks) {
  const box = element("div");
  box.append(element("h3", "What the networks saw"));
  if (!networks.length) box.append(element("p", "Nothing: the photo could not be read, or no product stands out in it."));
  for (const one of networks) {
    const line = element("p", undefined, { class: "seen" });
    const part = one.part ? " (" + one.part + ")" : "";
    line.append(picture(one.grey, "In grey, 28 by 28 pixels" + part, "grey"));
    if (one.colour) line.append(picture(one.colour, "In colour, 224 by 224 pixels" + part, "colour"));
    box.append(line);
  }
  return box;
}

function result(row, networks, file) {
  const box = element("article", undefined, { class: "result" });
  const figure = element("figure");
  const address = URL.createObjectURL(file);
  addresses.push(address);
  const photo = element("img", undefined, { alt: "The photo " + shown(file.name), src: address });
  photo.addEventListener("error", () => photo.replaceWith(element("p", "The browser cannot show this file.")));
  figure.append(photo);
  const column = element("div");
  column.append(facts(row), ...(row.tag ? [bars(row)] : []), seenBy(networks));
  box.append(element("h2", row.path || "Photo"), figure, column);
  return box;
}

function problemWith(files) {
  const most = Number(form.dataset.maxFiles), bytes = Number(form.dataset.maxBytes);
  if (files.length > most) return "At most " + most + " photos at once.";
  const large = files.find((file) => file.size > bytes);
  return large ? large.name + " is too large." : "";
}

async function send(files) {
  if (busy || !files.length) return;
  const problem = problemWith(files);
  if (problem) return say(problem);
  busy = true;
  results.setAttribute("aria-busy", "true");
  say(files.length === 1 ? "Tagging the photo." : "Tagging " + files.length + " photos.");
  try {
    const body = new FormData();
    for (const file of files) body.append("files", file, file.name);
    const headers = token && token.value ? { Authorization: "Bearer " + token.value } : {};
    const answer = await fetch("/v1/tags?top_k=1000&seen=true", { method: "POST", body, headers });
    const document_ = await answer.json();
    if (!answer.ok) return say(document_.detail || "The server answers " + answer.status + ".");
    addresses.forEach((address) => URL.revokeObjectURL(address));
    addresses = [];
    results.replaceChildren(...document_.rows.map((row, at) => result(row, document_.seen[at], files[at])));
    const [first] = document_.rows;
    const flagged = document_.rows.filter((row) => row.low_confidence).length;
    say(
      files.length === 1
        ? (first.tag ? first.tag + ", " + percent(first.confidence) : "No tag") + (first.reason ? ": " + first.reason : "") + "."
        : files.length + " photos, " + flagged + " flagged.",
    );
  } catch (error) {
    say("The server cannot be reached: " + error.message);
  } finally {
    busy = false;
    results.removeAttribute("aria-busy");
    input.value = "";
  }
}

function say(text) {
  status_.textContent = shown(text);
}

form.addEventListener("submit", (event) => event.preventDefault());
input.addEventListener("change", () => send([...input.files]));
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  send([...event.dataTransfer.files]);
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) send([...event.clipboardData.files]);
});
