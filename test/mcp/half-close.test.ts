/** The end of a stdio client's input is a half-close: what it asked for is answered. Its own end is the end of all. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { mainFile } from "../helpers/program.ts";
import { fixture } from "../helpers/servers.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { actorFile } from "./helpers/assembled.ts";

leavesNothing();

const light = fixture("light-server.sh");
/** Is up after a client has long said all that it has to say. */
const slow = { command: "sh", args: ["-c", `sleep 0.7; exec sh ${light}`] };
const actor = { command: process.execPath, args: [actorFile, "actor", "act"] };
const clientInfo = { name: "half", version: "1" };
const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
const meta = {
  _meta: {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
  },
};
const line = (message: object) => JSON.stringify({ jsonrpc: "2.0", ...message });
const init = line({ id: 1, method: "initialize", params });
const initialized = line({ method: "notifications/initialized" });
const list = line({ id: 2, method: "tools/list" });
const call = (name: string, given: object = {}) =>
  line({ id: 3, method: "tools/call", params: { name, arguments: given } });

describe("a stdio client whose input ends", { timeout: patiently(120_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  before(async () => {
    const mcpServers = { light: { command: "sh", args: [light] }, slow, actor };
    home = new Home(bestTier(), { mcpServers, stop: { stdinGraceMs: 200, termGraceMs: 200 } });
    gateway = await Gateway.start(home);
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });
  const env = () => ({ PATH: process.env["PATH"] ?? "", HOME: home.directory });
  const shim = (words: string[]) => [mainFile, "mcp", "--state", home.stateDir, ...words];
  const empty = (boundMs: number) =>
    until("no session and no run", async () => String(await gateway.rpc("session.list")) === "", { boundMs });

  /** What `printf '%s' input | holdfast mcp` prints, by the ids of the answers, and its exit code. */
  async function pipe(input: string, words: string[]): Promise<[ids: unknown[], code: number | null, said: string]> {
    const child = spawn(process.execPath, shim(words), { stdio: ["pipe", "pipe", "inherit"], env: env() });
    const ended = once(child, "exit");
    const printed = text(child.stdout);
    child.stdin.end(input);
    const said = await printed;
    await ended;
    const messages = said.split("\n").filter((each) => each !== "");
    const ids = messages.map((each) => (JSON.parse(each) as { id?: unknown }).id).filter((id) => id !== undefined);
    return [ids.toSorted((a, b) => Number(a) - Number(b)), child.exitCode, said];
  }

  const cases: [name: string, lines: string[], ids: number[], more?: string[]][] = [
    ["INIT, INITIALIZED, LIST", [init, initialized, list], [1, 2]],
    ["a call to a server that is still starting", [init, initialized, call("slow__echo")], [1, 3]],
    ["initialize alone", [init], [1]],
    ["one server under its own names", [init, initialized, call("echo")], [1, 3], ["--server", "slow"]],
    ["ping, and no session at all", [line({ id: 9, method: "ping" })], [9]],
    ["nothing", [], []],
    [
      "a client without sessions, which also listens",
      [
        line({ id: 1, method: "server/discover", params: meta }),
        line({ id: 5, method: "subscriptions/listen", params: { notifications: { toolsListChanged: true }, ...meta } }),
        line({ id: 3, method: "tools/call", params: { name: "slow__echo", ...meta } }),
      ],
      [1, 3, 5],
    ],
  ];
  for (const form of [[], ["--no-pump"]])
    for (const [name, lines, ids, more = []] of cases)
      it(`is answered all the same: ${name} ${form.join(" ")}`, async () => {
        const whole = lines.map((each) => `${each}\n`).join("");
        assert.deepEqual((await pipe(whole, [...form, ...more])).slice(0, 2), [ids, 0]);
        // The last line need not have its end.
        assert.deepEqual((await pipe(whole.slice(0, -1), [...form, ...more])).slice(0, 2), [ids, 0]);
        await empty(10_000);
      });

  it("is not asked anything any more, and its call goes on", async () => {
    const able = line({ id: 1, method: "initialize", params: { ...params, capabilities: { sampling: {} } } });
    const asking = call("actor__act", { ask: "sampling/createMessage" });
    const [ids, code, said] = await pipe(`${able}\n${initialized}\n${asking}\n`, []);
    assert.deepEqual([ids, code], [[1, 3], 0]);
    assert.match(said, /refused: /);
  });

  for (const form of [[], ["--no-pump"]])
    it(`and that is killed ends its session at once, with a call in flight ${form.join(" ")}`, async () => {
      const words = [fixture("stdio-client.ts"), process.execPath, ...shim(form)];
      const client = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"], env: env() });
      await once(client.stdout, "data");
      assert.equal(((await gateway.rpc("session.list")) as unknown[]).length, 1);
      client.kill("SIGKILL");
      await once(client, "exit");
      await empty(5000);
    });
});
