/** `holdfast mcp` on Windows, whose client is killed during a call: its session ends at once, and nothing of its server is left. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { patiently, until } from "../helpers/until.ts";
import { needsWine } from "./cache.ts";
import { main, state, WindowsGateway } from "./gateway.ts";
import { WindowsMachine } from "./machine.ts";

const options = { skip: needsWine(), timeout: patiently(120_000) };
const node = String.raw`C:\node\node26.exe`;
/** Far below the minute that a client has for its answers after the end of its input. */
const boundMs = 10_000;

const starts: [how: string, words: readonly string[], env: Record<string, string>][] = [
  ["", [node], {}],
  [", behind a cmd.exe that outlives it", [String.raw`C:\windows\system32\cmd.exe`, "/d", "/c", node], {}],
  [", and that had stopped reading", [node], { CLIENT: "deaf" }],
];

describe("a client of `holdfast mcp` that is killed during a call, under wine", options, () => {
  let machine: WindowsMachine;
  let gateway: WindowsGateway;
  before(async () => {
    machine = await WindowsMachine.start();
    gateway = await WindowsGateway.start(machine, { plain: "plain", stubborn: "stubborn" });
  });
  after(() => machine[Symbol.asyncDispose]());

  for (const [how, words, env] of starts)
    it(`leaves no session, server or process of ours${how}`, async () => {
      const alone = machine.live().length;
      const shim = [main, "--state", state, "mcp", "--server", "stubborn"];
      const client = machine.node([String.raw`C:\holdfast\test\windows\client.cjs`, ...words, ...shim], { env });
      await client.prints("calling");
      client.child.kill("SIGKILL");
      await until("only the gateway is left", () => machine.live().length === alone, { boundMs }).catch(() => {});
      assert.deepEqual(machine.live("server.cjs"), []);
      assert.equal(machine.live().length, alone, JSON.stringify(machine.live()));
      const { output } = await gateway.command(["--json", "sessions", "list"]);
      assert.deepEqual(JSON.parse(output), []);
    });
});
