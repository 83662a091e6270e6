"use strict";
// Shows what /dashboard/data and /metrics tell, every few seconds. All text goes in as text.

const EVERY_MS = 5000;
const HEAPS_MAX = 7;
// Told apart by people who see colours differently (Okabe and Ito).
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b8a900", "#888888"];
const DECIMALS = 18;
const ONE = 10n ** BigInt(DECIMALS);

const wish = { span: "24h", by: "route", worth: null };
let told = null;
let metrics = [];
let plot = null;

const at = (id) => document.getElementById(id);

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

// Money

/** Dollars of atomic units, times 10^18; nothing where the decimals are not known. */
function scaled(units, money) {
  if (money.decimals === null) return null;
  const more = DECIMALS - money.decimals;
  return more >= 0 ? BigInt(units) * 10n ** BigInt(more) : BigInt(units) / 10n ** BigInt(-more);
}

function dollars(value) {
  const whole = (value / ONE).toLocaleString("en-US");
  const digits = (value % ONE).toString().padStart(DECIMALS, "0");
  const wanted = value >= 1000n * ONE ? 2 : Math.max(2, digits.slice(0, 6).replace(/0+$/, "").length);
  return `$${whole}.${digits.slice(0, wanted)}`;
}

const price = (units, money) => {
  const value = scaled(units, money);
  return value === null ? `${units} units` : dollars(value);
};

const forChart = (value) => Number(value / 10n ** 12n) / 1e6;

// Tables

function table(where, heads, rows, empty) {
  const [head, body] = [where.querySelector("thead"), where.querySelector("tbody")];
  const row = element("tr");
  for (const [text, kind] of heads) {
    const cell = element("th", text, kind);
    cell.scope = "col";
    row.append(cell);
  }
  head.replaceChildren(row);
  body.replaceChildren(...rows.map((cells) => {
    const line = element("tr");
    cells.forEach((cell, place) => {
      const made = cell instanceof Node ? cell : document.createTextNode(cell.text ?? cell);
      const td = element("td", undefined, [heads[place][1], cell.kind].filter(Boolean).join(" "));
      td.append(made);
      line.append(td);
    });
    return line;
  }));
  if (rows.length === 0) {
    const [line, cell] = [element("tr"), element("td", empty, "none")];
    cell.colSpan = heads.length;
    line.append(cell);
    body.append(line);
  }
}

const short = (text) => (text.length > 14 ? `${text.slice(0, 6)}…${text.slice(-4)}` : text);

function coded(text) {
  const made = element("code", short(text));
  made.title = text;
  return made;
}

function transaction(payment, money) {
  if (!payment.transaction) return payment.reason ?? "–";
  const shown = coded(payment.transaction);
  if (!money.explorer || !/^https?:/.test(money.explorer)) return shown;
  const link = element("a");
  link.href = money.explorer + encodeURIComponent(payment.transaction);
  link.rel = "noreferrer noopener";
  link.target = "_blank";
  link.append(shown);
  return link;
}

