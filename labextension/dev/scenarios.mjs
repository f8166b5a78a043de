/** Graphs to look at, and runs of them: the same every time. */

/** A graph from a table of stages: name, number of jobs, stages it depends on, "each" for one to one. */
function fromStages(name, table, rules = {}) {
  const jobs = [];
  const edges = [];
  const range = {};
  table.forEach(([stage, count, parents = [], how = "all"], index) => {
    range[stage] = { first: jobs.length, count };
    for (let i = 0; i < count; i++) {
      for (const parent of parents) {
        for (const from of parentsOf(range[parent], i, count, how)) edges.push([from, jobs.length]);
      }
      jobs.push({ name: count > 1 ? `${stage}-${i + 1}` : stage, stage: index });
    }
  });
  return { name, jobs, edges, stages: table.map(([stage, count]) => ({ name: stage, count })), ...rules };
}

/** The jobs of a stage that the `i`-th of `count` depends on. */
function parentsOf(from, i, count, how) {
  if (how === "each" && from.count > 1) return [from.first + Math.floor((i * from.count) / count)];
  return Array.from({ length: from.count }, (_, p) => from.first + p);
}

/** Every `step`-th job of a stage fails. */
const failEvery = (stage, step, from) => (job, graph) =>
  graph.stages[job.stage].name === stage && (job.index - graph.firsts[job.stage]) % step === from;

export const SCENARIOS = {
  tiny: () =>
    fromStages("hello", [
      ["prepare", 1],
      ["fit", 1, ["prepare"]],
      ["report", 1, ["fit"]],
    ]),
  quickstart: () =>
    fromStages(
      "variant-calling",
      [
        ["reference", 1],
        ["samples", 1],
        ["align", 24, ["reference", "samples"]],
        ["merge", 1, ["align"]],
        ["plot", 1, ["merge"]],
      ],
      { fails: failEvery("align", 50, 17), reused: 5, parallel: 4 },
    ),
  many: () =>
    fromStages(
      "cohort of 2026-11",
      [
        ["fetch-reference-genome", 1],
        ["index", 1, ["fetch-reference-genome"]],
        ["fastqc", 70],
        ["trim", 70, ["fastqc"], "each"],
        ["align", 70, ["trim", "index"], "each"],
        ["mark-duplicates", 70, ["align"], "each"],
        ["call", 14, ["mark-duplicates"], "each"],
        ["joint", 1, ["call", "fetch-reference-genome"]],
        ["coverage", 1, ["mark-duplicates"]],
        ["plots", 1, ["joint", "coverage"]],
        ["report", 1, ["plots", "fastqc"]],
      ],
      { fails: failEvery("align", 31, 12), reused: 40, parallel: 8 },
    ),
  huge: (n) => {
    const count = Math.max(1, Math.floor((n - 4) / 3));
    return fromStages(
      "biobank",
      [
        ["intervals", 1],
        ["split", count, ["intervals"]],
        ["impute", count, ["split"], "each"],
        ["associate", count, ["impute"], "each"],
        ["merge", 1, ["associate"]],
        ["manhattan", 1, ["merge"]],
        ["table", 1, ["merge"]],
      ],
      { fails: failEvery("impute", 997, 300), reused: Math.floor(n / 8), parallel: Math.ceil(n / 60) },
    );
  },
  chain: () => fromStages("chain", chainTable(60), { parallel: 1 }),
  wide: () => fromStages("many stages", wideTable(40, 20), { parallel: 16 }),
};

const chainTable = (length) =>
  Array.from({ length }, (_, i) => [
    `step ${String.fromCharCode(97 + (i % 26))}${i}`,
    1,
    i ? [chainName(i - 1)] : [],
  ]);
const chainName = (i) => `step ${String.fromCharCode(97 + (i % 26))}${i}`;

function wideTable(width, depth) {
  const table = [];
  for (let d = 0; d < depth; d++) {
    for (let w = 0; w < width; w++) {
      const parents = d ? [`s${d - 1}x${w}`, ...(w % 7 === 3 ? [`s${d - 1}x${(w + 5) % width}`] : [])] : [];
      table.push([`s${d}x${w}`, (w + d) % 3 ? 1 : 3, parents]);
    }
  }
  return table;
}

const CODE = {
  pending: 0,
  ready: 1,
  creating: 2,
  running: 3,
  success: 4,
  failed: 5,
  cancelled: 7,
  reused: 12,
};

/** The codes at the start and every change after, as the engine would make them with `parallel` slots. */
export function simulate(graph) {
  const { jobs, edges, parallel = 2 } = graph;
  graph.firsts = graph.stages.map((_, stage) => jobs.findIndex((job) => job.stage === stage));
  jobs.forEach((job, index) => {
    job.index = index;
    job.children = [];
    job.waiting = 0;
  });
  for (const [from, to] of edges) {
    jobs[from].children.push(to);
    jobs[to].waiting++;
  }
  const codes = new Uint8Array(jobs.length);
  const changes = [];
  const ready = jobs.filter((job) => job.waiting === 0).map((job) => job.index);
  const running = [];
  const put = (job, code) => {
    codes[job] = code;
    changes.push([job, code]);
  };
  const release = (job) => {
    for (const child of jobs[job].children)
      if (--jobs[child].waiting === 0 && !codes[child]) ready.push(child);
  };
  const cancel = (job) => {
    for (const child of jobs[job].children) {
      if (codes[child]) continue;
      put(child, CODE.cancelled);
      cancel(child);
    }
  };
  let nReused = 0;
  for (let at = 0; at < ready.length && nReused < (graph.reused ?? 0); ) {
    const job = ready[at];
    if (graph.fails?.(jobs[job], graph)) at++;
    else {
      ready.splice(at, 1);
      codes[job] = CODE.reused;
      nReused++;
      release(job);
    }
  }
  const start = codes.slice();
  playOut();
  return { start, changes };

  /** Jobs take turns on the slots; each gets its moments in a time that begins at 0. */
  function playOut() {
    const slots = Array.from({ length: parallel }, (_, slot) => parallel - 1 - slot);
    let now = 0;
    for (const job of ready) jobs[job].ready = now;
    while (ready.length || running.length) {
      while (ready.length && slots.length) {
        const job = ready.shift();
        const input = 20 + ((job * 37) % 60);
        const main = now + input + 400 + ((job * 7919) % 900) + 300 * (jobs[job].stage % 3);
        Object.assign(jobs[job], { slot: slots.pop(), started: now, main: now + input, output: main });
        jobs[job].ended = main + ((job * 13) % 90);
        put(job, CODE.creating);
        put(job, CODE.running);
        running.push(job);
      }
      const job = takeFirst(running, jobs);
      now = jobs[job].ended;
      slots.push(jobs[job].slot);
      slots.sort((a, b) => b - a);
      const failed = graph.fails?.(jobs[job], graph);
      put(job, failed ? CODE.failed : CODE.success);
      const before = ready.length;
      if (failed) cancel(job);
      else release(job);
      for (const freed of ready.slice(before)) jobs[freed].ready = now;
    }
    graph.duration = now;
  }
}

/** Takes the running job that ends first out of the list. */
function takeFirst(running, jobs) {
  let at = 0;
  running.forEach((job, index) => {
    if (jobs[job].ended < jobs[running[at]].ended) at = index;
  });
  return running.splice(at, 1)[0];
}
