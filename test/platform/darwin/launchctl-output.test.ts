/** What `launchctl` prints is read for the little that is needed, whatever else is in it. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { labelsIn, readJob } from "../../../src/platform/darwin/launchctl-output.ts";

/** In the form of macOS 14 and 15, with other names. */
function printed(lines: string): string {
  return `gui/501/holdfast.0123456789abcdef.r1-1 = {
\tactive count = 1
\tpath = /private/a b/state/holdfast/bin/jobs/r1-1/job.plist
\ttype = LaunchAgent
${lines}
\tprogram = /usr/bin/env
\targuments = {
\t\t/usr/bin/env
\t\tpid = 9
\t\tstate = none
\t}

\tdefault environment = {
\t\tPATH => /usr/bin:/bin:/usr/sbin:/sbin
\t}

\tdomain = gui/501 [100015]
\tminimum runtime = 10
\texit timeout = 5
\truns = 1

\tresource coalition = {
\t\tID = 1348
\t\ttype = resource
\t\tstate = active
\t\tactive count = 1
\t\tname = holdfast.0123456789abcdef.r1-1
\t}

\tjetsam coalition = {
\t\tID = 1349
\t\ttype = jetsam
\t\tstate = active
\t}

\tspawn type = interactive (4)
\tproperties = runatload | inferred program
}
`;
}

it("reads pid, state and resource coalition of a job that runs", () => {
  assert.deepEqual(readJob(printed("\tstate = running\n\tpid = 4711\n\tlast exit code = (never exited)")), {
    pid: 4711,
    exit: undefined,
    coalition: 1348n,
    state: "running",
  });
});

for (const [line, exit] of [
  ["last exit code = 0", { code: 0, signal: null }],
  ["last exit code = 78: EX_CONFIG", { code: 78, signal: null }],
  ["last terminating signal = Killed: 9", { code: null, signal: "SIGKILL" }],
  ["last terminating signal = 15", { code: null, signal: "SIGTERM" }],
  ["last exit code = 0\n\tlast terminating signal = Terminated: 15", { code: null, signal: "SIGTERM" }],
  ["last exit code = no number", undefined],
] as const)
  it(`reads ${JSON.stringify(line)}`, () => {
    const job = readJob(printed(`\tstate = not running\n\t${line}`));
    assert.equal(job.pid, undefined);
    assert.deepEqual(job.exit, exit);
  });

it("takes no field of the job from a block inside it", () => {
  const job = readJob(printed("\tstate = not running"));
  assert.equal(job.state, "not running");
  assert.equal(job.pid, undefined);
});

it("reads nothing from what is not such a text", () => {
  for (const text of ["", "\n\n", " = ", "\tpid = 12abc", "}\n}\n", "\tresource coalition = {\n\t\tID = x\n\t}"])
    assert.deepEqual(readJob(text), { pid: undefined, exit: undefined, coalition: undefined, state: "unknown" });
});

it("finds the labels of one owner only, in both lists", () => {
  const prefix = "holdfast.0123456789abcdef.";
  const list = `PID\tStatus\tLabel\n-\t0\tcom.apple.a\n812\t0\t${prefix}r1-1\n-\t-9\tholdfast.fedcba9876543210.r1-1\n`;
  assert.deepEqual(labelsIn(list, prefix), [`${prefix}r1-1`]);
  const domain = `gui/501 = {\n\tservices = {\n\t\t     812      - \t${prefix}r1-1\n\t\t       0     78 \t${prefix}guardian-1\n\t}\n\n\tdisabled services = {\n\t\t"${prefix}r9" => disabled\n\t}\n}\n`;
  assert.deepEqual(labelsIn(domain, prefix), [`${prefix}r1-1`, `${prefix}guardian-1`]);
  assert.deepEqual(labelsIn(`0 - ${prefix}../x\n0 - ${prefix}$(id)\n`, prefix), []);
});

it("reads large texts in linear time", () => {
  const many = `${"\t".repeat(50)}x = {\n`.repeat(60_000);
  const long = `\t${"a = ".repeat(900_000)}`;
  const begin = performance.now();
  for (const text of [many, long, " ".repeat(4_000_000), "\t}".repeat(2_000_000)]) {
    readJob(text);
    labelsIn(text, "holdfast.");
  }
  assert.ok(performance.now() - begin < 5000, "some 0.3 s when it is linear; minutes when it is not");
});
