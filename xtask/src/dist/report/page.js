"use strict";
const report = JSON.parse(document.getElementById("report").textContent);
const find = (id) => document.getElementById(id);
const sum = (list) => list.reduce((total, item) => total + item.bytes, 0);
const size = (n) => n < 1024 ? `${n} B` : n < 1048524 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / 1048576).toFixed(1)} MiB`;
const kinds = {
  application: "application", dependency: "dependencies", stdlib: "Python's library",
  runtime: "Pyrmware's runtime", interpreter: "interpreter and launcher",
};

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/* Everything that takes space, by package. */
const owner = (item) => item.distribution ?? { application: report.app, stdlib: "Python's library", runtime: "pyrmware" }[item.origin];
const files = [...report.resources, ...report.libraries];
const modules = new Map(report.modules.kept.map((module) => [module.name, module]));

function packages() {
  const groups = new Map();
  const add = (name, kind, item) => {
    if (!groups.has(name)) groups.set(name, { name, kind, items: [] });
    groups.get(name).items.push(item);
  };
  for (const item of [...report.modules.kept, ...files]) add(owner(item), item.origin, item);
  // The payload has more than its files, so that all numbers add up to the launcher's.
  let rest = report.bytes.payload - sum([...report.modules.kept, ...files]);
  for (const [path, bytes] of Object.entries(report.sidecars)) {
    if (path.startsWith("libpython")) add(kinds.interpreter, "interpreter", { path, bytes });
    else rest += bytes;
  }
  add(kinds.interpreter, "interpreter", { path: "program", bytes: report.bytes.launcher - report.bytes.payload });
  add("pyrmware", "runtime", { path: "index and alignment", bytes: Math.max(rest, 0) });
  return [...groups.values()].map((group) => ({ ...group, bytes: sum(group.items) })).sort((a, b) => b.bytes - a.bytes);
}
const groups = packages();
const total = sum(groups);

/* A package as a tree of its names; a module and the folder of its data are one node. */
function tree({ name, kind, items }) {
  const root = { name, full: name, kind, own: 0, bytes: 0, parts: new Map() };
  for (const item of items) {
    const names = item.path ? item.path.split("/") : item.name.split(".");
    let node = root;
    names.forEach((part, depth) => {
      node.bytes += item.bytes;
      if (!node.parts.has(part)) {
        const full = names.slice(0, depth + 1).join(item.path ? "/" : ".");
        node.parts.set(part, { name: part, full, kind, own: 0, bytes: 0, parts: new Map() });
      }
      node = node.parts.get(part);
    });
    node.bytes += item.bytes;
    node.own += item.bytes;
  }
  settle(root);
  // A distribution is mostly its package of the same name: one level is enough for both.
  const main = root.parts[0];
  if (kind !== "stdlib" && main?.parts.length && main.bytes * 2 > root.bytes) {
    root.parts = [...main.parts, ...root.parts.slice(1)].sort((a, b) => b.bytes - a.bytes);
  }
  return root;
}
function settle(node) {
  const parts = [...node.parts.values()];
  parts.forEach(settle);
  if (parts.length && node.own) parts.push({ name: "__init__", full: node.full, kind: node.kind, bytes: node.own, parts: [] });
  node.parts = parts.filter((part) => part.bytes > 0).sort((a, b) => b.bytes - a.bytes);
}

/* Squarified treemap: rows along the shorter side, as long as they get squarer. */
function layout(parts, x, y, width, height) {
  const placed = [], scale = (width * height) / sum(parts);
  let rest = parts;
  while (rest.length) {
    const side = Math.min(width, height);
    let count = 0, area = 0, worst = Infinity;
    for (const part of rest) {
      const next = area + part.bytes * scale, thick = next / side;
      // The first of a row is its largest, this one its smallest: the least square are among them.
      const ratio = Math.max(...[rest[0], part].map((one) => { const long = (one.bytes * scale) / thick; return Math.max(long / thick, thick / long); }));
      if (ratio > worst) break;
      count += 1; area = next; worst = ratio;
    }
    const thick = area / side;
    let at = 0;
    for (const part of rest.slice(0, count)) {
      const long = (part.bytes * scale) / thick;
      placed.push(width >= height ? { part, x, y: y + at, w: thick, h: long } : { part, x: x + at, y, w: long, h: thick });
      at += long;
    }
    if (width >= height) { x += thick; width -= thick; } else { y += thick; height -= thick; }
    rest = rest.slice(count);
  }
  return placed;
}

const pen = document.createElement("canvas").getContext("2d");
function fitted(text, room, bold) {
  pen.font = `${bold ? "600 " : ""}12px system-ui, sans-serif`;
  const fits = (text) => pen.measureText(text).width <= room;
  if (fits(text)) return text;
  while (text.length > 2 && !fits(`${text}…`)) text = text.slice(0, -1);
  return text.length > 2 ? `${text}…` : "";
}
function shape(name, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
const says = (part) => `${part.full}: ${size(part.bytes)}, ${((part.bytes / total) * 100).toFixed(1)} %`;
const gap = (w) => Math.min(1, w / 4);
function box({ part, x, y, w, h }, attributes) {
  const rect = { x: x + gap(w), y: y + gap(h), width: w - 2 * gap(w), height: h - 2 * gap(h), ...attributes };
  return shape("rect", rect, shape("title", {}, says(part)));
}
/* Name and size: in one line where there is room, else in two, else the name. */
function label({ part, x, y, w, h }, lines, bold) {
  const room = w - 12, amount = size(part.bytes);
  const line = (text, at) => shape("text", { x: x + 6, y: y + 15 + at * 15, ...(bold && !at && { class: "strong" }) }, text);
  if (h < 20) return [];
  const both = `${part.name}  ${amount}`;
  if (lines === 1 || h < 36) return [line(fitted(both, room, bold) === both ? both : fitted(part.name, room, bold), 0)];
  return [line(fitted(part.name, room, bold), 0), line(fitted(amount, room) === amount ? amount : "", 1)];
}

const everything = { name: "all packages", parts: groups.map(tree) };
let way = [everything];
function draw() {
  const { width, height } = find("map").getBoundingClientRect();
  find("map").setAttribute("viewBox", `0 0 ${width} ${height}`);
  find("map").replaceChildren(...layout(way.at(-1).parts, 0, 0, width, height).map((place) => {
    const { part, x, y, w, h } = place;
    const inside = part.parts.length > 1 && w > 40 && h > 44;
    const group = shape("g", {}, box(place, { rx: 4, fill: `var(--${part.kind})` }));
    for (const inner of inside ? layout(part.parts, x + 4, y + 22, w - 8, h - 26) : []) {
      if (inner.w > 1.5 && inner.h > 1.5) group.append(box(inner, { class: "part", rx: 2 }), ...label(inner, 2));
    }
    group.append(...label(place, inside ? 1 : 2, true));
    if (part.parts.length > 1) {
      for (const [key, value] of Object.entries({ role: "button", tabindex: 0, "aria-label": says(part) })) group.setAttribute(key, value);
      group.addEventListener("click", () => show([...way, part]));
      group.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); show([...way, part]); } });
    }
    return group;
  }));
}
function show(next) {
  way = next;
  find("crumbs").replaceChildren(...way.flatMap((part, depth) => {
    if (depth === way.length - 1) return [way.length === 1 ? "Click on a box to look inside." : `${part.name}, ${size(part.bytes)}`];
    const button = element("button", {}, part.name);
    button.addEventListener("click", () => show(way.slice(0, depth + 1)));
    return [button, " › "];
  }));
  find("crumbs").querySelector("button:last-of-type")?.focus();
  draw();
}
find("map").addEventListener("keydown", (event) => { if (event.key === "Escape" && way.length > 1) show(way.slice(0, -1)); });

/* A table that sorts by the column clicked and shows rows that have the filter's words. */
const tables = [];
function table(id, columns, data, sorted = 0, descending = false) {
  const node = find(id), section = node.closest("section"), head = element("tr"), body = element("tbody");
  section.hidden = data.length === 0;
  const rows = data.map((row) => ({
    text: columns.map((column) => column.value(row)).join(" ").toLowerCase(),
    values: columns.map((column) => column.value(row)),
    node: element("tr", {}, ...columns.map((column) => element("td", { class: column.style ?? "" }, (column.show ?? column.value)(row)))),
  }));
  const count = element("small");
  section.querySelector("h2").append(count);
  const filter = (words) => {
    for (const row of rows) row.node.hidden = !words.every((word) => row.text.includes(word));
    const shown = rows.filter((row) => !row.node.hidden).length;
    node.parentElement.hidden = shown === 0;
    count.textContent = shown === rows.length ? rows.length : `${shown} of ${rows.length}`;
  };
  const sort = () => {
    const order = ({ values: { [sorted]: a } }, { values: { [sorted]: b } }) => (a < b ? -1 : a > b ? 1 : 0) * (descending ? -1 : 1);
    body.append(...rows.sort(order).map((row) => row.node));
    [...head.children].forEach((cell, i) => cell.setAttribute("aria-sort", i !== sorted ? "none" : descending ? "descending" : "ascending"));
  };
  columns.forEach((column, i) => {
    const button = element("button", {}, column.name);
    button.addEventListener("click", () => { descending = sorted === i ? !descending : column.style === "number"; sorted = i; sort(); });
    head.append(element("th", { class: column.style === "number" ? "number" : "" }, button));
  });
  node.append(element("thead", {}, head), body);
  sort();
  filter([]);
  if (section.compareDocumentPosition(find("filter")) & Node.DOCUMENT_POSITION_PRECEDING) tables.push(filter);
}
find("filter").addEventListener("input", () => {
  const words = find("filter").value.toLowerCase().split(/\s+/);
  for (const filter of tables) filter(words);
});

const column = (name, value, style, show) => ({ name, value, style, show });
const field = (name, key, style) => column(name, (row) => row[key] ?? "", style);
const bytes = column("size", (row) => row.bytes, "number", (row) => size(row.bytes));
const from = column("from", owner);

/* A reason that opens to the whole way from where the program starts. */
function reason(module) {
  if (!module.importer) return module.reason;
  const node = element("details", {}, element("summary", {}, module.reason));
  node.addEventListener("toggle", () => {
    const list = element("ol");
    for (let at = modules.get(module.importer); at; at = modules.get(at.importer)) list.append(element("li", {}, `${at.name}: ${at.reason}`));
    node.replaceChildren(node.firstChild, list);
  }, { once: true });
  return node;
}
function many(names) {
  if (names.length < 4) return names.join(", ");
  return element("details", {}, element("summary", {}, `${names.length} files`), names.join(", "));
}

find("title").textContent = document.title = `${report.app} ${report.version}`;
find("description").textContent = report.description;
find("about").textContent = [
  `starts ${report.entry}`, `CPython ${report.python}, linked ${report.link}`, `${report.target} (device ${report.device})`,
].join(" · ") + `\nSHA-256 ${report.sha256}`;
const seconds = report.stages.reduce((time, stage) => time + stage.seconds, 0);
const beside = Object.values(report.sidecars);
for (const [value, label] of [
  [size(report.bytes.launcher), "launcher"], [size(report.bytes.payload), "payload in it"],
  ...(beside.length ? [[size(beside.reduce((a, b) => a + b)), `${beside.length} files beside it`]] : []),
  [report.modules.kept.length, "modules in"], [report.modules.dropped.length, "modules left out"],
  [report.extensions.length, "extension modules"], [`${seconds.toFixed(1)} s`, "built in"],
]) find("tiles").append(element("div", { class: "tile" }, element("b", {}, value), element("span", {}, label)));
for (const id of ["warnings", "notes"]) {
  find(id).hidden = report[id].length === 0;
  find(id).querySelector("ul").append(...report[id].map((text) => element("li", {}, text)));
}
for (const [kind, label] of Object.entries(kinds)) {
  if (groups.some((group) => group.kind === kind)) find("legend").append(element("span", {}, element("i", { style: `background: var(--${kind})` }), label));
}

const versions = Object.fromEntries(report.distributions.map((found) => [found.name.toLowerCase().replace(/[-_.]+/g, "-"), found.version]));
const version = (row) => versions[row.name] ?? { application: report.version, stdlib: report.python }[row.kind] ?? "";
table("packages", [
  field("package", "name", "name"), column("version", version), column("files", (row) => row.items.length, "number"), bytes,
  column("share", (row) => row.bytes, "number", (row) => `${((row.bytes / total) * 100).toFixed(1)} %`),
], groups, 3, true);
const system = Object.entries(report.system_libraries).map(([name, users]) => ({ name, users }));
table("system", [field("library", "name", "name"), column("needed by", (row) => row.users.join(" "), "prose", (row) => many(row.users))], system);
const longest = Math.max(...report.stages.map((stage) => stage.seconds), 0.001);
for (const stage of report.stages) {
  find("stages").append(element("div", { class: "stage" }, element("span", {}, stage.name),
    element("div", { style: `width: ${(stage.seconds / longest) * 100}%` }), element("span", { class: "number" }, `${stage.seconds.toFixed(2)} s`)));
}
table("modules", [field("module", "name", "name"), from, field("kind", "kind"), bytes, column("why it is in", (row) => row.reason, "prose", reason)], report.modules.kept, 3, true);
table("dropped", [field("module", "name", "name"), field("why it is out", "reason", "prose")], report.modules.dropped);
table("files", [field("file", "path", "name"), from, bytes], files, 2, true);
const imports = (found, list) => Object.entries(found).map(([name, what]) => ({ name, what: what.join(", "), origin: modules.get(name)?.origin })).filter(list);
const open = (sites) => sites.filter((site) => !site.answered).map((site) => `${site.function || "module"} (line ${site.line})`);
const dynamic = Object.fromEntries(Object.entries(report.dynamic_imports).map(([name, sites]) => [name, open(sites)]));
table("dynamic", [field("module", "name", "name"), field("places", "what", "prose")], imports(dynamic, ({ what }) => what));
table("missing", [field("module", "name", "name"), field("imports", "what", "prose")],
  imports(report.missing_imports, ({ origin }) => origin === "application" || origin === "dependency"));
addEventListener("resize", draw);
show(way);
