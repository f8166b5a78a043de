import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Rest } from "../src/views/rest";

let done: string[];
let latest: string;
const stop = new AbortController();

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  done = [];
});

afterEach(() => vi.useRealTimers());

function resting(): { tell: (as: string) => void; rest: Rest } {
  const tell = (as: string): void => {
    latest = as;
    rest.work(as, () => done.push(as));
  };
  const rest = new Rest(() => tell(latest), 900, stop.signal);
  return { tell, rest };
}

test("the same work is not done twice", () => {
  const { tell } = resting();
  tell("a");
  vi.advanceTimersByTime(5000);
  tell("a");
  expect(done).toEqual(["a"]);
});

test("work that comes too soon is put off, and the last of it is done", () => {
  const { tell } = resting();
  for (const as of ["a", "b", "c"]) tell(as);
  expect(done).toEqual(["a"]);
  vi.advanceTimersByTime(1000);
  expect(done).toEqual(["a", "c"]);
});

test("what is forgotten is done again at once", () => {
  const { tell, rest } = resting();
  tell("a");
  rest.forget();
  tell("a");
  expect(done).toEqual(["a", "a"]);
});
