#!/usr/bin/env node
/** Parses the command line, imports and calls one command. Only built-in modules above the version check. */
const nodeMajorMin = 24;

const major = Number(process.versions.node.split(".")[0]);
if (major < nodeMajorMin) {
  process.stderr.write(
    `holdfast: Node.js ${nodeMajorMin} or newer is needed, this is ${process.versions.node}. ` +
      "In a checkout run it through npm (`npm ci && npm start`), which brings its own; else install a newer Node.js.\n",
  );
  process.exit(1);
}
const { reportFailure } = await import("./report.ts");
try {
  if (process.argv[2] === "run") {
    // Not through the option parser: a wrapper around every server of every client must start fast.
    const { run } = await import("./commands/run.ts");
    process.exitCode = run(process.argv.slice(3));
  } else {
    const { runCommandLine } = await import("./command-line.ts");
    process.exitCode = await runCommandLine(process.argv);
  }
} catch (thrown) {
  process.exitCode = reportFailure(thrown);
}
export {};
