/** A remote server behind a gateway that a person must log in at: what is said until then, and what goes on by itself after. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { AuthorizationServer } from "../helpers/authorization-server.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { exchange } from "../helpers/http.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { mainFile } from "../helpers/program.ts";
import { bestTier, launchOn } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

leavesNothing();
const boundMs = 10_000;

/** Logs in as a person does: types the command, opens the address. */
async function logIn(home: Home, server: AuthorizationServer, name: string): Promise<string> {
  const { prefix, identity, env } = launchOn(home.tier);
  const words = [mainFile, "mcp", "login", name, "--json", "--state", home.stateDir];
  const [command = "", ...rest] = [...prefix, process.execPath, ...words];
  const child = spawn(command, rest, {
    ...identity,
    env: { PATH: process.env["PATH"] ?? "", HOME: home.directory, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stderr = text(child.stderr);
  const exited = once(child, "exit");
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (lines.length > 1) continue;
    const { authorizationUrl } = JSON.parse(line) as { authorizationUrl: string };
    await exchange(server.consent(authorizationUrl).href, { boundMs });
  }
  assert.deepEqual(await exited, [0, null], await stderr);
  return lines.join("\n") + (await stderr);
}

describe("a gateway in front of a server that wants a login", { timeout: patiently(60_000) }, () => {
  let server: AuthorizationServer;
  let home: Home;
  let gateway: Gateway;
  let printed = "";

  before(async () => {
    server = await AuthorizationServer.start();
    const url = server.url;
    home = new Home(bestTier(), {
      mcpServers: {
        far: { url },
        pooled: { url, share: "pool" },
        closed: { url, oauth: false },
        own: { url, headers: { Authorization: "Bearer of-the-config" } },
      },
    });
    gateway = await Gateway.start(home);
  });
  after(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await home?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  const call = async (name: string): Promise<string> => {
    const client = gateway.mcp(name);
    try {
      await client.initialize();
      const { result, error } = await client.call("plain");
      return error?.message ?? (result as { content: { text: string }[] }).content[0]!.text;
    } catch (thrown) {
      return (thrown as Error).message;
    } finally {
      await client.delete().catch(() => {}); // it has no session when it could not begin
    }
  };
  const noticesOf = async (name: string) =>
    ((await gateway.rpc("mcp.status")) as { name: string; notices: string[]; breaker: string }[]).find(
      (status) => status.name === name,
    )!;

  it("says what to type, as often as it is asked, and serves as soon as somebody has logged in", async () => {
    for (let round = 0; round < 6; round++)
      assert.match(await call("far"), /requires a login; type `holdfast mcp login far`/);
    const { notices, breaker } = await noticesOf("far");
    assert.match(notices.join(), /requires a login; type `holdfast mcp login far`/);
    assert.equal(breaker, "closed", "a login is not waited for with growing pauses");
    assert.match(
      (await runCommand(home, ["mcp", "status"])).stdout,
      /^ {2}requires a login; type `holdfast mcp login far`$/m,
    );
    printed += await logIn(home, server, "far");
    assert.equal(await call("far"), "far");
    assert.deepEqual((await noticesOf("far")).notices, []);
    assert.match(await call("pooled"), /holdfast mcp login pooled/, "a login is for one server of the config");
  });

  it("sends only what the config says where that has credentials of its own, or wants no login", async () => {
    for (const name of ["own", "closed"]) assert.match(await call(name), /HTTP 401/);
    assert.ok(server.authorizations.includes("Bearer of-the-config"));
    const refused = await runCommand(home, ["mcp", "login", "own"]);
    assert.deepEqual([refused.code, /credentials of its own/.test(refused.stderr)], [2, true], refused.stderr);
  });

  it("renews a token that is not taken any more once for all sessions, in the middle of a session too", async () => {
    printed += await logIn(home, server, "pooled");
    const clients = ["far", "far", "far", "pooled"].map((name) => gateway.mcp(name));
    await Promise.all(clients.map((client) => client.initialize()));
    const ask = () => Promise.all(clients.map(async (client) => (await client.call("plain")).error?.message));
    assert.deepEqual(await ask(), [undefined, undefined, undefined, undefined]);
    server.expireAll();
    server.refreshMs = 50;
    assert.deepEqual(await ask(), [undefined, undefined, undefined, undefined]);
    assert.equal(server.refreshes, 2, "one for each login");
    for (const family of server.families) family.isAlive = false;
    const words = (await clients[0]!.call("plain")).error?.message ?? "";
    assert.match(words, /type `holdfast mcp login far`/);
    await Promise.all(clients.map((client) => client.delete()));
  });

  it("forgets a login when it is told to, and tells the authorization server", async () => {
    printed += await logIn(home, server, "far");
    const token = server.families.at(-1)!.refresh;
    const { code, stdout } = await runCommand(home, ["mcp", "logout", "far"]);
    assert.deepEqual([code, stdout], [0, "logged out at far\n"]);
    assert.ok(server.revoked.includes(token));
    assert.match(await call("far"), /requires a login/);
    assert.match((await runCommand(home, ["mcp", "logout", "far"])).stdout, /there was no login/);
  });

  it("has no token in any file but the one for it, nor in what it prints", async () => {
    printed += await logIn(home, server, "far");
    assert.equal(await call("far"), "far");
    const status =
      JSON.stringify(await gateway.rpc("mcp.status")) + JSON.stringify(await gateway.rpc("gateway.status"));
    const secrets = server.families.flatMap(({ access, refresh, used }) => [access, refresh, ...used]);
    const files = readdirSync(home.stateDir, { recursive: true, encoding: "utf8" })
      .map((name) => join(home.stateDir, name))
      .filter((path) => statSync(path).isFile());
    const holders = files.filter((path) => {
      const contents = readFileSync(path, "latin1");
      return secrets.some((secret) => contents.includes(secret));
    });
    assert.deepEqual(holders.map((path) => path.slice(home.stateDir.length)).sort(), [
      "/front/oauth/far.json",
      "/front/oauth/pooled.json",
    ]);
    for (const path of holders) assert.equal(statSync(path).mode & 0o777, 0o600);
    for (const secret of secrets) assert.ok(!(printed + status + home.log).includes(secret));
  });
});
