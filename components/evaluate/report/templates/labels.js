// What the page is about, and what a person has decided: digest → {action, label, at}.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const items = data.items, decisions = new Map(), past = [];
const places = new Map(items.map((item, i) => [item.digest, i]));
let others = data.earlier;  // rows of the file that are of no photo here
let at = 0, filter = "all", unsaved = 0, stores = true, saved = "";
const KEY = `darkroom labels ${data.id}`, FILE = "corrections.csv";
const FILTERS = [["all", "All"], ["open", "Not decided"], ["doubted", "Doubted by probes"], ["mistaken", "Mistakes on test photos"],
  ["two labels", "One file, two classes"], ["alike", "Copies that contradict"]];

const make = (tag, text, name) => {
  const one = document.createElement(tag);
  if (text !== undefined) one.textContent = text;
  if (name) one.className = name;
  return one;
};
const percent = share => share < .01 ? "less than 1%" : share > .99 ? "more than 99%" : `${Math.round(100 * share)}%`;
const labelsOf = item => [...new Set(item.files.map(file => file[1]))];
const isShown = i => filter === "all" || (filter === "open" ? !decisions.has(items[i].digest) : items[i].why === filter);
const quote = name => `“${isolate(name)}”`;
const tell = words => { $("status").textContent = words; };
const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

// What is kept between visits; a browser may keep nothing for files, and then says so.
const store = () => {
  try {
    localStorage.setItem(KEY, JSON.stringify({decisions: [...decisions], others, unsaved}));
  } catch { stores = false; }
};
const restore = () => {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "null");
    if (!found) return;
    for (const [digest, one] of found.decisions) if (places.has(digest)) decisions.set(digest, one);
    others = found.others;
    unsaved = found.unsaved;
    if (decisions.size) tell(`${count(decisions.size, "decision")} of your last visit are still here.`);
  } catch { stores = false; }
};

const describe = item => {
  const [label] = labelsOf(item);
  const sure = item.sure === null ? "" : ` (${percent(item.sure)} sure)`;
  const own = item.own === null ? "" : ` Its own label, ${quote(label)}, gets ${percent(item.own)}.`;
  if (item.why === "two labels")
    return `The very same file is filed under ${labelsOf(item).map(quote).join(" and ")}: one of them is wrong.`;
  if (item.why === "alike") {
    const names = [...new Set(item.twins.map(twin => twin[1]))].map(quote).join(" and ");
    return `Another copy of this photo is filed under ${names}.${item.likely ? ` It is taken for ${quote(item.likely)}${sure}.` : ""}`;
  }
  const who = item.why === "doubted" ? "Probes that never saw this label take it" : "The model takes this test photo";
  return `${who} for ${quote(item.likely)}${sure}.${own}`;
};
const say = one => one.action === "keep" ? "kept" : one.action === "drop" ? "dropped" : `changed to ${quote(one.label)}`;
const suggestion = item => labelsOf(item).length === 1 && item.likely === labelsOf(item)[0] ? "" : item.likely;

const cells = items.map((item, i) => {
  const line = make("li"), button = make("button"), image = new Image();
  button.type = "button";
  image.alt = "";
  button.append(image);
  button.addEventListener("click", () => { go(i); $("photo").scrollIntoView({block: "center"}); });
  line.append(button);
  return line;
});
const mark = i => {
  const button = cells[i].firstChild, item = items[i], one = decisions.get(item.digest);
  button.querySelector(".mark")?.remove();
  button.classList.toggle("done", Boolean(one));
  if (one) {
    const sign = make("span", {keep: "✓", change: "→", drop: "×"}[one.action], `mark ${one.action}`);
    sign.ariaHidden = "true";
    button.append(sign);
  }
  button.setAttribute("aria-label", `Photo ${i + 1}, ${labelsOf(item).map(isolate).join(" and ")}${one ? `, ${say(one)}` : ""}`);
};

