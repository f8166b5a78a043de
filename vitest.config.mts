import { defineConfig } from "vitest/config";

export default defineConfig({
  // A busy machine may take long: how long a test takes is no fact of the code.
  test: {
    include: ["labextension/tests/**/*.test.ts"],
    environment: "happy-dom",
    testTimeout: 90_000,
    hookTimeout: 90_000,
  },
});
