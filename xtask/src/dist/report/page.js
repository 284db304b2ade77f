"use strict";
const report = JSON.parse(document.getElementById("report").textContent);
const find = (id) => document.getElementById(id);
const size = (n) => n < 1024 ? `${n} B` : n < 1048576 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / 1048576).toFixed(2)} MiB`;
const sum = (list) => list.reduce((total, item) => total + item.bytes, 0);
const kinds = {
  application: "the application", dependency: "dependencies", stdlib: "Python's standard library",
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
const files = [...report.resources, ...report.libraries].map((file) => ({ ...file, name: file.path }));
function packages() {
  const groups = new Map();
  for (const item of [...report.modules.kept, ...files]) {
    const name = owner(item);
    if (!groups.has(name)) groups.set(name, { name, kind: item.origin, items: [] });
    groups.get(name).items.push(item);
  }
  const program = [{ name: "program", bytes: report.bytes.launcher - report.bytes.payload }];
  for (const [name, bytes] of Object.entries(report.sidecars)) {
    if (name.startsWith("libpython")) program.push({ name, bytes });
  }
  groups.set("", { name: "interpreter and launcher", kind: "interpreter", items: program });
  return [...groups.values()].map((group) => ({ ...group, bytes: sum(group.items) })).sort((a, b) => b.bytes - a.bytes);
}
const groups = packages();

/* Squarified treemap: rows along the shorter side, as long as they get squarer. */
function layout(items, x, y, width, height) {
  const total = sum(items), placed = [];
  if (!total || width <= 0 || height <= 0) return placed;
  const scale = (width * height) / total;
  let rest = items.filter((item) => item.bytes > 0);
  while (rest.length) {
    const side = Math.min(width, height);
    let row = [], area = 0, worst = Infinity;
    for (const item of rest) {
      const next = area + item.bytes * scale, thick = next / side;
      const ratios = [...row, item].map((one) => { const long = (one.bytes * scale) / thick; return Math.max(long / thick, thick / long); });
      const ratio = Math.max(...ratios);
      if (ratio > worst) break;
      row.push(item); area = next; worst = ratio;
    }
    const thick = area / side;
    let at = 0;
    for (const item of row) {
      const long = (item.bytes * scale) / thick;
      placed.push(width >= height ? { item, x, y: y + at, w: thick, h: long } : { item, x: x + at, y, w: long, h: thick });
      at += long;
    }
    if (width >= height) { x += thick; width -= thick; } else { y += thick; height -= thick; }
    rest = rest.slice(row.length);
  }
  return placed;
}

let opened = null;
function draw() {
  const svg = find("map"), svgNode = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
  const { width, height } = svg.getBoundingClientRect();
  const items = opened ? [...opened.items].sort((a, b) => b.bytes - a.bytes) : groups;
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  for (const { item, x, y, w, h } of layout(items, 0, 0, width, height)) {
    const group = svgNode("g"), box = svgNode("rect"), title = svgNode("title");
    for (const [key, value] of Object.entries({ x, y, width: w, height: h })) box.setAttribute(key, value);
    box.style.fill = `var(--${opened ? opened.kind : item.kind})`;
    title.textContent = `${item.name}: ${size(item.bytes)}`;
    group.append(box, title);
    const room = Math.floor((w - 12) / 7.2);
    for (const [line, text] of [item.name, size(item.bytes)].entries()) {
      if (h < 20 + line * 16 || (line ? text.length > room : room < 4)) continue;
      const label = svgNode("text");
      label.setAttribute("x", x + 7);
      label.setAttribute("y", y + 17 + line * 16);
      label.textContent = text.length > room ? text.slice(0, room - 1) + "…" : text;
      group.append(label);
    }
    if (!opened && item.items.length > 1) {
      group.classList.add("open");
      group.addEventListener("click", () => show(item));
    }
    svg.append(group);
  }
}
function show(group) {
  opened = group;
  find("back").hidden = !group;
  find("back").textContent = group ? `← all packages (this is ${group.name})` : "";
  draw();
}

/* A table that sorts by the column clicked and shows rows that have the filter's words. */
function table(id, columns, rows, sorted = 0, descending = false) {
  const node = find(id), head = element("tr"), body = element("tbody");
  let words = [];
  const fill = () => {
    const { value } = columns[sorted];
    const order = (a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * (descending ? -1 : 1);
    const text = (row) => columns.map((column) => column.value(row)).join(" ").toLowerCase();
    const shown = [...rows].sort(order).filter((row) => words.every((word) => text(row).includes(word)));
    body.replaceChildren(...shown.map((row) => element("tr", {}, ...columns.map((column) =>
      element("td", column.number ? { class: "number" } : {}, String((column.show ?? column.value)(row)))))));
    [...head.children].forEach((cell, i) => cell.setAttribute("aria-sort", i !== sorted ? "none" : descending ? "descending" : "ascending"));
  };
  columns.forEach((column, i) => {
    const cell = element("th", column.number ? { class: "number" } : {}, column.name);
    cell.addEventListener("click", () => { descending = sorted === i ? !descending : Boolean(column.number); sorted = i; fill(); });
    head.append(cell);
  });
  const filter = document.querySelector(`[data-filter=${id}]`);
  filter?.addEventListener("input", () => { words = filter.value.toLowerCase().split(/\s+/); fill(); });
  node.append(element("thead", {}, head), body);
  fill();
}

const text = (name, key) => ({ name, value: (row) => row[key] ?? "" });
const number = (name, key, show) => ({ name, value: (row) => row[key], show: show && ((row) => show(row[key])), number: true });
const bytes = number("size", "bytes", size);
const from = { name: "from", value: owner };

find("title").textContent = document.title = `${report.app} ${report.version}`;
find("about").textContent = `${report.description ? report.description + ". " : ""}${report.target} (device ${report.device}), CPython ${report.python} linked ${report.link}, starts ${report.entry}, SHA-256 ${report.sha256}`;
const seconds = report.stages.reduce((total, stage) => total + stage.seconds, 0);
for (const [value, label] of [
  [size(report.bytes.launcher), "launcher"], [size(report.bytes.payload), "payload in it"],
  [report.modules.kept.length, "modules in"], [report.modules.dropped.length, "modules left out"],
  [report.extensions.length, "extension modules"], [`${seconds.toFixed(1)} s`, "built in"],
]) find("tiles").append(element("div", { class: "tile" }, element("b", {}, String(value)), element("span", {}, label)));
for (const warning of report.warnings) {
  find("warnings").hidden = false;
  find("warnings").lastElementChild.append(element("li", {}, warning));
}
for (const [kind, label] of Object.entries(kinds)) {
  if (groups.some((group) => group.kind === kind)) find("legend").append(element("span", {}, element("i", { style: `background: var(--${kind})` }), label));
}
const versions = Object.fromEntries(report.distributions.map((found) => [found.name.toLowerCase().replace(/[-_.]+/g, "-"), found.version]));
table("packages", [text("package", "name"), { name: "version", value: (row) => versions[row.name] ?? { application: report.version, stdlib: report.python }[row.kind] ?? "" },
  { name: "files", value: (row) => row.items.length, number: true }, bytes,
  { name: "share", value: (row) => row.bytes, show: (row) => `${((row.bytes / sum(groups)) * 100).toFixed(1)} %`, number: true }], groups, 3, true);
const longest = Math.max(...report.stages.map((stage) => stage.seconds), 0.001);
for (const stage of report.stages) {
  find("stages").append(element("div", { class: "stage" }, element("span", {}, stage.name),
    element("div", { style: `width: ${(stage.seconds / longest) * 100}%` }), element("span", {}, `${stage.seconds.toFixed(2)} s`)));
}
table("modules", [text("module", "name"), from, text("kind", "kind"), bytes, text("why it is in", "reason")], report.modules.kept, 3, true);
table("files", [text("file", "path"), from, bytes], files, 2, true);
table("dropped", [text("module", "name"), text("why it is out", "reason")], report.modules.dropped);
table("dynamic", [text("module", "name"), text("lines", "lines")],
  Object.entries(report.dynamic_imports).map(([name, lines]) => ({ name, lines: lines.join(", ") })));
find("back").addEventListener("click", () => show(null));
addEventListener("resize", draw);
draw();
