/** The library on Windows: a host changes one call, and its trees end when it says so and when it ends. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { contain, ContainedStdioTransport } from "../../../src/index.ts";
import { readUntil } from "../../helpers/read-until.ts";
import { until } from "../../helpers/until.ts";
import { nastyArguments } from "../../platform/windows-rules/nasty-arguments.ts";
import { hidingIn, isLive, pidsIn } from "./trees.ts";

const directory = String.raw`C:\bücherei und mehr`;
mkdirSync(directory);
const node = process.execPath;

function hiding(name: string): { file: string; args: string[] } {
  const file = join(directory, `${name}.txt`);
  return { file, args: hidingIn(file, name).args };
}

describe("contain()", () => {
  for (const name of ["double-fork", "cleared", "deaf", "breakaway"])
    it(`ends a tree that hides by ${name}, with proof, and shows it before`, async () => {
      const { file, args } = hiding(name);
      const tree = await contain(node, args, { stdinGraceMs: 100, termGraceMs: 100 });
      await readUntil(tree.stdout, "ready");
      const live = pidsIn(file).filter(isLive);
      assert.ok(live.length >= 2);
      const shown = new Set(tree.members().map(({ pid }) => pid));
      assert.ok(
        live.every((pid) => shown.has(pid)),
        `${live.join()} in ${[...shown].join()}`,
      );
      await tree.stop();
      assert.deepEqual(pidsIn(file).filter(isLive), []);
    });

  it("hands on arguments, variables and directory, and tells the exit code", async () => {
    const script =
      "console.log(JSON.stringify([process.argv.slice(1), process.env.Übung, process.cwd()])); process.exit(9)";
    const env = { ...process.env, Übung: "ü ö" };
    const tree = await contain(node, ["-e", script, "--", ...nastyArguments], { cwd: directory, env });
    assert.deepEqual(JSON.parse(await text(tree.stdout!)), [nastyArguments, "ü ö", directory]);
    assert.deepEqual(await tree.exited, { code: 9, signal: null });
    await tree.empty;
  });

  it("says that a command is missing", async () => {
    await assert.rejects(contain("no-such-command-anywhere"), { code: "spawn_failed" });
  });

  it("ends its trees when the host is killed", async () => {
    const { file, args } = hiding("cleared-double-fork");
    const library = JSON.stringify(new URL("../../../src/index.ts", import.meta.url).href);
    const source = `import { contain } from ${library};
      const tree = await contain(process.execPath, ${JSON.stringify(args)});
      tree.stdout.pipe(process.stdout); setInterval(() => {}, 1000);`;
    const words = ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", source];
    const host = spawn(node, words, { stdio: ["ignore", "pipe", "inherit"], detached: true, windowsHide: true });
    await readUntil(host.stdout, "ready");
    assert.ok(pidsIn(file).filter(isLive).length >= 2);
    host.kill("SIGKILL");
    await once(host, "exit");
    await until("nothing is left", () => !pidsIn(file).some(isLive), { boundMs: 10_000 });
  });
});

describe("ContainedStdioTransport", () => {
  it("carries messages, and closes with proof although the server has a child that ignores it", async () => {
    const file = join(directory, "transport.txt");
    const server = join(directory, "a server.cjs");
    writeFileSync(
      server,
      `const { spawn } = require("node:child_process");
      const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { detached: true, stdio: "ignore" });
      require("node:fs").writeFileSync(${JSON.stringify(file)}, process.pid + "\\n" + child.pid + "\\n");
      process.stdin.on("data", (line) => process.stdout.write(line)); process.stdin.on("end", () => {});
      setInterval(() => {}, 1000);`,
    );
    const transport = new ContainedStdioTransport({
      command: node,
      args: [server],
      stdinGraceMs: 100,
      termGraceMs: 100,
    });
    const heard = Promise.withResolvers<unknown>();
    Object.assign(transport, { onmessage: heard.resolve });
    await transport.start();
    const message = { jsonrpc: "2.0", id: 1, method: "ping", params: { text: "ü" } } as const;
    await transport.send(message);
    assert.deepEqual(await heard.promise, message);
    assert.equal(pidsIn(file).filter(isLive).length, 2);
    await transport.close();
    assert.deepEqual(pidsIn(file).filter(isLive), []);
  });
});
