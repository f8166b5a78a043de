/** Cost and resources: what was granted and what was used over time, and for each stage. */

import type { ColumnName } from "../contract";
import { element, setHidden, setText } from "../dom";
import { formatBytes, formatCount, formatTook, plural } from "../format";
import type { Run } from "../runs";
import { BINS, Chart, layerSign, type Series, stacked } from "./chart";
import type { Columns } from "./columns";
import type { Panel } from "./host";
import { type Layer, layersOf } from "./layers";
import { formatHours, formatUsd } from "./money";
import { Rest } from "./rest";
import { inUse } from "./series";
import { type Amount, coresOf, type Total, totals, usesOf } from "./totals";

const NEEDS: readonly ColumnName[] = ["started", "ended", "cores", "cpu", "memory", "rss", "cost"];
const MAX_STAGES = 60;
const REST_MS = 900;

const HEADS = ["Stage", "Jobs begun", "Core time", "Used", "Longest job", "Peak memory", "Memory asked"];
const HOUR_MS = 3_600_000;

export class Resources implements Panel {
  readonly element: HTMLElement;
  readonly #columns: Columns;
  readonly #facts = element("dl", "hbj-pairs hbj-totals");
  readonly #cores = new Chart("Cores", (value) => formatCount(value));
  readonly #memory = new Chart("Memory", formatBytes, 2 ** 30);
  readonly #cost = new Chart("Cost by stage", formatUsd);
  readonly #hours = new Chart("Core-hours by stage", formatHours);
  readonly #heads = element("tr");
  readonly #body = element("tbody");
  readonly #rest = element("div", "hbj-rest");
  readonly #resting: Rest;
  #run: Run;

