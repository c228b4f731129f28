#!/usr/bin/env node
/** Parses the command line, then imports and calls one command. The version check comes before all other imports. */
import { nodeVersionProblem } from "./node-version.ts";

const problem = nodeVersionProblem();
if (problem !== undefined) {
  process.stderr.write(
    `holdfast: ${problem}. Install a newer one; in a checkout, \`npm ci && npm start\` brings its own.\n`,
  );
  process.exit(1);
}
const { reportFailure } = await import("./cli/report.ts");
try {
  if (process.argv[2] === "run") {
    // Bypasses the option parser: a wrapper around every server of every client must start fast.
    const { run } = await import("./cli/run.ts");
    process.exitCode = await run(process.argv.slice(3));
  } else {
    const { runCommandLine } = await import("./cli/command-line.ts");
    process.exitCode = await runCommandLine(process.argv);
  }
} catch (thrown) {
  process.exitCode = reportFailure(thrown);
}