const showCounts = () => {
  const done = [...decisions.values()], of = action => done.filter(one => one.action === action).length;
  $("progress").max = Math.max(items.length, 1);
  $("progress").value = done.length;
  const state = unsaved ? `${count(unsaved, "change")} not saved` : saved || (done.length ? "all saved" : "");
  $("counts").textContent = `${done.length} of ${count(items.length, "photo")}: ${of("change")} changed, ${of("drop")} dropped, `
    + `${of("keep")} kept${state ? ` · ${state}` : ""}`;
  $("undo").disabled = !past.length;
  $("save").disabled = !done.length && !others.length;
  for (const button of $("filters").children) {
    const name = button.dataset.filter;
    const number = items.filter((item, i) => name === "all" || (name === "open" ? !decisions.has(item.digest) : item.why === name)).length;
    button.textContent = `${button.dataset.words} ${number}`;
    button.setAttribute("aria-pressed", String(name === filter));
    button.hidden = !number && name !== filter && name !== "open";
  }
};

const show = () => {
  const item = items[at];
  if (!item) return;
  const labels = labelsOf(item), one = decisions.get(item.digest), likely = suggestion(item);
  $("picture").src = item.picture;
  $("picture").alt = `Photo filed under ${labels.map(isolate).join(" and ")}`;
  $("place").textContent = `Photo ${at + 1} of ${items.length} · ${item.split || "in no split"}`;
  $("title").replaceChildren(make("span", labels.map(isolate).join(" / ")), ...(likely ? [" → ", make("em", `${isolate(likely)}?`)] : []));
  $("why").textContent = describe(item);
  $("files").replaceChildren(...[...item.files, ...item.twins.map(([path, label]) => [`copy: ${path}`, label])].slice(0, 12)
    .map(([path, label]) => { const line = make("li"); line.append(make("b", isolate(label)), ` · ${isolate(path)}`); return line; }));
  $("keep").disabled = labels.length > 1;
  $("keep").lastElementChild.textContent = labels.length > 1 ? "Keep: choose which class is right" : `Keep ${quote(labels[0])}`;
  $("accept").hidden = !likely;
  $("accept").lastElementChild.textContent = `It is ${quote(likely)}`;
  $("keep").setAttribute("aria-pressed", String(one?.action === "keep"));
  $("drop").setAttribute("aria-pressed", String(one?.action === "drop"));
  for (const button of $("choices").children)
    button.setAttribute("aria-pressed", String(one?.action === "change" && one.label === button.dataset.name));
  $("accept").setAttribute("aria-pressed", String(Boolean(likely) && one?.action === "change" && one.label === likely));
  $("stamp").hidden = !one;
  $("stamp").className = `stamp ${one?.action ?? ""}`;
  $("stamp").textContent = one ? say(one) : "";
  document.querySelector("[aria-current]")?.removeAttribute("aria-current");
  cells[at].firstChild.setAttribute("aria-current", "true");
};

const go = i => {
  at = Math.max(0, Math.min(items.length - 1, i));
  show();
};
const step = way => {
  for (let i = at + way; i >= 0 && i < items.length; i += way) if (isShown(i)) return go(i);
};
const advance = () => {
  for (let i = at + 1; i < items.length; i++) if (isShown(i) && !decisions.has(items[i].digest)) return go(i);
  for (let i = 0; i < at; i++) if (isShown(i) && !decisions.has(items[i].digest)) return go(i);
  show();
  tell(filter === "all" || filter === "open" ? "Every photo is decided. Save the file." : "Every photo of this kind is decided.");
};
const changed = i => {
  unsaved += 1;
  saved = "";
  mark(i);
  store();
  showCounts();
};
const decide = (action, label = "") => {
  const item = items[at];
  if (!item) return;
  const labels = labelsOf(item);
  if (labels.length > 1 && action === "keep") return tell("This file is filed under two classes: choose the right one.");
  if (labels.length === 1 && action === "change" && label === labels[0]) action = "keep";
  past.push([at, decisions.get(item.digest)]);
  const one = {action, label: action === "change" ? label : "", at: new Date().toISOString().slice(0, 19) + "Z"};
  decisions.set(item.digest, one);
  tell(`Photo ${at + 1}: ${say(one)}.${stores ? "" : " This browser keeps nothing for local files: save before you close it."}`);
  changed(at);
  advance();
};
const undo = () => {
  if (!past.length) return tell("Nothing to undo.");
  const [i, before] = past.pop();
  if (before) decisions.set(items[i].digest, before); else decisions.delete(items[i].digest);
  tell(`Photo ${i + 1}: undone.`);
  changed(i);
  go(i);
};