  constructor(run: Run, columns: Columns, signal: AbortSignal) {
    this.#run = run;
    this.#columns = columns;
    this.#resting = new Rest(() => this.update(this.#run), REST_MS, signal);
    const caption = element("caption", "hbj-spoken", {}, `What the stages of ${run.title} used`);
    const table = element(
      "table",
      "hbj-stages",
      {},
      caption,
      element("thead", "", {}, this.#heads),
      this.#body,
    );
    const scroll = element(
      "div",
      "hbj-stages-box",
      { tabindex: 0, role: "group", "aria-label": "Stages" },
      table,
    );
    const charts = element(
      "div",
      "hbj-charts",
      {},
      this.#cores.element,
      this.#memory.element,
      this.#cost.element,
      this.#hours.element,
    );
    this.element = element("div", "hbj-resources", {}, this.#facts, charts, scroll, this.#rest);
  }

  update(run: Run): void {
    this.#columns.update(run, NEEDS);
    this.#run = run;
    this.#resting.work(`${run.seq} ${this.#columns.version}`, () => this.#make(run));
  }

  #make(run: Run): void {
    const nowMs = run.nowMs();
    const [whole, ...stages] = totals(run, this.#columns, nowMs);
    if (!whole) return;
    this.#facts.replaceChildren(...factsOf(run, whole).map(([term, value]) => pair(term, value)));
    const layers = this.#drawCharts(run, whole, nowMs);
    const heads = whole.costUsd > 0 ? [...HEADS, "Cost"] : HEADS;
    this.#heads.replaceChildren(...heads.map((head) => element("th", "", { scope: "col" }, head)));
    this.#body.replaceChildren(
      ...stages.slice(0, MAX_STAGES).map((total) => stageRow(run, total, whole, layers)),
    );
    setHidden(this.#rest, stages.length <= MAX_STAGES && stages.length > 0);
    const more = `The ${MAX_STAGES} stages that took most core time, of ${formatCount(stages.length)}.`;
    setText(this.#rest, stages.length === 0 ? "No job has begun yet." : more);
  }

  #drawCharts(run: Run, whole: Total, nowMs: number): Layer[] {
    const columns = this.#columns;
    const fromMs = run.clock.started_ms ?? nowMs;
    const spanMs = Math.max(1, nowMs - fromMs);
    const over = (amount: Amount): Float64Array =>
      inUse(usesOf(run, columns, nowMs, amount), fromMs, nowMs, BINS);
    const cores: Series[] = [
      { name: grantedWord(run), form: "area", values: over((job) => coresOf(columns, job)) },
    ];
    if (whole.toldMs > 0) {
      const busy: Amount = (job, tookMs) => (1000 * columns.value("cpu", job)) / tookMs;
      cores.push({ name: "used", form: "line", values: over(busy) });
    }
    this.#cores.update(cores, spanMs);
    const memory: Series[] = [];
    if (whole.askedBytes > 0) {
      memory.push({
        name: "asked for",
        form: "area",
        values: over((job) => 1024 * columns.value("memory", job)),
      });
    }
    if (whole.peakBytes !== 0) {
      memory.push({
        name: "peaks of jobs",
        form: "line",
        values: over((job) => 1024 * Math.abs(columns.value("rss", job))),
      });
    }
    this.#memory.update(memory, spanMs);
    setHidden(this.#memory.element, memory.length === 0);
    return this.#drawSums(run, whole, fromMs, nowMs);
  }

  /** What came together, by stage: dollars, or core-hours where nothing is charged. */
  #drawSums(run: Run, { costUsd, grantedMs }: Total, fromMs: number, nowMs: number): Layer[] {
    const columns = this.#columns;
    const charged = costUsd > 0;
    const amount: Amount = charged
      ? (job) => columns.value("cost", job)
      : (job, tookMs) => (coresOf(columns, job) * tookMs) / HOUR_MS;
    const chart = charged ? this.#cost : this.#hours;
    const layers = layersOf(run, columns, amount, [fromMs, nowMs], BINS);
    chart.update(stacked(layers), Math.max(1, nowMs - fromMs));
    setHidden(this.#cost.element, !charged);
    setHidden(this.#hours.element, charged || grantedMs === 0);
    return layers;
  }
}

/** This machine hands out what is asked for; another place rounds it up in ways of its own. */
function grantedWord(run: Run): string {
  return run.head.backend === "local" ? "granted" : "asked for";
}

function factsOf(run: Run, whole: Total): [string, string][] {
  const facts: [string, string][] = [
    ["jobs begun", formatCount(whole.begun)],
    [`core time ${grantedWord(run)}`, formatTook(whole.grantedMs)],
  ];
  if (whole.toldMs > 0) facts.push(["core time used", `${formatTook(whole.usedMs)} (${usedShare(whole)})`]);
  if (whole.peakBytes !== 0) facts.push(["largest job", formatBytes(whole.peakBytes)]);
  facts.push(["cost", run.clock.cost_text || formatUsd(whole.costUsd)]);
  return facts;
}

function pair(term: string, value: string): HTMLElement {
  return element("div", "", {}, element("dt", "", {}, term), element("dd", "", {}, value));
}

function usedShare({ usedMs, toldMs }: Total): string {
  return toldMs > 0 ? `${Math.round((100 * usedMs) / toldMs)} %` : "";
}

function stageRow(run: Run, total: Total, whole: Total, layers: readonly Layer[]): HTMLElement {
  const { name, count } = run.stages[total.stage] ?? { name: "", count: 0 };
  const begun =
    total.begun === count ? formatCount(count) : `${formatCount(total.begun)} of ${formatCount(count)}`;
  const cells = [
    begun,
    formatTook(total.grantedMs),
    usedShare(total),
    formatTook(total.longestMs),
    total.peakBytes !== 0 ? formatBytes(total.peakBytes) : "",
    total.askedBytes > 0 ? formatBytes(total.askedBytes) : "",
    ...(whole.costUsd > 0 ? [formatUsd(total.costUsd)] : []),
  ];
  const shade = layers.findIndex(({ stages }) => stages.includes(total.stage));
  const sign = shade < 0 ? [] : [layerSign(shade)];
  const head = element("th", "", { scope: "row", title: `${name}, ${plural(count, "job")}` }, ...sign, name);
  return element("tr", "", {}, head, ...cells.map((text) => element("td", "", {}, text)));
}
