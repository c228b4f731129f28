/** TLS: nobody outside this machine is served without it, and a client of this machine knows the gateway by its record. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { chmodSync, copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { describe, it } from "node:test";
import { HoldfastClient } from "../../src/client/index.ts";
import { sendRaw } from "../gateway/helpers/raw.ts";
import { runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { fixture } from "../helpers/servers.ts";
import { bestTier, giveTo } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

/** A certificate of this test's own, for gate.example and 127.0.0.1, which nobody signed; its key is worth nothing. */
function writeTls(home: Home): string[] {
  const cert = join(home.directory, "cert.pem");
  const key = join(home.directory, "key.pem");
  copyFileSync(fixture("tls/cert.pem"), cert);
  copyFileSync(fixture("tls/key.pem"), key);
  chmodSync(key, 0o600);
  for (const file of [cert, key]) giveTo(home.tier, file);
  return ["--tls-cert", cert, "--tls-key", key];
}

interface KeeperFile {
  url: string;
  urls: string[];
  front: { pid: number };
}

async function recordOf(home: Home): Promise<KeeperFile> {
  const file = join(home.stateDir, "keeper.json");
  return until("a gateway", () => existsSync(file) && (JSON.parse(readFileSync(file, "utf8")) as KeeperFile), {
    boundMs: 20_000,
    everyMs: 20,
  });
}

/** The status of one HTTPS request that trusts `ca` alone, or the error's code. */
async function ask(url: string, options: object): Promise<number | string> {
  const asked = request(`${url}/healthz`, { agent: false, ...options });
  asked.end();
  try {
    const [response] = (await once(asked, "response")) as [{ statusCode: number; resume(): void }];
    response.resume();
    return response.statusCode;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

describe("TLS", { timeout: patiently(60_000) }, () => {
  leavesNothing();

  it("serves commands, WebSocket and HTTPS over one certificate, and nobody in plain", async () => {
    await using home = new Home(bestTier());
    const flags = writeTls(home);
    const running = runCommand(home, ["gateway", "--port", "0", "--bind", "127.0.0.1", ...flags], 50_000);
    try {
      const { url } = await recordOf(home);
      assert.match(url, /^https:\/\/127\.0\.0\.1:\d+$/);
      const { code, stdout, stderr } = await runCommand(home, ["status"]);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /https:\/\/127\.0\.0\.1/);
      const token = readFileSync(join(home.stateDir, "token"), "utf8").trim();
      {
        await using client = await HoldfastClient.connect({ state: home.stateDir, token });
        assert.equal((await client.call("gateway.status", {})).url, url);
      }
      const ca = readFileSync(fixture("tls/cert.pem"), "utf8");
      assert.equal(await ask(url, { ca }), 200);
      assert.equal(await ask(url, {}), "DEPTH_ZERO_SELF_SIGNED_CERT", "the certificate is the one that was given");
      const plain = await sendRaw(url, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assert.doesNotMatch(plain, /200 OK/);
      // A record that names another certificate: what answers there is not trusted, and gets no token.
      const file = join(home.stateDir, "keeper.json");
      const record = readFileSync(file, "utf8");
      const other = readFileSync(fixture("tls/other-cert.pem"), "utf8");
      writeFileSync(file, JSON.stringify({ ...(JSON.parse(record) as object), certificate: other }));
      const refused = await runCommand(home, ["status"]);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /no gateway answers at https/);
      writeFileSync(file, record);
    } finally {
      await runCommand(home, ["stop"]);
      await running;
    }
  });

  it("is what a bind that others can reach gets by itself: a certificate made once, known by its fingerprint, and no plain HTTP", async () => {
    await using home = new Home(bestTier());
    const certFile = join(home.stateDir, "tls/cert.pem");
    const keyFile = join(home.stateDir, "tls/key.pem");
    const lives: string[] = [];
    for (const _ of [1, 2]) {
      const running = runCommand(home, ["gateway", "--port", "0", "--bind", "0.0.0.0"], 50_000);
      try {
        const { urls } = await recordOf(home);
        const ca = readFileSync(certFile, "utf8");
        const { fingerprint256, subjectAltName = "", validTo } = new X509Certificate(ca);
        lives.push(fingerprint256);
        assert.equal(statSync(keyFile).mode & 0o777, 0o600);
        assert.equal(statSync(join(home.stateDir, "tls")).mode & 0o777, 0o700);
        assert.match(subjectAltName, /DNS:localhost, .*IP Address:127\.0\.0\.1/);
        assert.ok(Date.parse(validTo) > Date.now() + 9 * 365 * 86_400_000);
        assert.equal((await runCommand(home, ["status"])).code, 0, "a command trusts it by the record");
        for (const url of urls) {
          const near = url.replace("0.0.0.0", "127.0.0.1");
          assert.match(near, /^https:/);
          assert.equal(await ask(near, { ca }), 200);
          assert.doesNotMatch(await sendRaw(near, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"), /200 OK/);
        }
      } finally {
        await runCommand(home, ["stop"]);
        await running;
      }
      const { stderr, stdout } = await running;
      const told = `SHA-256 ${lives.at(-1)?.replaceAll(":", "").toLowerCase()}`;
      assert.ok((stdout + stderr).includes(told), "the fingerprint is told");
    }
    assert.equal(lives[0], lives[1], "the next start uses the same");
    writeFileSync(certFile, readFileSync(fixture("tls/other-cert.pem")));
    const { code, stderr } = await runCommand(home, ["gateway", "--port", "0", "--bind", "0.0.0.0"]);
    assert.equal(code, 1);
    assert.match(stderr, /is not the one of .*cert\.pem; remove .*tls and a new one is made/);
  });

  it("is checked whole before anything starts", async () => {
    await using home = new Home(bestTier());
    const flags = writeTls(home);
    const [, cert = "", , key = ""] = flags;
    const start = async (...words: string[]) => {
      const { code, stderr } = await runCommand(home, ["gateway", "--port", "0", ...words]);
      assert.equal(existsSync(join(home.stateDir, "keeper.json")), false);
      assert.doesNotMatch(stderr, /\n\s+at /);
      return `${code} ${stderr}`;
    };
    assert.match(await start("--tls-cert", cert), /^2 .*belong together/s);
    assert.match(
      await start("--tls-cert", join(home.directory, "none"), "--tls-key", key),
      /^1 .*certificate .*none cannot be read/s,
    );
    assert.match(await start("--tls-cert", fixture("tls/other-cert.pem"), "--tls-key", key), /^1 .*is not the one of/s);
    assert.match(await start("--tls-cert", key, "--tls-key", key), /^1 .*holds no PEM certificate/s);
    chmodSync(key, 0o644);
    assert.match(await start(...flags), /^1 .*can be read by others \(chmod 600/s);
  });
});
