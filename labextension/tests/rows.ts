/** Rows as the server lists them. */

import type { RunRow } from "../src/contract";

/** A run of three jobs, of which one is done and one runs. */
export function row(changed: Partial<RunRow> = {}): RunRow {
  return {
    run_id: "20260101-000000-demo-abc123",
    name: "demo",
    backend: "local",
    created_ms: 0,
    ended_ms: null,
    n_jobs: 3,
    counts: [1, 0, 0, 1, 1, 0, 0, 0, 0],
    state: "running",
    complete: false,
    lost: false,
    cancelling: false,
    notebook: "",
    notebook_path: "",
    cell: "",
    cost_usd: 0,
    url: "",
    ...changed,
  };
}
