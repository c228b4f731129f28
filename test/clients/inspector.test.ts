/** The MCP Inspector's command line starts its server through `holdfast run`, and drops it. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { settle, waitForListed, waitForZero } from "../helpers/pids.ts";
import { patiently, until } from "../helpers/until.ts";
import { boundMs, Place, stubbornProcesses, type Words } from "./helpers/place.ts";

/** The program behind `mcp-inspector`. */
function inspectorFile(): string {
  const manifest = createRequire(import.meta.url).resolve("@modelcontextprotocol/inspector/package.json");
  const { bin } = JSON.parse(readFileSync(manifest, "utf8")) as { bin: Record<string, string> };
  return join(dirname(manifest), bin["mcp-inspector"] ?? "");
}

const inspect = ({ command, args }: Words, method: string[]) => [inspectorFile(), "--cli", command, ...args, ...method];
const echo = ["--method", "tools/call", "--tool-name", "echo", "--tool-arg", "message=hold"];
const hang = ["--method", "tools/call", "--tool-name", "hang"];

describe("the MCP Inspector and holdfast run", { timeout: patiently(120_000), concurrency: 3 }, () => {
  leavesNothing();

  it("lists the tools of server-everything behind npx, and nothing is left", async () => {
    await using place = new Place();
    const words = inspect(place.wrap(place.everything()), ["--method", "tools/list"]);
    const { tools } = JSON.parse(await place.run(process.execPath, words)) as { tools: { name: string }[] };
    assert.ok(tools.some(({ name }) => name === "echo"));
    await waitForZero(place.pidFile, boundMs);
  });

  it("calls a tool of a stubborn server, and nothing is left", async () => {
    await using place = new Place();
    const said = await place.run(process.execPath, inspect(place.wrap(place.stubborn()), echo));
    assert.match(said, /Echo: hold/);
    await waitForListed(place.pidFile, stubbornProcesses, boundMs);
    await waitForZero(place.pidFile, boundMs);
  });

  it("killed -9 with a call in flight at a stubborn server, it leaves nothing", async () => {
    await using place = new Place();
    const client = place.start(process.execPath, inspect(place.wrap(place.stubborn()), hang));
    await until("the call", () => existsSync(`${place.pidFile}.calls`), { boundMs });
    await place.kill(client);
    await waitForZero(place.pidFile, boundMs);
  });

  it("killed -9 while server-everything starts behind npx, it leaves nothing", async () => {
    await using place = new Place();
    const client = place.start(process.execPath, inspect(place.wrap(place.everything()), echo));
    await waitForListed(place.pidFile, 1, boundMs);
    await place.kill(client);
    await waitForZero(place.pidFile, boundMs);
  });

  it("the check can fail: without holdfast run the stubborn server's helpers are left", async () => {
    const place = new Place();
    const client = place.start(process.execPath, inspect(place.stubborn(), hang));
    await waitForListed(place.pidFile, stubbornProcesses, boundMs);
    await place.kill(client);
    assert.ok((await settle(place.pidFile, 500)).survivors.length > 0);
    await assert.rejects(async () => place[Symbol.asyncDispose](), /processes were left/);
  });
});
