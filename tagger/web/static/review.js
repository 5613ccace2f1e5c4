"use strict";
// The review page: moving, ticking and deciding by keyboard, mouse and touch. All HTML comes from the server; what is set here is
// text. A decision is shown as made only once the server has it on disk.
(() => {
  const POLL_MS = 3000;
  const KEPT_UNDOS = 200;
  const byId = (id) => document.getElementById(id);
  const grid = byId("grid");
  const single = byId("single");
  const chooser = byId("chooser");
  const settings = JSON.parse(grid.dataset.settings);
  const undoKey = `fmtag-undo-${settings.catalog}`;
  const own = new Set();
  let last = Number(grid.dataset.last);
  let current = null;
  let anchor = null;
  let accepting = false;

  const cards = () => [...grid.querySelectorAll(".card")];
  const isOpen = (card) => !card.dataset.review && !card.classList.contains("pending");
  const isTicked = (card) => card.classList.contains("ticked");
  const nameOf = (card) => card.querySelector(".path").textContent;
  const shownLabel = (label) => (label === "" ? "none of the labels" : label);
  const announce = (text) => { byId("status").textContent = text; };

  // Moving and ticking ------------------------------------------------------------------------------------------------

  function focusCard(card, scroll = true) {
    if (!card) return;
    if (current) setReachable(current, false);
    current = card;
    setReachable(card, true);
    card.focus({ preventScroll: !scroll });
    showLabels();
    if (single.open) showSingle(card);
  }

  // Only the focused card and what is in it can be reached with Tab: 60 photos are one stop, not 180.
  function setReachable(card, reachable) {
    for (const one of [card, ...card.querySelectorAll("a, input")]) one.tabIndex = reachable ? 0 : -1;
  }

  function tick(card, on) {
    card.classList.toggle("ticked", on);
    card.querySelector("input").checked = on;
    showLabels();
  }

  function tickRange(from, to) {
    const all = cards();
    const [first, end] = [all.indexOf(from), all.indexOf(to)].sort((a, b) => a - b);
    for (const card of all.slice(Math.max(first, 0), end + 1)) tick(card, true);
  }

  function neighbour(key) {
    const all = cards();
    const at = all.indexOf(current);
    if (at < 0) return all[0];
    if (key === "Home") return all[0];
    if (key === "End") return all[all.length - 1];
    const inRow = Math.max(1, all.filter((card) => card.offsetTop === all[0].offsetTop).length);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -inRow, ArrowDown: inRow }[key];
    return all[at + step] || current;
  }

  function nextOpen(from) {
    const all = cards();
    const at = all.indexOf(from);
    return [...all.slice(at + 1), ...all.slice(0, at + 1)].find(isOpen);
  }

  // What can be decided -----------------------------------------------------------------------------------------------

  const targets = () => {
    const ticked = single.open ? [] : cards().filter(isTicked);
    return ticked.length ? ticked : current ? [current] : [];
  };

  function choices() {
    if (!current) return [];
    const best = JSON.parse(current.dataset.best);
    const favourites = settings.favourites.filter((label) => !best.includes(label));
    return [1, 2, 3].map((key, at) => ({ key, label: best[at] })).filter((one) => one.label !== undefined)
      .concat(favourites.slice(0, 6).map((label, at) => ({ key: at + 4, label })));
  }

  function showLabels() {
    const ticked = cards().filter(isTicked).length;
    for (const place of document.querySelectorAll(".labels")) {
      place.replaceChildren(...choices().map(({ key, label }) => {
        const button = document.createElement("button");
        const hint = document.createElement("kbd");
        hint.textContent = String(key);
        button.type = "button";
        button.setAttribute("aria-keyshortcuts", String(key));
        button.append(hint, ` ${label}`);
        button.addEventListener("click", () => decide(label));
        return button;
      }));
    }
    const button = document.querySelector('[data-do="accept"]');
    const count = acceptable().length;
    button.hidden = grid.dataset.accepts !== "yes";
    button.disabled = count === 0;
    byId("accept-text").textContent =
      `Accept ${count} as ${grid.dataset.acceptName}` + (ticked ? `, without the ${ticked} ticked` : "");
  }

  const acceptable = () => cards().filter((card) => isOpen(card) && !isTicked(card) && !card.dataset.guarded);

  // Deciding ----------------------------------------------------------------------------------------------------------

  async function post(path, body) {
    const reviewer = byId("reviewer").value.trim() || settings.reviewer;
    const response = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...body, reviewer }),
    });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.detail || `the server answered ${response.status}`);
    return answer;
  }

  async function decide(label, some = targets(), onlyOpen = false) {
    const chosen = some.filter((card) => !card.classList.contains("pending"));
    if (!chosen.length) return announce("No photo to decide on.");
    const following = chosen.includes(current) ? nextOpen(current) : current;
    for (const card of chosen) card.classList.add("pending");
    try {
      const photos = chosen.map((card) => [Number(card.dataset.item), card.dataset.sha]);
      const answer = await post("/review/decisions", { photos, label, only_open: onlyOpen });
      for (const review of answer.reviews) own.add(review.id);
      for (const review of [...answer.reviews, ...answer.others]) mark(review);
      remember(answer.reviews.map((review) => review.id));
      for (const card of chosen) tick(card, false);
      const parts = [];
      if (answer.reviews.length === 1) parts.push(`${answer.reviews[0].path}: ${shownLabel(label)}.`);
      else if (answer.reviews.length) parts.push(`${answer.reviews.length} photos: ${shownLabel(label)}.`);
      for (const other of answer.others.slice(0, 3)) parts.push(`${other.path} stays ${shownLabel(other.label)}, by ${other.reviewer}.`);
      if (answer.unknown) parts.push(`${answer.unknown} not decided: they have changed since the page was made; reload it.`);
      showCounter(answer.counter);
      announce(`${parts.join(" ")} ${answer.counter.left_text}.`);
    } catch (error) {
      announce(`Not saved (${error.message}). Press the key again.`);
      return;
    } finally {
      for (const card of chosen) card.classList.remove("pending");
    }
    if (following && isOpen(following)) focusCard(following);
    else await goOn();
  }

  async function accept() {
    if (grid.dataset.accepts !== "yes") return announce("Photos of this group are decided one by one.");
    const some = acceptable();
    if (accepting || !some.length) return announce(some.length ? "One moment." : "No photo on this page can be accepted.");
    accepting = true;
    try {
      await decide(grid.dataset.accept, some, true);
    } finally {
      accepting = false;
    }
    return undefined;
  }

  // Show the decision that counts for the bytes of a photo on all of its cards.
  function mark(review) {
    for (const card of grid.querySelectorAll(`[data-sha="${CSS.escape(review.sha256)}"]`)) {
      const decided = review.label !== null;
      card.dataset.review = decided ? String(review.id) : "";
      card.classList.toggle("decided", decided);
      card.querySelector(".decision").textContent = decided ? `${shownLabel(review.label)} (${review.reviewer})` : "";
    }
    if (single.open && current && current.dataset.sha === review.sha256) showSingle(current);
    showLabels();
  }

  function remembered() {
    try { return JSON.parse(sessionStorage.getItem(undoKey) || "[]"); } catch { return []; }
  }

  function remember(reviews) {
    if (reviews.length) sessionStorage.setItem(undoKey, JSON.stringify([...remembered(), reviews].slice(-KEPT_UNDOS)));
  }

  async function undo() {
    const stack = remembered();
    const reviews = stack.pop();
    if (!reviews) return announce("Nothing to undo.");
    try {
      const answer = await post("/review/undo", { reviews });
      sessionStorage.setItem(undoKey, JSON.stringify(stack));
      for (const review of answer.reviews) own.add(review.id);
      for (const review of answer.now) mark(review);
      showCounter(answer.counter);
      const kept = answer.others.length ? ` ${answer.others.length} decided again since stay as they are.` : "";
      announce(`${answer.reviews.length} taken back.${kept} ${answer.counter.left_text}.`);
      const back = answer.now.map((review) => grid.querySelector(`[data-item="${review.item}"]`)).find(Boolean);
      if (back) focusCard(back);
      else if (answer.reviews.length) location.reload();
    } catch (error) {
      announce(`Not undone (${error.message}). Press the key again.`);
    }
    return undefined;
  }

  // Go on to photos that are open: on this page, the next page of the tag, the next tag.
  async function goOn() {
    const open = cards().find(isOpen);
    if (open && cards().filter(isOpen).length > cards().filter(isTicked).length) return focusCard(open);
    if (grid.dataset.more) {
      const query = new URLSearchParams(location.search);
      query.set("tag", grid.dataset.group);
      query.set("after", grid.dataset.more);
      const response = await fetch(`/review/cards?${query}`);
      if (response.ok) {
        for (const card of cards()) if (!isOpen(card)) card.remove();
        grid.dataset.more = response.headers.get("x-more") || "";
        grid.insertAdjacentHTML("beforeend", await response.text());
        return cards().length ? focusCard(cards().find(isOpen) || cards()[0]) : location.reload();
      }
    }
    if (open) return focusCard(open);
    const query = new URLSearchParams(location.search);
    query.delete("tag");
    if (grid.dataset.accepts === "yes" || query.get("show") === null) location.search = query.toString();
    return undefined;
  }

  function showCounter(counter) {
    const place = byId("counter");
    const strong = document.createElement("b");
    strong.textContent = counter.left_text;
    place.replaceChildren(strong, counter.minutes ? `, about ${counter.minutes}` : "");
    for (const link of document.querySelectorAll("[data-group]")) {
      const count = counter.groups && counter.groups[link.dataset.group];
      const text = link.querySelector && link.querySelector(".count");
      if (text && counter.groups) text.textContent = (count || 0).toLocaleString("en");
    }
  }

  // One photo ---------------------------------------------------------------------------------------------------------

  async function showSingle(card) {
    const response = await fetch(`/review/photo/${card.dataset.item}?fragment=1`);
    if (card !== current) return;
    byId("single-content").innerHTML = await response.text();
    const buttons = document.createElement("div");
    buttons.className = "toolbar";
    buttons.innerHTML = '<span class="labels"></span>';
    byId("single-content").prepend(buttons);
    for (const action of ["none", "other", "undo"]) buttons.append(document.querySelector(`footer [data-do="${action}"]`).cloneNode(true));
    showLabels();
    if (!single.open) { single.showModal(); byId("single-content").focus(); }
  }

  // Any other label ---------------------------------------------------------------------------------------------------

  let offered = [];
  let active = 0;

  function offer() {
    const text = byId("chooser-text").value.trim();
    const plain = (one) => one.toLocaleLowerCase();
    const known = [...new Set([...settings.labels, ...settings.favourites])];
    const starts = known.filter((label) => plain(label).startsWith(plain(text)));
    const holds = known.filter((label) => !starts.includes(label) && plain(label).includes(plain(text)));
    const isNew = text && !known.some((label) => plain(label) === plain(text));
    offered = [...starts, ...holds].map((label) => ({ label, text: label }));
    if (isNew) offered.push({ label: text, text: `${text} (a new label)` });
    active = 0;
    byId("chooser-list").replaceChildren(...offered.map((one, at) => {
      const item = document.createElement("li");
      item.id = `choice-${at}`;
      item.setAttribute("role", "option");
      item.textContent = one.text;
      item.addEventListener("click", () => { active = at; choose(); });
      return item;
    }));
    showActive();
  }

  function showActive() {
    [...byId("chooser-list").children].forEach((item, at) => item.setAttribute("aria-selected", String(at === active)));
    const item = byId(`choice-${active}`);
    if (item) item.scrollIntoView({ block: "nearest" });
    byId("chooser-text").setAttribute("aria-activedescendant", item ? item.id : "");
  }

  function choose() {
    const chosen = offered[active];
    if (!chosen) return;
    chooser.close();
    if (!settings.labels.includes(chosen.label) && !settings.favourites.includes(chosen.label)) settings.favourites.unshift(chosen.label);
    decide(chosen.label);
  }

  function openChooser() {
    if (!targets().length) return;
    byId("chooser-text").value = "";
    offer();
    chooser.showModal();
    byId("chooser-text").focus();
  }

  // Events ------------------------------------------------------------------------------------------------------------

  const actions = {
    none: () => decide(""),
    other: openChooser,
    undo,
    accept,
    choose,
    close: () => chooser.close(),
    previous: () => focusCard(neighbour("ArrowLeft")),
    next: () => focusCard(neighbour("ArrowRight")),
    "close-single": () => single.close(),
  };

  const keys = { x: "none", "/": "other", u: "undo" };

  function moveGroup(step) {
    const links = [...document.querySelectorAll(".groups a")];
    const at = links.findIndex((link) => link.hasAttribute("aria-current"));
    if (links[at + step]) location.href = links[at + step].href;
  }

  function onKey(event) {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || chooser.open || byId("help").open) return;
    if (target.matches("select, textarea") || (target.matches("input") && target.type !== "checkbox")) return;
    const onControl = target.matches("a, button, summary") && !target.closest(".card");
    const key = event.key;
    if (key.startsWith("Arrow") || key === "Home" || key === "End") {
      if (onControl && !single.open) return;
      event.preventDefault();
      const from = current;
      focusCard(neighbour(key));
      if (event.shiftKey && from && !single.open) tickRange(from, current);
      return;
    }
    if (event.repeat) return; // a key that is held down decides once
    if (/^[1-9]$/.test(key)) {
      const choice = choices().find((one) => one.key === Number(key));
      if (choice) decide(choice.label);
      else announce(`No label has the key ${key} here.`);
    } else if (keys[key]) actions[keys[key]]();
    else if (key === "Enter" && !onControl && !target.matches("a") && !single.open) accept();
    else if (key === " " && current && !onControl && !target.matches("input") && !single.open) {
      tick(current, !isTicked(current));
      anchor = current;
    } else if (key === "o" && current && !single.open) showSingle(current);
    else if (key === "n") moveGroup(1);
    else if (key === "p") moveGroup(-1);
    else if (key === "?") byId("help").showModal();
    else if (key === "Escape" && !single.open) for (const card of cards()) tick(card, false);
    else return;
    event.preventDefault();
  }

  document.addEventListener("keydown", onKey);

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button) { event.preventDefault(); actions[button.dataset.do](); }
  });

  grid.addEventListener("click", (event) => {
    const card = event.target.closest(".card");
    if (!card) return;
    if (event.target.matches("input")) {
      tick(card, event.target.checked);
      if (event.shiftKey && anchor) tickRange(anchor, card);
      anchor = card;
    } else if (event.shiftKey) {
      event.preventDefault();
      tickRange(anchor || current || card, card);
    } else if (event.target.closest(".open") && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      const again = card === current;
      focusCard(card, false);
      if (again) showSingle(card);
      return;
    }
    focusCard(card, false);
  });

  grid.addEventListener("dblclick", (event) => {
    const card = event.target.closest(".card");
    if (card) showSingle(card);
  });

  grid.addEventListener("focusin", (event) => {
    const card = event.target.closest(".card");
    if (card && card !== current) { if (current) setReachable(current, false); current = card; setReachable(card, true); showLabels(); }
  });

  byId("show-help").addEventListener("click", () => byId("help").showModal());
  byId("chooser-text").addEventListener("input", offer);
  chooser.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target === byId("chooser-text")) { event.preventDefault(); choose(); }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && offered.length) { event.preventDefault(); active = (active + step + offered.length) % offered.length; showActive(); }
  });
  single.addEventListener("close", () => { if (current) current.focus(); });

  const reviewer = byId("reviewer");
  reviewer.value = localStorage.getItem("fmtag-reviewer") || reviewer.value;
  reviewer.addEventListener("change", () => localStorage.setItem("fmtag-reviewer", reviewer.value.trim()));
  reviewer.form.addEventListener("submit", (event) => event.preventDefault());

  // What others decide meanwhile ----------------------------------------------------------------------------------------

  async function poll() {
    try {
      const response = await fetch(`/review/since?after=${last}`);
      if (!response.ok) return;
      const answer = await response.json();
      last = Math.max(last, answer.last);
      for (const review of answer.reviews) if (!own.has(review.id)) mark(review);
      if (answer.reviews.length) showCounter(answer.counter);
    } catch {
      // the server is gone for a moment; the next decision says so
    }
  }

  setInterval(poll, POLL_MS);
  if (cards().length) focusCard(cards().find(isOpen) || cards()[0], false);
})();
