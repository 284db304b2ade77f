/* The start: modules as boxes, time to the right, what a module asks for below it. */
const start = report.startup;
const ms = (time) => `${(time / 1000).toFixed(1)} ms`;
const row = 18;
/* One band of rows for each thread, below that of the phases. */
function bands(spans) {
  const tops = new Map();
  let top = 1.5;
  for (const thread of [...new Set(spans.map((span) => span.thread))].sort((a, b) => a - b)) {
    tops.set(thread, top);
    top += Math.max(...spans.filter((span) => span.thread === thread).map((span) => span.depth)) + 1.5;
  }
  return { tops, rows: top };
}
function asked(span) {
  return span.by ? `asked for by ${span.by}, line ${span.line}${span.function === "<module>" ? "" : `, in ${span.function}`}` : "asked for by the launcher";
}
function flame() {
  const phases = start.phases.map((phase, i) => ({ ...phase, start: start.phases[i - 1]?.end ?? 0 }));
  phases.push({ name: "the application", start: start.ready, end: start.end });
  const whole = { name: "the whole run", start: 0, end: start.end };
  const ready = { name: "until the first line of main", start: 0, end: start.ready };
  let view = ready;
  function draw() {
    const seen = start.spans.filter((span) => span.end >= view.start && span.start <= view.end);
    const { tops, rows } = bands(seen);
    const width = find("flame").getBoundingClientRect().width, height = rows * row;
    const scale = width / Math.max(view.end - view.start, 1);
    find("flame").style.height = `${height}px`;
    find("flame").setAttribute("viewBox", `0 0 ${width} ${height}`);
    const place = ({ start, end }, y) => {
      const x = Math.max((start - view.start) * scale, 0), to = Math.min((end - view.start) * scale, width);
      return { x, y, width: Math.max(to - x, 0), height: row - 1 };
    };
    const box = (span, y, name, says, fill) => {
      const at = place(span, y);
      if (at.width < 0.4) return [];
      const group = shape("g", { role: "button", tabindex: at.width > 20 ? 0 : -1, "aria-label": says },
        shape("rect", { ...at, rx: 2, fill }, shape("title", {}, says)));
      if (at.width > 24) group.append(shape("text", { x: at.x + 4, y: y + 13 }, fitted(name, at.width - 8)));
      group.addEventListener("click", () => show({ name, start: span.start, end: span.end }));
      group.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); show({ name, start: span.start, end: span.end }); } });
      return [group];
    };
    find("flame").replaceChildren(
      ...phases.flatMap((phase) => box(phase, 0, phase.name, `${phase.name}: ${ms(phase.end - phase.start)}, until ${ms(phase.end)}`, "var(--interpreter)")),
      ...seen.flatMap((span) => box(span, (tops.get(span.thread) + span.depth) * row, span.module,
        `${span.module}: ${ms(span.end - span.start)}, ${ms(span.own)} its own; ${asked(span)}`,
        `var(--${modules.get(span.module)?.origin ?? "interpreter"})`)),
    );
  }
  function show(next) {
    view = next.end > next.start ? next : view;
    find("range").replaceChildren(...[ready, whole].flatMap((range) => {
      if (range === view) return [`${range.name}, ${ms(range.end)}`, " · "];
      const button = element("button", {}, `${range.name}, ${ms(range.end)}`);
      button.addEventListener("click", () => show(range));
      return [button, " · "];
    }), view === ready || view === whole ? "Click on a box to look at its time only." : `${view.name}, ${ms(view.end - view.start)}`);
    draw();
  }
  find("flame").addEventListener("keydown", (event) => { if (event.key === "Escape") show(ready); });
  addEventListener("resize", draw);
  show(ready);
}
if (start) {
  find("start").hidden = false;
  flame();
  const loaded = new Map();
  for (const span of start.spans) {
    const found = loaded.get(span.module) ?? { ...span, own: 0, all: 0 };
    found.own += span.own;
    found.all += span.end - span.start;
    loaded.set(span.module, found);
  }
  const time = (name, key) => column(name, (row) => row[key], "number", (row) => ms(row[key]));
  table("imports", [field("module", "module", "name"), time("own time", "own"), time("with all inside", "all"),
    time("begun at", "start"), column("why then", asked, "prose")], [...loaded.values()], 1, true);
  find("tiles").append(element("div", { class: "tile" }, element("b", {}, ms(start.ready)), element("span", {}, "to the first line of main")));
} else find("imports").closest("section").hidden = true;
