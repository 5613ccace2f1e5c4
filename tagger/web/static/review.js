"use strict";
// The review page: moving, ticking and deciding by keyboard, mouse and touch. All HTML comes from the server; what is set here is
// text. A decision is shown as made only once the server has it on disk.
(() => {
  const POLL_MS = 3000;
  const KEPT_UNDOS = 200;
  const FAVOURITES = 6; // of the keys 4 to 9
  const byId = (id) => document.getElementById(id);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const grid = byId("grid");
  const single = byId("single");
  const chooser = byId("chooser");
  const help = byId("help");
  const settings = JSON.parse(grid.dataset.settings);
  const own = new Set();
  let last = Number(grid.dataset.last);
  let current = null;
  let awaited = null; // the newest request of the single view, until it is answered
  let dialogs = 0; // that are open, or whose event "close" is yet to come: the browser gives the focus back before it
  let anchor = null;
  let accepting = false;
  let waiting = 0; // requests that are not answered yet
  let leaving = false;
  let queue = Promise.resolve(); // they are sent one after another, in the order of the keys

  const cards = () => all(".card", grid);
  const isOpen = (card) => !card.dataset.review && !card.classList.contains("pending");
  const isTicked = (card) => card.classList.contains("ticked");
  const nameOf = (card) => card.querySelector(".path").textContent;
  const shownLabel = (label) => (label === "" ? "none of the labels" : label);
  const accepts = grid.dataset.accepts === "yes";

  // What a tab keeps while it goes from one tag to another -----------------------------------------------------------------

  const kept = (name, otherwise) => {
    try { return JSON.parse(sessionStorage.getItem(`fmtag-${name}-${settings.ledger}`)) || otherwise; } catch { return otherwise; }
  };
  const keep = (name, value) => sessionStorage.setItem(`fmtag-${name}-${settings.ledger}`, JSON.stringify(value));

  // The keys of favourites stay what they are while others become more frequent.
  const favourites = [...new Set([...kept("favourites", []), ...settings.favourites])].slice(0, FAVOURITES);
  keep("favourites", favourites);

  function announce(text) {
    for (const place of all(".status")) place.textContent = text;
  }

  function goTo(address, text) {
    keep("announced", text);
    leaving = true;
    location.assign(address);
  }

  function address(tag) {
    const query = new URLSearchParams(location.search);
    query.delete("tag");
    if (tag !== undefined) query.set("tag", tag);
    return `/review?${query}`;
  }

  // Moving and ticking -----------------------------------------------------------------------------------------------------

  // Only the focused card can be reached with Tab: 60 photos are one stop.
  function focusCard(card, scroll = true) {
    if (!card) return;
    if (current) current.tabIndex = -1;
    current = card;
    card.tabIndex = 0;
    card.focus({ preventScroll: !scroll });
    showLabels();
    if (single.open) showSingle(card);
  }

  function tick(card, on) {
    card.classList.toggle("ticked", on);
    card.setAttribute("aria-selected", String(on));
    card.querySelector("input").checked = on;
  }

  function tickRange(from, to) {
    const shown = cards();
    const [first, end] = [shown.indexOf(from), shown.indexOf(to)].sort((a, b) => a - b);
    for (const card of shown.slice(Math.max(first, 0), end + 1)) tick(card, true);
    showLabels();
  }

  function neighbour(key) {
    const shown = cards();
    const at = shown.indexOf(current);
    if (at < 0 || key === "Home") return shown[0];
    if (key === "End") return shown[shown.length - 1];
    const inRow = Math.max(1, shown.filter((card) => card.offsetTop === shown[0].offsetTop).length);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -inRow, ArrowDown: inRow }[key];
    const below = key === "ArrowDown" && Math.floor(at / inRow) < Math.floor((shown.length - 1) / inRow);
    return shown[at + step] || (below ? shown[shown.length - 1] : current);
  }

  function nextOpen(from) {
    const shown = cards();
    const at = shown.indexOf(from);
    return [...shown.slice(at + 1), ...shown.slice(0, at + 1)].find((card) => isOpen(card) && !isTicked(card));
  }

  // What can be decided ----------------------------------------------------------------------------------------------------

  const targets = () => {
    const ticked = single.open ? [] : cards().filter(isTicked);
    return ticked.length ? ticked : current ? [current] : [];
  };

  function choices() {
    if (!current) return [];
    const best = JSON.parse(current.dataset.best).slice(0, 3);
    return [...best.map((label, at) => ({ key: at + 1, label })), ...favourites.map((label, at) => ({ key: at + 4, label }))];
  }

  function labelButton({ key, label }) {
    const button = document.createElement("button");
    const hint = document.createElement("kbd");
    const name = document.createElement("bdi");
    hint.textContent = String(key);
    name.textContent = label;
    button.type = "button";
    button.setAttribute("aria-keyshortcuts", String(key));
    button.append(hint, " ", name);
    button.addEventListener("click", () => decide(label));
    return button;
  }

  function showLabels() {
    const shown = choices().filter((one, at, every) => every.findIndex((other) => other.label === one.label) === at);
    const state = JSON.stringify(shown);
    for (const place of all(".labels")) {
      if (place.dataset.shown === state) continue;
      const focused = [...place.children].indexOf(document.activeElement);
      place.dataset.shown = state;
      place.replaceChildren(...shown.map(labelButton));
      if (focused >= 0) place.children[Math.min(focused, place.children.length - 1)]?.focus();
    }
    const ticked = cards().filter(isTicked).length;
    const button = document.querySelector('[data-do="accept"]');
    const count = acceptable().length;
    button.hidden = !accepts;
    button.disabled = count === 0;
    const [long, note] = [document.createElement("span"), ticked ? `, without the ${ticked} ticked` : ""];
    long.className = "long";
    long.textContent = ` as ${grid.dataset.acceptName}${note}`;
    byId("accept-text").replaceChildren(`Accept ${count}`, long);
    for (const action of ["none", "other", "open", "skip"]) for (const one of all(`[data-do="${action}"]`)) one.disabled = !current;
  }

  const acceptable = () => cards().filter((card) => isOpen(card) && !isTicked(card) && !card.dataset.guarded);

  // Deciding ---------------------------------------------------------------------------------------------------------------

  async function request(path, body) {
    const text = JSON.stringify({ ...body, reviewer: byId("reviewer").value.trim() || settings.reviewer });
    const response = await fetch(`${path}${location.search}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: text,
      keepalive: text.length < 60_000, // so that it arrives although the page is left; browsers allow 64 KiB
    });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.detail || `the server answered ${response.status}`);
    return answer;
  }

  // Do one thing after another: the next key may come before the server has answered the last one.
  function inTurn(work) {
    waiting += 1;
    queue = queue.then(work).finally(() => { waiting -= 1; });
    return queue;
  }

  function decide(label, some = targets(), onlyOpen = false) {
    const chosen = some.filter((card) => !card.classList.contains("pending"));
    if (!chosen.length) return announce("No photo to decide on.");
    const ticked = chosen.filter(isTicked);
    for (const card of chosen) {
      card.classList.add("pending");
      card.classList.remove("failed");
      tick(card, false);
    }
    const following = chosen.includes(current) ? nextOpen(current) : current;
    const moved = following && isOpen(following) && !isTicked(following);
    if (moved) focusCard(following);
    else showLabels();
    return inTurn(async () => {
      const photos = chosen.map((card) => [Number(card.dataset.item), card.dataset.sha]);
      try {
        const answer = await request("/review/decisions", { photos, label, only_open: onlyOpen });
        for (const card of chosen) card.classList.remove("pending");
        showDecided(answer, label);
      } catch (error) {
        for (const card of chosen) card.classList.replace("pending", "failed");
        for (const card of ticked) tick(card, true);
        for (const card of chosen) if (!card.dataset.review) card.querySelector(".decision").textContent = "Not saved";
        announce(`Not saved (${error.message}). Press the key again.`);
        focusCard(chosen[0]);
        return;
      }
      const left = cards().filter((card) => !card.dataset.review && !isTicked(card));
      if (!left.length || (!moved && left.every(isOpen))) await goOn();
    });
  }

  function showDecided(answer, label) {
    for (const review of answer.reviews) own.add(review.id);
    for (const review of [...answer.reviews, ...answer.others]) mark(review);
    const made = answer.reviews.map((review) => review.id);
    if (made.length) keep("undo", [...kept("undo", []), { reviews: made, tag: grid.dataset.group }].slice(-KEPT_UNDOS));
    const parts = [];
    if (made.length === 1) parts.push(`${answer.reviews[0].path}: ${shownLabel(label)}.`);
    else if (made.length) parts.push(`${made.length} photos: ${shownLabel(label)}.`);
    for (const other of (answer.replaced || []).slice(0, 3)) {
      if (other.label !== null) parts.push(`Replaces ${shownLabel(other.label)} by ${other.reviewer}.`);
    }
    for (const other of answer.others.slice(0, 3)) parts.push(`${other.path} stays ${shownLabel(other.label)}, by ${other.reviewer}.`);
    if (answer.others.length > 3) parts.push(`${answer.others.length - 3} more stay as others decided.`);
    if (answer.unknown) parts.push(`${answer.unknown} not decided, as they have changed meanwhile; reload the page.`);
    showCounter(answer.counter);
    announce(`${parts.join(" ")} ${answer.counter.left_text}.`);
  }

  async function accept() {
    if (!accepts) return announce("Photos of this group are decided one by one.");
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
    for (const card of all(`[data-sha="${CSS.escape(review.sha256)}"]`, grid)) {
      const decided = review.label !== null;
      card.dataset.review = decided ? String(review.id) : "";
      card.classList.toggle("decided", decided);
      card.classList.remove("failed");
      card.querySelector(".decision").textContent = decided ? `${shownLabel(review.label)} (${review.reviewer})` : "";
      if (decided) tick(card, false);
    }
    const opening = awaited?.card === current && !awaited.within;
    if (current && current.dataset.sha === review.sha256 && (single.open || opening)) showSingle(current);
    showLabels();
  }

  const undo = () => inTurn(async () => {
    const stack = kept("undo", []);
    const entry = stack.pop();
    if (!entry) return announce("Nothing to undo.");
    try {
      const answer = await request("/review/undo", { reviews: entry.reviews });
      keep("undo", stack);
      for (const review of answer.reviews) own.add(review.id);
      for (const review of answer.now) mark(review);
      showCounter(answer.counter);
      const stay = answer.others.length ? ` ${answer.others.length} decided again since, which stays.` : "";
      const text = `${answer.reviews.length} taken back.${stay} ${answer.counter.left_text}.`;
      announce(text);
      const back = answer.now.map((review) => grid.querySelector(`[data-item="${review.item}"]`)).find(Boolean);
      if (back) focusCard(back);
      else if (answer.reviews.length && waiting === 1) goTo(address(entry.tag), text);
    } catch (error) {
      announce(`Not undone (${error.message}). Press the key again.`);
    }
    return undefined;
  });

  // Go on to photos that are open: on this page, the next page of the tag, the next tag.
  async function goOn() {
    const open = cards().find((card) => isOpen(card) && !isTicked(card));
    if (open) return focusCard(open);
    const before = byId("status-footer").textContent;
    if (grid.dataset.more) return showNextCards((card) => !isOpen(card));
    if (cards().some(isOpen)) return focusCard(cards().find(isOpen));
    if (new URLSearchParams(location.search).get("show") !== "decided") goTo(address(), before);
    return undefined;
  }

  // Append the next cards of the tag in place of those that `leave` selects.
  async function showNextCards(leave) {
    const query = new URLSearchParams(location.search);
    query.set("tag", grid.dataset.group);
    query.set("after", grid.dataset.more);
    const response = await fetch(`/review/cards?${query}`).catch(() => null);
    if (!response || !response.ok) return announce("The next photos cannot be read. Reload the page.");
    const html = await response.text();
    for (const card of cards()) if (leave(card)) card.remove();
    if (!current?.isConnected) current = null;
    grid.dataset.more = response.headers.get("x-more") || "";
    grid.insertAdjacentHTML("beforeend", html);
    if (!cards().length) return goTo(address(), byId("status-footer").textContent);
    return focusCard(cards().find(isOpen) || cards()[0]);
  }

  function skip() {
    if (!grid.dataset.more) return announce("These are the last photos of this tag.");
    return inTurn(async () => {
      await showNextCards(() => true);
      scrollTo(0, 0);
    });
  }

  function showCounter(counter) {
    const strong = document.createElement("b");
    strong.textContent = counter.left_text;
    byId("counter").replaceChildren(strong, counter.minutes ? `, about ${counter.minutes}` : "");
    if ((new URLSearchParams(location.search).get("show") || "open") !== "open") return;
    for (const place of [...all(".groups [data-group]"), ...all("#heading[data-group]")]) {
      place.querySelector(".count").textContent = (counter.groups[place.dataset.group] || 0).toLocaleString("en");
    }
  }

  // One photo --------------------------------------------------------------------------------------------------------------

  async function showSingle(card) {
    const wanted = { card, within: single.open };
    awaited = wanted;
    const response = await fetch(`/review/photo/${card.dataset.item}?fragment=1`).catch(() => null);
    const html = response && response.ok ? await response.text().catch(() => null) : null;
    if (wanted !== awaited) return undefined; // a later request knows what was decided meanwhile
    awaited = null;
    if (card !== current || (wanted.within && !single.open)) return undefined; // the view was closed meanwhile
    if (html === null) return announce("The photo cannot be shown, as the server does not answer. Try again.");
    const content = byId("single-content");
    const focused = content.contains(document.activeElement);
    content.innerHTML = html;
    if (!single.open) {
      single.querySelector(".status").textContent = "";
      openDialog(single);
      content.focus({ preventScroll: true });
    }
    if (focused) content.focus({ preventScroll: true });
    return undefined;
  }

  function step(key) {
    const card = neighbour(key);
    if (card === current) return announce(key === "ArrowLeft" ? "This is the first photo." : "This is the last photo of the page.");
    focusCard(card);
    return announce(`${cards().indexOf(card) + 1} of ${cards().length}: ${nameOf(card)}.`);
  }

  function openDialog(dialog) {
    dialog.showModal();
    dialogs += 1;
  }

  // Any other label --------------------------------------------------------------------------------------------------------

  let choosing = []; // the photos that the label is for
  let offered = [];
  let active = -1;

  function offer() {
    const text = byId("chooser-text").value.trim();
    const plain = (one) => one.toLocaleLowerCase();
    const known = [...new Set([...settings.labels, ...favourites, ...settings.favourites])];
    const starts = known.filter((label) => plain(label).startsWith(plain(text)));
    const holds = known.filter((label) => !starts.includes(label) && plain(label).includes(plain(text)));
    offered = [...starts, ...holds].map((label) => ({ label, text: label }));
    if (text && !known.some((label) => plain(label) === plain(text))) offered.push({ label: text, text: `${text} (a new label)` });
    active = text ? 0 : -1; // Enter without a text decides nothing
    byId("chooser-list").replaceChildren(...offered.map((one, at) => {
      const item = document.createElement("li");
      item.id = `choice-${at}`;
      item.dir = "auto";
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
    document.querySelector('[data-do="choose"]').disabled = !item;
  }

  function choose() {
    const chosen = offered[active];
    if (!chosen) return;
    chooser.close();
    if (!settings.labels.includes(chosen.label) && !favourites.includes(chosen.label)) {
      favourites.splice(FAVOURITES - 1, 1, chosen.label); // onto the next free key, or the last one
      keep("favourites", favourites);
    }
    decide(chosen.label, choosing);
  }

  function openChooser() {
    choosing = targets();
    if (!choosing.length) return;
    byId("chooser-title").textContent = choosing.length === 1 ? `Label of ${nameOf(choosing[0])}` : `Label of ${choosing.length} photos`;
    byId("chooser-text").value = "";
    offer();
    openDialog(chooser);
    byId("chooser-text").focus();
  }

  // Events -----------------------------------------------------------------------------------------------------------------

  const actions = {
    none: () => decide(""),
    other: openChooser,
    undo,
    accept,
    skip,
    choose,
    open: () => current && showSingle(current),
    close: () => chooser.close(),
    help: () => openDialog(help),
    previous: () => step("ArrowLeft"),
    next: () => step("ArrowRight"),
    "close-single": () => single.close(),
  };

  const keys = { x: "none", "/": "other", u: "undo", "?": "help" };
  const gridKeys = { o: "open", s: "skip" };

  function moveGroup(by) {
    const links = all(".groups a");
    const to = links[links.findIndex((link) => link.hasAttribute("aria-current")) + by];
    if (to) queue.then(() => { location.href = to.href; });
    else announce(by > 0 ? "This is the last tag." : "This is the first tag.");
  }

  function onKey(event) {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || chooser.open || help.open) return;
    if (target.matches("select, textarea") || (target.matches("input") && target.type !== "checkbox")) return;
    const onControl = target.matches("a, button, summary") && !target.closest(".card");
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key.startsWith("Arrow") || key === "Home" || key === "End") {
      if (target.closest(".facts") && key !== "ArrowLeft" && key !== "ArrowRight") return; // they scroll
      if ((onControl && !single.open) || !current) return;
      event.preventDefault();
      const from = current;
      if (single.open) step(key);
      else focusCard(neighbour(key));
      if (event.shiftKey && !single.open) tickRange(from, current);
      return;
    }
    if (event.repeat && (!onControl || key === "Enter")) { event.preventDefault(); return; } // a key held down acts once
    if (/^[1-9]$/.test(key)) {
      const choice = choices().find((one) => one.key === Number(key));
      if (choice) decide(choice.label);
      else announce(`No label has the key ${key} here.`);
    } else if (keys[key]) actions[keys[key]]();
    else if (single.open) return;
    else if (gridKeys[key]) actions[gridKeys[key]]();
    else if (key === "Enter" && !onControl && !target.matches("a")) accept();
    else if (key === " " && current && !onControl && !target.matches("input")) {
      tick(current, !isTicked(current));
      anchor = current;
      showLabels();
    } else if (key === "n") moveGroup(1);
    else if (key === "p") moveGroup(-1);
    else if (key === "Escape") { for (const card of cards()) tick(card, false); showLabels(); }
    else return;
    event.preventDefault();
  }

  document.addEventListener("keydown", onKey);

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button) { event.preventDefault(); actions[button.dataset.do](); }
  });

  let touched = null; // the focused card before a click, which moves the focus before it is told
  grid.addEventListener("pointerdown", () => { touched = current; }, true);

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
      const again = card === touched;
      focusCard(card, false);
      if (again) showSingle(card);
      return;
    }
    focusCard(card, false);
  });

  grid.addEventListener("focusin", (event) => {
    const card = event.target.closest(".card");
    if (card && card !== current && !dialogs) { if (current) current.tabIndex = -1; current = card; card.tabIndex = 0; showLabels(); }
  });

  byId("chooser-text").addEventListener("input", offer);
  chooser.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target === byId("chooser-text")) { event.preventDefault(); if (!event.repeat) choose(); }
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by || !offered.length) return;
    event.preventDefault();
    active = active < 0 ? (by > 0 ? 0 : offered.length - 1) : (active + by + offered.length) % offered.length;
    showActive();
  });
  // The browser gives the focus back to what a dialog was opened from: to a button, or to a card that may be decided by now.
  for (const dialog of [single, chooser, help]) {
    dialog.addEventListener("close", () => {
      dialogs -= 1;
      if (!dialogs && (dialog === single || grid.contains(document.activeElement))) focusCard(current);
    });
  }

  const reviewer = byId("reviewer");
  reviewer.value = localStorage.getItem("fmtag-reviewer") || reviewer.value;
  reviewer.addEventListener("change", () => localStorage.setItem("fmtag-reviewer", reviewer.value.trim()));
  reviewer.form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("beforeunload", (event) => { if (waiting && !leaving) event.preventDefault(); });

  // What others decide meanwhile -------------------------------------------------------------------------------------------

  async function poll() {
    try {
      const query = new URLSearchParams(location.search);
      query.set("after", String(last));
      const response = await fetch(`/review/since?${query}`);
      if (!response.ok) return;
      const answer = await response.json();
      last = Math.max(last, answer.last);
      const others = answer.reviews.filter((review) => !own.has(review.id));
      for (const review of others) mark(review);
      if (answer.reviews.length) showCounter(answer.counter);
    } catch {
      // the server is gone for a moment; the next decision says so
    }
  }

  setInterval(poll, POLL_MS);
  if (cards().length) focusCard(cards().find(isOpen) || cards()[0], false);
  else showLabels();
  const announced = kept("announced", "");
  keep("announced", "");
  if (announced) setTimeout(() => announce(announced), 150); // a text that is there from the beginning is not read out
})();
