/** A run reaches the network as its gateway does, and nobody is shown the password of a proxy. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { baseEnvironment, proxiesIn } from "../../src/platform/environment.ts";
import { downloadHint } from "../../src/keeper/front-config.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

const password = "pr0xy-passw0rd";
const proxy = `http://user:${password}@127.0.0.1:9`;
const networkVariables = {
  HTTP_PROXY: proxy,
  https_proxy: proxy,
  NO_PROXY: "127.0.0.1",
  NODE_EXTRA_CA_CERTS: "/etc/hosts",
  SSL_CERT_FILE: "/etc/own.pem",
  REQUESTS_CA_BUNDLE: "/etc/own.pem",
  CURL_CA_BUNDLE: "/etc/own.pem",
  npm_config_registry: "http://127.0.0.1:9/",
};

describe("the variables that lead to the network", { timeout: patiently(120_000) }, () => {
  leavesNothing();

  it("are in the base environment, and secrets are not", () => {
    const base = baseEnvironment({ ...networkVariables, API_KEY: "secret", LD_PRELOAD: "x", HTTP_PROXY_X: "1" });
    assert.deepEqual(base, networkVariables);
  });

  it("are named by a timeout of what is downloaded, without their values", () => {
    assert.deepEqual(proxiesIn({ HTTPS_PROXY: proxy, NO_PROXY: "x", http_proxy: "" }), ["HTTPS_PROXY"]);
    const given = downloadHint("/usr/bin/npx", { HTTPS_PROXY: proxy }) ?? "";
    assert.match(given, /npx may still be downloading.*HTTPS_PROXY/);
    assert.doesNotMatch(given, new RegExp(password));
    assert.match(
      downloadHint("uvx", { HTTPS_PROXY: "", https_proxy: "", HTTP_PROXY: "", http_proxy: "" }) ?? "",
      /uvx.*registry/,
    );
    assert.equal(downloadHint("node", {}), undefined);
  });

  it("reach a server, whose own env wins; a timeout says what to look at, and no log has the password", async () => {
    await using home = new Home(bestTier());
    const npx = join(home.directory, "npx");
    const printed = join(home.directory, "printed");
    writeFileSync(npx, `#!/bin/sh\nenv -0 >${printed}.new\nmv ${printed}.new ${printed}\nexec sleep 1000\n`, {
      mode: 0o755,
    });
    const hanging = { command: npx, args: ["-y", "x"], connectionTimeoutMs: 1500 };
    home.configure({ mcpServers: { hangs: { ...hanging, env: { SSL_CERT_FILE: "/etc/servers.pem" } } } });
    const gateway = await Gateway.start(home, [], networkVariables);
    using client = gateway.mcp("hangs");
    const answer = await client.initialize().then(
      () => "answered",
      (thrown: unknown) => String(thrown),
    );
    assert.match(answer, /npx may still be downloading.*HTTP_PROXY.*https_proxy/);
    assert.doesNotMatch(answer, new RegExp(password));
    const got = (await until("what it printed", () => readOrNothing(printed), { boundMs: 10_000 })).split("\0");
    for (const [name, value] of Object.entries({ ...networkVariables, SSL_CERT_FILE: "/etc/servers.pem" }))
      assert.ok(got.includes(`${name}=${value}`), name);
    await gateway.stop();
    assert.doesNotMatch(home.log, new RegExp(password));
  });
});

function readOrNothing(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined; // not there yet
  }
}
