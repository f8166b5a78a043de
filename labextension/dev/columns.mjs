/** Columns of the jobs of a scripted run, as a kernel packs them. */

const NO_TIME = 0xffff_ffff;
const TIMES = ["ready", "started", "main", "output", "ended"];
const LIMIT_BYTES = 1_000_000;
const USD_PER_CORE_HOUR = 0.0268;

/** The answer and its buffer. */
export function columns(kernel, { request, names, first, count, jobs }) {
  const asked = jobs ?? Array.from({ length: count }, (_, index) => first + index);
  const numbers = asked.slice(0, Math.floor(LIMIT_BYTES / (4 * names.length)));
  const body = new DataView(new ArrayBuffer(4 * names.length * numbers.length));
  names.forEach((name, column) => {
    numbers.forEach((number, index) => {
      write(body, 4 * (column * numbers.length + index), name, kernel, number);
    });
  });
  const answer = {
    kind: "columns",
    request,
    names,
    base_ms: kernel.startedMs,
    count: numbers.length,
    deflate: false,
  };
  return [answer, body];
}

function write(body, offset, name, kernel, number) {
  const value = TIMES.includes(name)
    ? moment(kernel, name, number)
    : amount(kernel.graph.jobs[number], kernel, name, number);
  if (name === "cpu" || name === "cost") body.setFloat32(offset, value, true);
  else body.setUint32(offset, value, true);
}

function moment({ graph, codes, startedMs, scale }, name, number) {
  const at = graph.jobs[number][name];
  const code = codes[number];
  // A running job has no end yet, a waiting one not even a start.
  const from = { ready: 1, started: 3, main: 3, output: 4, ended: 4 }[name];
  if (at === undefined || code < from || code > 5) return NO_TIME;
  return Math.max(0, Math.min(Math.round(at * scale), Date.now() - startedMs));
}

function amount(job, { codes, scale, startedMs, free }, name, number) {
  const ended = [4, 5, 6].includes(codes[number]);
  const begun = ended || codes[number] === 3;
  const cores = job.stage % 3 === 2 ? 2000 : 1000;
  const endedMs = ended ? job.ended * scale : Date.now() - startedMs;
  const tookMs = begun ? Math.max(0, endedMs - job.started * scale) : 0;
  const amounts = {
    slot: begun ? job.slot : -1,
    attempt: begun ? 1 : 0,
    exit: ended ? Number(codes[number] === 5) : -1,
    rss: ended ? 100_000 + ((number * 104_729) % 900_000) : 0,
    cores,
    memory: job.stage % 2 ? 2 << 20 : 0,
    cpu: ended ? (0.8 * scale * (job.output - job.main)) / 1000 : -1,
    cost: begun && !free ? (USD_PER_CORE_HOUR * cores * tookMs) / 3.6e9 : 0,
  };
  return amounts[name];
}