const listRows = () => items.flatMap(item => {
  const one = decisions.get(item.digest);
  if (!one) return [];
  const first = new Map(item.files.map(([path, label]) => [label, path]).reverse());
  return [...first].reverse().map(([label, path]) => {
    const action = one.action === "change" && one.label === label ? "keep" : one.action;
    return [item.digest, path, label, action, action === "change" ? one.label : "", one.at];
  });
}).concat(others);
const save = () => {
  const rows = listRows();
  if (!rows.length) return tell("Nothing is decided yet.");
  const link = make("a"), address = URL.createObjectURL(new Blob([write([COLUMNS, ...rows])], {type: "text/csv"}));
  link.href = address;
  link.download = FILE;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
  unsaved = 0;
  const done = [...decisions.values()], of = action => done.filter(one => one.action === action).length;
  saved = `saved at ${new Date().toTimeString().slice(0, 5)}`;
  tell(`Saved ${FILE} among your downloads: ${of("change")} changed, ${of("drop")} dropped, ${of("keep")} kept`
    + `${others.length ? `, and ${count(others.length, "row")} of before` : ""}. Put it into the project and name it in data.corrections.`);
  store();
  showCounts();
};

const load = text => {
  const [head = [], ...rows] = parse(text.replace(/^\ufeff/, "")), names = head.map(name => name.trim());
  if (!["sha256", "label", "action"].every(name => names.includes(name)))
    return tell(`That file is no ${FILE}: its first line must name ${COLUMNS.join(", ")}.`);
  const kept = new Map(others.map(row => [`${row[0]} ${row[2]}`, row]));
  let taken = 0, aside = 0;
  for (const row of rows) {
    const [digest, path, label, action, next, time] = COLUMNS.map(name => row[names.indexOf(name)] ?? "");
    const item = items[places.get(digest)];
    if (!/^[0-9a-f]{64}$/.test(digest) || !["keep", "change", "drop"].includes(action)) { aside += 1; continue; }
    if (!item) { kept.set(`${digest} ${label}`, [digest, path, label, action, next, time]); continue; }
    const labels = labelsOf(item), wanted = action === "change" ? next : label;
    if (action !== "drop" && !data.classes.includes(wanted) || !labels.includes(label) && !labels.includes(wanted)) { aside += 1; continue; }
    const done = action === "drop" ? "drop" : labels.length === 1 && wanted === labels[0] ? "keep" : "change";
    decisions.set(digest, {action: done, label: done === "change" ? wanted : "", at: time});
    mark(places.get(digest));
    taken += 1;
  }
  const more = kept.size - others.length;
  others = [...kept.values()];
  past.length = 0;
  tell(`${count(taken, "row")} of that file are taken over`
    + `${more ? `; ${count(more, "row")} of photos that are not on this page stay in the file` : ""}`
    + `${aside ? `; ${count(aside, "row")} fit no photo or class any more and are left aside` : ""}.`);
  store();
  showCounts();
  show();
};

