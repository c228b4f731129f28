/** `holdfast tokens`: each has its own rights and its own end, and none of them is ever left lying about. */
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { describe, it } from "node:test";
import { addTokenCommand, revokeTokenCommand } from "../../src/cli/tokens.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { exchange, open } from "../helpers/http.ts";
import { McpClient } from "../helpers/mcp-client.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { survivorsOf, waitForListed } from "../helpers/pids.ts";
import { asConfig, stubborn } from "../helpers/servers.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

interface Listed {
  tokens: { id: string; name: string; scopes: string[]; expiresAt: number | null; expired: boolean }[];
  refused: { file: string; error: string }[];
}

async function command(home: Home, words: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCommand(home, words);
  assert.equal(code, 0, stderr);
  return stdout;
}

const statusWith = async (gateway: Gateway, token: string, method = "session.list") => {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method });
  return (await exchange(`${gateway.url}/rpc`, { method: "POST", headers, body })).status;
};

/** Every file under a directory, with its text. */
function filesUnder(directory: string): { path: string; text: string }[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path, text: readFileSync(path, "latin1") }));
}

describe("tokens", { timeout: patiently(90_000) }, () => {
  leavesNothing();

  it("are made before or while a gateway runs, work at once, and end with all their connections in under a second", async () => {
    await using home = new Home(bestTier());
    home.configure({
      mcpServers: asConfig({ stubborn: stubborn(home.pidFile) }),
      stop: { stdinGraceMs: 100, termGraceMs: 100 },
    });
    const early = (await command(home, ["tokens", "add", "early", "--scopes", "read"])).trim();
    await using gateway = await Gateway.start(home);
    const late = (await command(home, ["tokens", "add", "late", "--scopes", "read,run"])).trim();
    assert.match(late, /^hft_[\w-]{43}$/);
    assert.equal(await statusWith(gateway, early), 200);
    await until("the new token works", async () => (await statusWith(gateway, late)) === 200, { boundMs: 1000 });

    using client = new McpClient(`${gateway.url}/mcp/stubborn`, late);
    await client.initialize();
    const session = client.sessionId;
    const headers = { authorization: `Bearer ${late}`, accept: "text/event-stream", "mcp-session-id": session ?? "" };
    const stream = await open(`${gateway.url}/mcp/stubborn`, { headers });
    assert.equal(stream.statusCode, 200);
    const agent = new http.Agent({ keepAlive: true });
    const body = '{"jsonrpc":"2.0","id":1,"method":"session.list"}';
    const ask = { method: "POST", headers: { ...headers, "content-type": "application/json" }, body, agent };
    assert.equal((await exchange(`${gateway.url}/rpc`, ask)).status, 200);
    const [kept] = Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? []);
    assert.ok(kept !== undefined);
    const ends = [stream, kept].map(async (one) => {
      one.on("error", () => {}); // it is reset: that is the point
      await new Promise((resolve) => one.once("close", resolve));
      return performance.now();
    });
    stream.resume();
    const other = await open(`${gateway.url}/rpc`, {
      method: "POST",
      headers: { ...ask.headers, authorization: `Bearer ${early}` },
      body,
    });
    await command(home, ["tokens", "revoke", "late"]);
    const revokedAt = performance.now();
    for (const endedAt of await Promise.all(ends)) assert.ok(endedAt - revokedAt < 1000, `${endedAt - revokedAt} ms`);
    assert.equal(await statusWith(gateway, late), 401);
    assert.equal(other.statusCode, 200);
    assert.equal(await statusWith(gateway, early), 200, "nobody else is concerned");
    other.resume();
    agent.destroy();
    const logFile = join(home.stateDir, "log/keeper.log");
    const ofRevoked = () => readFileSync(logFile, "utf8").match(/"event":"connection\.closed"/g)?.length;
    await until("the log tells of both connections", () => (ofRevoked() ?? 0) >= 2, { boundMs: 5000 });
    const log = readFileSync(logFile, "utf8");
    assert.match(log, /"protocol":"http","address":"loopback","reason":"revoked","event":"connection\.closed"/);
    assert.match(log, /"event":"token\.added".*"name":"late"/);
    assert.match(log, /"event":"token\.ended".*"name":"late","why":"revoked"/);
  });

  it("take their sessions along, on one server and on all, also when they ended while no front could hear of it", async () => {
    await using home = new Home(bestTier());
    home.configure({
      mcpServers: asConfig({ stubborn: stubborn(home.pidFile) }),
      stop: { stdinGraceMs: 100, termGraceMs: 100 },
    });
    const [one, two] = [await command(home, ["tokens", "add", "one"]), await command(home, ["tokens", "add", "two"])];
    await using gateway = await Gateway.start(home);
    const enter = async (token: string, path = "/mcp/stubborn") => {
      const client = new McpClient(`${gateway.url}${path}`, token.trim());
      await client.initialize();
      return client;
    };
    const idsOf = async () => ((await gateway.rpc("session.list")) as { id: string }[]).map(({ id }) => id).toSorted();
    using mine = await enter(gateway.token);
    using first = await enter(one);
    using all = await enter(one, "/mcp");
    using second = await enter(two);
    const ids = (clients: McpClient[]) => clients.map(({ sessionId }) => sessionId ?? "").toSorted();
    assert.deepEqual(await idsOf(), ids([mine, first, all, second]));
    await waitForListed(home.pidFile, 15, 20_000);
    await command(home, ["tokens", "revoke", "one"]);
    const areLeft = async (clients: McpClient[]) => JSON.stringify(await idsOf()) === JSON.stringify(ids(clients));
    await until("its sessions have ended", () => areLeft([mine, second]), { boundMs: 10_000, everyMs: 20 });
    await until("and their servers", () => survivorsOf(home.pidFile).length === 10, { boundMs: 10_000 });
    const { front } = gateway.pids;
    process.kill(front, "SIGSTOP");
    await command(home, ["tokens", "revoke", "two"]);
    const log = () => readFileSync(join(home.stateDir, "log/keeper.log"), "utf8");
    await until("the keeper knows", () => /"token\.ended".*"name":"two"/.test(log()), { boundMs: 5000 });
    process.kill(front, "SIGKILL");
    await gateway.renewed({ front });
    await until("the next front has ended it", () => areLeft([mine]), { boundMs: 10_000, everyMs: 20 });
    await until("and its server", () => survivorsOf(home.pidFile).length === 5, { boundMs: 10_000 });
  });

  it("expire by themselves, and are listed without their secret", async () => {
    await using home = new Home(bestTier());
    await using gateway = await Gateway.start(home);
    const brief = (await command(home, ["tokens", "add", "brief", "--scopes", "admin", "--expires", "8s"])).trim();
    const made = JSON.parse(await command(home, ["--json", "tokens", "add", "long", "--expires", "30d"])) as {
      token: string;
    };
    await until("the new token works", async () => (await statusWith(gateway, brief)) === 200, { boundMs: 1000 });
    const listed = await command(home, ["--json", "tokens", "list"]);
    const { tokens } = JSON.parse(listed) as Listed;
    assert.deepEqual(
      tokens.map(({ name, scopes }) => [name, ...scopes]),
      [
        ["first", "admin"],
        ["brief", "admin"],
        ["long", "run"],
      ],
    );
    for (const secret of [brief, made.token, gateway.token]) assert.equal(listed.includes(secret), false);
    await until("it expired", async () => (await statusWith(gateway, brief)) === 401, { boundMs: 20_000, everyMs: 50 });
    const words = await command(home, ["tokens", "list"]);
    assert.match(words, /brief +admin +expired/);
    assert.match(words, /first +admin +never expires/);
    const { code, stderr } = await runCommand(home, ["tokens", "add", "brief"]);
    assert.deepEqual([code, /revoke it first/.test(stderr)], [2, true]);
  });

  it("are refused with what is wrong about them, and nothing is made", async () => {
    await using home = new Home(bestTier());
    const context = { state: home.stateDir, json: true };
    const cases: [() => Promise<number>, RegExp][] = [
      [() => addTokenCommand(context, "Upper", { scopes: "run" }), /small letters/],
      [() => addTokenCommand(context, "../x", { scopes: "run" }), /small letters/],
      [() => addTokenCommand(context, "first", { scopes: "run" }), /not "first"/],
      [() => addTokenCommand(context, "x", { scopes: "root" }), /no scope "root"; known: read, run, admin/],
      [() => addTokenCommand(context, "x", { scopes: "run", expires: "soon" }), /neither a time like 90s/],
      [() => addTokenCommand(context, "x", { scopes: "run", expires: "2001-01-01" }), /is over already/],
      [() => revokeTokenCommand(context, "none"), /no token named "none"/],
      [() => revokeTokenCommand(context, "first"), /stop the gateway, remove that file/],
    ];
    for (const [attempt, message] of cases) await assert.rejects(attempt, message);
    const { code } = await runCommand(home, ["tokens", "revoke", "none"]);
    assert.equal(code, 1, "what is not there is a failure, not wrong usage");
    assert.deepEqual(readdirSync(join(home.stateDir, "tokens")), []);
  });

  it("stand nowhere: not in an argument or environment of a child, a log, a record, nor in plain in a file of their own", async () => {
    await using home = new Home(bestTier());
    home.configure({
      mcpServers: asConfig({ stubborn: stubborn(home.pidFile) }),
      stop: { stdinGraceMs: 100, termGraceMs: 100 },
    });
    const made = (await command(home, ["tokens", "add", "mine", "--scopes", "admin"])).trim();
    const mine = "a-token-of-the-environment-0123456789";
    await using gateway = await Gateway.start(home, [], { HOLDFAST_TOKEN: mine });
    using client = new McpClient(`${gateway.url}/mcp/stubborn`, made);
    await client.initialize();
    await exchange(`${gateway.url}/nowhere?token=${made}`, { headers: { authorization: `Bearer ${made}x` } });
    assert.equal(await statusWith(gateway, made, "no.such.method"), 200);
    const secrets = [made, gateway.token, mine];
    const children = [gateway.pids.front, gateway.pids.guardian, ...home.marked()];
    assert.ok(children.length >= 3, "a front, a guardian and a server's tree were looked at");
    for (const pid of children)
      for (const file of ["environ", "cmdline"]) {
        const text = readFileSync(`/proc/${pid}/${file}`, "latin1");
        for (const secret of secrets) assert.equal(text.includes(secret), false, `${file} of ${pid}`);
      }
    const { front } = gateway.pids;
    process.kill(front, "SIGSEGV");
    await gateway.renewed({ front });
    const files = filesUnder(home.stateDir).concat({ path: home.logFile, text: home.log });
    assert.ok(files.some(({ path, text }) => path.endsWith("keeper.log") && text.includes("front.crashed")));
    const holders = files.filter(({ text }) => secrets.some((secret) => text.includes(secret))).map(({ path }) => path);
    assert.deepEqual(holders, [join(home.stateDir, "token")], "the first token's own file, and no other");
    assert.equal(statSync(join(home.stateDir, "tokens/mine.json")).mode & 0o077, 0);
  });

  it("that others could have written or read are refused with the remedy, at start and while it runs", async () => {
    await using home = new Home(bestTier());
    const token = (await command(home, ["tokens", "add", "mine", "--scopes", "read"])).trim();
    const file = join(home.stateDir, "tokens/mine.json");
    chmodSync(file, 0o644);
    const readable = await runCommand(home, ["gateway", "--port", "0"]);
    assert.deepEqual(
      [readable.code, /mine\.json can be read by others \(chmod 600/.test(readable.stderr)],
      [1, true],
      readable.stderr,
    );
    chmodSync(file, 0o600);
    const elsewhere = join(home.directory, "elsewhere.json");
    renameSync(file, elsewhere);
    symlinkSync(elsewhere, file);
    // What a naive reader would take: the link leads to a token that is right.
    assert.equal((JSON.parse(readFileSync(file, "utf8")) as { name: string }).name, "mine");
    const linked = await runCommand(home, ["gateway", "--port", "0"]);
    assert.deepEqual([linked.code, /mine\.json is a symbolic link/.test(linked.stderr)], [1, true], linked.stderr);
    assert.equal((await runCommand(home, ["tokens", "list"])).code, 1);
    await command(home, ["tokens", "revoke", "mine"]);
    assert.equal(existsSync(elsewhere), true);
    await using gateway = await Gateway.start(home);
    assert.equal(await statusWith(gateway, token), 401);
    const fresh = (await command(home, ["tokens", "add", "fresh", "--scopes", "read"])).trim();
    await until("the new token works", async () => (await statusWith(gateway, fresh)) === 200, { boundMs: 1000 });
    chmodSync(join(home.stateDir, "tokens/fresh.json"), 0o666);
    await until("it works no more", async () => (await statusWith(gateway, fresh)) === 401, { boundMs: 2000 });
    assert.match(readFileSync(join(home.stateDir, "log/keeper.log"), "utf8"), /token\.refused.*can be read by others/);
    assert.deepEqual((await gateway.rpc("gateway.status")) !== undefined, true, "and the gateway serves on");
    writeFileSync(join(home.stateDir, "tokens/forged.json"), "{}", { mode: 0o600 });
    const { stdout } = await runCommand(home, ["tokens", "list"]);
    assert.match(stdout, /refused: .*forged\.json is not a token/);
  });

  it("the first token's file is refused too when it is a link, by the gateway and by the command line", async () => {
    await using home = new Home(bestTier());
    const file = join(home.stateDir, "token");
    const elsewhere = join(home.directory, "elsewhere");
    writeFileSync(elsewhere, "0123456789abcdef0123456789abcdef\n", { mode: 0o600 });
    symlinkSync(elsewhere, file);
    const { code, stderr } = await runCommand(home, ["gateway", "--port", "0"]);
    assert.deepEqual([code, /token is a symbolic link \(put the file itself there/.test(stderr)], [1, true], stderr);
    const status = await runCommand(home, ["status", "--url", "http://127.0.0.1:9"]);
    assert.deepEqual([status.code, /token is a symbolic link/.test(status.stderr)], [1, true], status.stderr);
  });
});