function moment(ms) {
  const day = new Date(ms);
  const near = told.now - ms < 20 * 3600 * 1000;
  const time = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  const date = { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
  const made = element("time", day.toLocaleString([], near ? time : date));
  made.dateTime = day.toISOString();
  made.title = day.toISOString();
  return made;
}

const BAD = ["unknown", "refused"];
const PAYMENT = [["claimed"], ["state"], ["amount", "number"], ["route"], ["network"], ["payer"],
  ["transaction or reason"], ["facilitator"], ["exchange"]];

function payment(entry) {
  const money = told.monies[entry.money];
  const kind = BAD.includes(entry.state) ? "bad" : "";
  return [moment(entry.claimed), { text: entry.state, kind }, price(entry.units, money), entry.route,
    money.name, coded(entry.payer), transaction(entry, money), entry.facilitator,
    coded(entry.exchange)];
}

// Metrics, in the text format of Prometheus

function read(text) {
  const found = [];
  for (const line of text.split("\n")) {
    const parts = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!parts) continue;
    const labels = {};
    for (const [, name, value] of (parts[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name] = value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
    }
    found.push({ name: parts[1], labels, value: Number(parts[3]) });
  }
  return found;
}

const all = (name) => metrics.filter((one) => one.name === `tollgate_${name}`);
const total = (name, fits = () => true) =>
  all(name).filter((one) => fits(one.labels)).reduce((sum, one) => sum + one.value, 0);

/** Within which time so large a part of a stage's runs was over: the end of a bucket. */
function within(stage, part) {
  const buckets = all("stage_seconds_bucket").filter((one) => one.labels.stage === stage);
  const runs = buckets.find((one) => one.labels.le === "+Inf")?.value ?? 0;
  if (runs === 0) return "–";
  const end = buckets.find((one) => one.value >= runs * part).labels.le;
  if (end === "+Inf") return "longer";
  return Number(end) < 1 ? `≤ ${Number(end) * 1000} ms` : `≤ ${end} s`;
}

function showMetrics() {
  const outcomes = new Map();
  for (const { labels, value } of all("exchanges_total")) {
    outcomes.set(labels.outcome, (outcomes.get(labels.outcome) ?? 0) + value);
  }
  const sorted = [...outcomes].sort((a, b) => b[1] - a[1]);
  table(at("outcomes"), [["outcome"], ["exchanges", "number"]],
    sorted.map(([name, count]) => [name, count.toLocaleString("en-US")]), "none yet");

  const rows = ["verify", "upstream", "settle"].map((stage) => {
    const runs = total("stage_seconds_count", (labels) => labels.stage === stage);
    return [stage, runs.toLocaleString("en-US"), ...[0.5, 0.95, 0.99].map((part) => within(stage, part))];
  });
  table(at("stages"), [["stage"], ["runs", "number"], ["half", "number"], ["95 %", "number"],
    ["99 %", "number"]], rows, "");

  const health = [];
  const say = (kind, name, good, text) =>
    health.push([kind, name, { text, kind: good ? "" : "bad" }]);
  for (const { labels, value } of all("upstream_up")) {
    say("upstream", labels.upstream, value === 1, value === 1 ? "has an address" : "no address");
  }
  for (const { labels, value } of all("facilitator_circuit")) {
    const words = ["asked", "tried again", "not asked"];
    say("facilitator", `${labels.facilitator}, ${labels.question}`, value === 0, words[value] ?? "?");
  }
  for (const { labels, value } of all("chain_nodes")) {
    if (labels.state === "down" && value === 0) continue;
    say("nodes", labels.facilitator, labels.state === "up", `${value} ${labels.state}`);
  }
  for (const { labels, value } of all("signer_balance_gwei")) {
    const gwei = value.toLocaleString("en-US");
    say("signer", `${labels.facilitator} ${short(labels.signer)}`, value > 0, `${gwei} · 10⁻⁹`);
  }
  const stale = total("configuration_stale") > 0;
  say("configuration", "last reload", !stale, stale ? "refused: an older one is served" : "good");
  const lost = total("log_lines_dropped_total");
  if (lost > 0) say("log", "lines lost", false, lost.toLocaleString("en-US"));
  table(at("health"), [["what"], ["which"], ["how"]], health, "");
}

// Totals and the chart

const isWished = (money) => (wish.worth === "real") === money.real;

function heaps() {
  const steps = [];
  const last = told.now - (told.now % told.step);
  for (let moment = told.since; moment <= last; moment += told.step) steps.push(moment);
  const place = new Map(steps.map((moment, index) => [moment, index]));
  const found = new Map();
  for (const point of told.sums) {
    const money = told.monies[point.money];
    const value = scaled(point.units, money);
    if (!isWished(money) || value === null || !place.has(point.at)) continue;
    const name = wish.by === "route" ? point.route : money.name;
    const heap = found.get(name) ?? { name, total: 0n, payments: 0, values: steps.map(() => 0n) };
    heap.total += value;
    heap.payments += point.payments;
    heap.values[place.get(point.at)] += value;
    found.set(name, heap);
  }
  const sorted = [...found.values()].sort((a, b) => (b.total > a.total ? 1 : -1));
  const rest = sorted.splice(HEAPS_MAX);
  if (rest.length > 0) {
    const sum = (values) => values.reduce((a, b) => a + b, 0n);
    sorted.push({
      name: `${rest.length} others`,
      total: sum(rest.map((heap) => heap.total)),
      payments: rest.reduce((count, heap) => count + heap.payments, 0),
      values: steps.map((_, index) => sum(rest.map((heap) => heap.values[index]))),
    });
  }
  return { steps, heaps: sorted };
}

function tile(value, name) {
  const made = element("div", undefined, "tile");
  made.append(element("b", value), element("span", name));
  return made;
}

function showTiles(shown) {
  const money = shown.reduce((sum, heap) => sum + heap.total, 0n);
  const payments = shown.reduce((sum, heap) => sum + heap.payments, 0);
  const asked = total("exchanges_total", (labels) => labels.outcome === "payment_required");
  const paid = total("exchanges_total", (labels) => ["paid", "at_risk"].includes(labels.outcome));
  const part = asked > 0 ? `${Math.min(100, (paid / asked) * 100).toFixed(0)} %` : "–";
  const kind = wish.worth === "real" ? "" : " (test money)";
  at("tiles").replaceChildren(
    tile(dollars(money), `settled in ${wish.span}${kind}`),
    tile(payments.toLocaleString("en-US"), `payments in ${wish.span}`),
    tile(total("exchanges_running").toLocaleString("en-US"), "exchanges running"),
    tile(part, "paid of those asked to"),
    tile(told.unresolved.length.toLocaleString("en-US"), "payments unresolved"),
  );
}

function stepName(ms) {
  const day = new Date(ms);
  if (told.step >= 24 * 3600 * 1000) {
    return day.toLocaleDateString([], { month: "short", day: "numeric", timeZone: "UTC" });
  }
  const time = { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return day.toLocaleString([], time);
}

function swatch(colour) {
  const space = "http://www.w3.org/2000/svg";
  const [svg, square] = [document.createElementNS(space, "svg"), document.createElementNS(space, "rect")];
  svg.setAttribute("viewBox", "0 0 1 1");
  svg.setAttribute("aria-hidden", "true");
  for (const [name, value] of [["width", "1"], ["height", "1"], ["fill", colour]]) {
    square.setAttribute(name, value);
  }
  svg.append(square);
  return svg;
}

function showChart({ steps, heaps: shown }) {
  const box = at("chart");
  plot?.destroy();
  plot = null;
  const ink = getComputedStyle(document.body).color;
  const faint = matchMedia("(prefers-color-scheme: dark)").matches ? "#ffffff22" : "#00000018";
  // Stacked: each series is the sum of its own and all below, the highest drawn first.
  const stack = steps.map(() => 0n);
  const series = shown.map((heap, index) => {
    heap.values.forEach((value, step) => (stack[step] += value));
    const colour = COLOURS[index % COLOURS.length];
    return { heap, colour, values: stack.map(forChart) };
  });
  const drawn = [...series].reverse();
  const bars = uPlot.paths.bars({ size: [0.75, 48] });
  const under = (index) => {
    if (index === null || index === undefined) return "";
    const parts = series.filter(({ heap }) => heap.values[index] > 0n)
      .map(({ heap }) => `${heap.name} ${dollars(heap.values[index])}`);
    return `${stepName(steps[index])}: ${parts.join(", ") || "nothing"}`;
  };
  const axis = { stroke: ink, grid: { stroke: faint, width: 1 }, ticks: { stroke: faint, width: 1 } };
  plot = new uPlot({
    width: Math.max(200, box.clientWidth),
    height: 240,
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: { x: { time: false, range: [-0.6, steps.length - 0.4] },
      y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
    axes: [
      { ...axis, grid: { show: false }, space: 70,
        splits: (self) => every(steps.length, Math.max(1, Math.floor(self.width / 110))),
        values: (_, places) => places.map((place) => (steps[place] ? stepName(steps[place]) : "")) },
      { ...axis, size: 64, values: (_, values) => values.map((value) => `$${+value.toFixed(6)}`) },
    ],
    series: [{}, ...drawn.map(({ colour }) => ({ fill: colour, stroke: colour, width: 0, paths: bars,
      points: { show: false } }))],
    hooks: { setCursor: [(self) => { at("under").textContent = under(self.cursor.idx); }] },
  }, [steps.map((_, index) => index), ...drawn.map(({ values }) => values)], box);
  at("legend").replaceChildren(...series.map(({ heap, colour }) => {
    const line = element("li");
    const count = heap.payments.toLocaleString("en-US");
    line.append(swatch(colour), `${heap.name}: ${dollars(heap.total)} in ${count}`);
    return line;
  }));
  if (shown.length === 0) at("legend").append(element("li", "Nothing was settled in this time."));
}

/** So many places out of a row, evenly. */
function every(length, wanted) {
  const step = Math.max(1, Math.ceil(length / wanted));
  return Array.from({ length: Math.ceil(length / step) }, (_, index) => index * step);
}

// All of it

function press(group, name) {
  for (const button of at(group).querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset[name] === wish[name]));
  }
}

function show() {
  if (!told) return;
  const kinds = new Set(told.monies.map((money) => (money.real ? "real" : "test")));
  if (!kinds.has(wish.worth)) wish.worth = kinds.has("real") ? "real" : "test";
  at("worths").hidden = kinds.size < 2;
  press("spans", "span");
  press("groups", "by");
  press("worths", "worth");
  const state = at("state");
  state.textContent = told.ready ? "ready" : "not ready";
  state.className = `pill ${told.ready ? "good" : "bad"}`;
  at("read").textContent = `at ${new Date(told.now).toLocaleTimeString()}`;
  at("troubles").hidden = told.troubles.length === 0;
  at("troubles").replaceChildren(...told.troubles.map((text) => element("li", text)));
  at("doubt").hidden = told.unresolved.length === 0;
  table(at("doubt"), PAYMENT, told.unresolved.map(payment), "");
  table(at("recent"), PAYMENT, told.recent.map(payment), "no payment yet");
  const found = heaps();
  showMetrics();
  showTiles(found.heaps);
  showChart(found);
}

async function ask() {
  const get = async (path) => {
    const answer = await fetch(path, { cache: "no-store" });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer;
  };
  try {
    const [data, text] = await Promise.all([
      get(`/dashboard/data?span=${wish.span}`).then((answer) => answer.json()),
      get("/metrics").then((answer) => answer.text()),
    ]);
    told = data;
    metrics = read(text);
    show();
  } catch (error) {
    at("state").textContent = `no answer (${error.message})`;
    at("state").className = "pill bad";
  }
}

for (const [group, name] of [["spans", "span"], ["groups", "by"], ["worths", "worth"]]) {
  at(group).addEventListener("click", (event) => {
    const value = event.target.dataset?.[name];
    if (!value) return;
    wish[name] = value;
    name === "span" ? ask() : show();
  });
}
new ResizeObserver(() => plot?.setSize({ width: Math.max(200, at("chart").clientWidth), height: 240 }))
  .observe(at("chart"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
setInterval(() => { if (!document.hidden) ask(); }, EVERY_MS);
ask();