// The search for a class by a part of its name.
let found = [], marked = 0;
const look = () => {
  const part = $("name").value.trim().toLowerCase(), starts = name => name.toLowerCase().startsWith(part);
  found = data.classes.filter(name => name.toLowerCase().includes(part)).sort((a, b) => starts(b) - starts(a)).slice(0, 50);
  marked = 0;
  $("names").replaceChildren(...found.map((name, i) => {
    const line = make("li", isolate(name));
    line.id = `name-${i}`;
    line.role = "option";
    line.addEventListener("click", () => pick(i));
    return line;
  }));
  point(0);
};
const point = i => {
  marked = Math.max(0, Math.min(found.length - 1, i));
  [...$("names").children].forEach((line, j) => line.setAttribute("aria-selected", String(j === marked)));
  $("name").setAttribute("aria-activedescendant", found.length ? `name-${marked}` : "");
  $("names").children[marked]?.scrollIntoView({block: "nearest"});
};
const pick = i => {
  if (found[i] === undefined) return;
  $("name").blur();  // at once, not with the next frame: a key may come before
  $("search").close();
  decide("change", found[i]);
};
const search = () => {
  $("name").value = "";
  look();
  $("search").showModal();
  $("name").focus();
};
$("name").addEventListener("input", look);
$("name").addEventListener("keydown", event => {
  const way = {ArrowDown: 1, ArrowUp: -1}[event.key];
  if (way) point(marked + way);
  else if (event.key === "Enter") pick(marked);
  else return;
  event.preventDefault();
  event.stopPropagation();  // the dialog may be closed by now, and Enter would keep the next photo
});
$("search").addEventListener("click", event => { if (event.target === $("search")) $("search").close(); });

const accept = () => suggestion(items[at]) ? decide("change", suggestion(items[at])) : tell("Nobody says what it is: choose a class.");
const ACTS = {keep: () => decide("keep"), accept, drop: () => decide("drop"), undo, save, other: search, back: () => step(-1), next: () => step(1)};
for (const [id, act] of Object.entries(ACTS)) $(id).addEventListener("click", act);
// A click leaves no focus behind, so that Enter then means the photo and not the button again.
addEventListener("pointerup", () => setTimeout(() => { if (document.activeElement?.tagName === "BUTTON") document.activeElement.blur(); }));
const BY_KEY = {Enter: "keep", " ": "accept", d: "drop", u: "undo", s: "save", c: "other", "/": "other", k: "back", j: "next",
  ArrowLeft: "back", ArrowUp: "back", ArrowRight: "next", ArrowDown: "next"};
addEventListener("keydown", event => {
  const focus = document.activeElement;
  if (event.ctrlKey || event.metaKey || event.altKey || $("search").open || focus?.matches("input, select, textarea")) return;
  if ((event.key === "Enter" || event.key === " ") && focus?.matches("button, summary, a")) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key, keyed = data.keys.find(([key]) => key === name);
  if (!items.length && name !== "s") return;
  if (keyed) decide("change", keyed[1]);
  else if (Object.hasOwn(BY_KEY, name)) ACTS[BY_KEY[name]]();
  else return;
  event.preventDefault();
});
$("load").addEventListener("change", async event => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) load(await file.text());
});
addEventListener("beforeunload", event => { if (unsaved && !stores) event.preventDefault(); });

$("choices").replaceChildren(...data.keys.map(([key, name]) => {
  const button = make("button");
  button.type = "button";
  button.dataset.name = name;
  button.append(make("kbd", key), ` ${isolate(name)}`);
  button.addEventListener("click", () => decide("change", name));
  return button;
}));
$("filters").replaceChildren(...FILTERS.map(([name, words]) => {
  const button = make("button");
  button.type = "button";
  Object.assign(button.dataset, {filter: name, words});
  button.addEventListener("click", () => {
    filter = name;
    cells.forEach((cell, i) => { cell.hidden = !isShown(i); });
    if (!isShown(at)) { const first = items.findIndex((_, i) => isShown(i)); if (first >= 0) go(first); }
    showCounts();
  });
  return button;
}));
restore();
if (items.length) {
  $("work").hidden = $("contact").hidden = false;
  items.forEach((_, i) => mark(i));
  // A photo of the sheet is decoded when it comes near the window.
  const near = new IntersectionObserver(seen => {
    for (const {isIntersecting, target} of seen) if (isIntersecting) {
      target.firstChild.firstChild.src = items[cells.indexOf(target)].picture;
      near.unobserve(target);
    }
  }, {rootMargin: "400px"});
  $("sheet").replaceChildren(...cells);
  cells.forEach(cell => near.observe(cell));
  const first = items.findIndex(item => !decisions.has(item.digest));
  go(first < 0 ? 0 : first);
}
showCounts();
