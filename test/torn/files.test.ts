/** Every other file of the product, cut at any byte: it is read as absent or refused plainly, and never taken for another. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { systemClock } from "../../src/clock.ts";
import { readTls } from "../../src/config/tls.ts";
import { HoldfastError } from "../../src/errors.ts";
import { CrashRecords, readStderr } from "../../src/keeper/crashes.ts";
import { readLastEpoch, writeLastEpoch } from "../../src/keeper/last-epoch.ts";
import { makeOwnCertificate, ownCertificateFiles } from "../../src/keeper/own-certificate.ts";
import { PackageStore } from "../../src/keeper/packages/store.ts";
import { RotatingFile } from "../../src/keeper/rotating-file.ts";
import {
  openStateDirectory,
  readKeeperRecord,
  readOrMakeSecret,
  writeKeeperRecord,
  type StatePaths,
} from "../../src/keeper/state-directory.ts";
import { addToken, findTokens } from "../../src/keeper/tokens/token-files.ts";
import { Catalog } from "../../src/mcp/servers/catalog.ts";
import { readHandoff } from "../../src/mcp/session/session-handoff.ts";
import { NodeKey } from "../../src/nodes/node/key.ts";
import { PinFile } from "../../src/nodes/node/pin.ts";
import { CredentialFile } from "../../src/oauth/credentials.ts";
import { installProgram } from "../../src/platform/linux/programs.ts";
import { systemRandom, systemSources } from "../../src/random.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { Place } from "./helpers/books.ts";

/** A file of the product: made by its code, and read by it as JSON text. */
interface Written {
  /** Returns the path. */
  make(paths: StatePaths): string | Promise<string>;
  /** Undefined: read as absent. Throws the product's refusals. */
  read(paths: StatePaths): unknown;
  /** What a refusal says, besides naming the file. */
  remedy?: RegExp;
}

const helpers = { front: { pid: 1 }, guardian: { pid: 2, startTime: "3" } };
const url = "http://127.0.0.1:4653";
const keeperRecord = {
  version: "1",
  pid: 4711,
  startTime: "99",
  bootId: "b",
  epoch: 12,
  tier: "cgroup",
  url,
  urls: [url],
  config: null,
  certificate: null,
  node: null,
  ...helpers,
};
const credentials = {
  url,
  issuer: url,
  authorizationServer: url,
  metadata: null,
  resource: null,
  client: { client_id: "c" },
  accessToken: "access",
  refreshToken: "refresh",
  scope: null,
  expiresAt: 1234567,
};
const catalogEntry = {
  initialize: { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: { name: "n", version: "1" } },
  lists: { tools: [{ name: "t" }], prompts: [], resources: [], resourceTemplates: [] },
  learnedAt: 5,
};
const packageKey = "0123456789abcdef";
const pin = { gateway: "0123456789abcdef", fingerprint: "", epoch: 12, invite: null };

const files: Record<string, Written> = {
  "keeper.json": {
    make(paths) {
      writeKeeperRecord(paths, keeperRecord);
      return paths.keeperRecord;
    },
    read: (paths) => readKeeperRecord(paths),
  },
  owner: {
    make(paths) {
      readOrMakeSecret(paths.owner, 8, systemRandom);
      return paths.owner;
    },
    read: (paths) => readOrMakeSecret(paths.owner, 8, systemRandom),
    remedy: /remove it and start again/,
  },
  epoch: {
    make(paths) {
      writeLastEpoch(paths, 1234);
      return paths.epoch;
    },
    read: (paths) => readLastEpoch(paths) || undefined,
  },
  "tokens/ci.json": {
    make(paths) {
      addToken(paths, { name: "ci", scopes: ["read"], expiresAt: null }, systemSources);
      return join(paths.tokens, "ci.json");
    },
    read(paths) {
      const { records, refused } = findTokens(paths);
      if (refused[0] !== undefined) throw refused[0].error;
      return records[0];
    },
    remedy: /revoke it with|remove the file/,
  },
  "a crash record": {
    make: (paths) =>
      new CrashRecords(paths.crashes, 1, systemClock).record({ who: "front", pid: 7, why: "died" }, "last words").file,
    read(paths) {
      const [view] = new CrashRecords(paths.crashes, 2, systemClock).list(5);
      return view && { ...view, stderr: readStderr(view.file) };
    },
  },
  "front/oauth/remote.json": {
    make(paths) {
      const file = new CredentialFile(paths.front, "remote");
      file.write(credentials);
      return file.path;
    },
    read: (paths) => new CredentialFile(paths.front, "remote").read(),
    remedy: /log in again/,
  },
  "front/node-key.pem": {
    make(paths) {
      const path = join(paths.front, "node-key.pem");
      NodeKey.open(path);
      return path;
    },
    read: (paths) => NodeKey.open(join(paths.front, "node-key.pem")).publicKey,
    remedy: /remove it to get a new one/,
  },
  "front/node-gateway.json": {
    make(paths) {
      new PinFile(paths.front).keep(pin);
      return join(paths.front, "node-gateway.json");
    },
    read: (paths) => new PinFile(paths.front).pin,
    remedy: /start once with --forget-gateway/,
  },
  "tls/key.pem": certificate("key"),
  "tls/cert.pem": certificate("cert"),
  "a package's record": {
    make(paths) {
      const store = new PackageStore(paths.packages, systemSources);
      const directory = store.begin();
      const file = join(directory, "node_modules", "p", "package.json");
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, '{"version":"1.2.3"}');
      store.commit(packageKey, directory, ["p"]);
      return join(paths.packages, `${packageKey}.json`);
    },
    read: (paths) => new PackageStore(paths.packages, systemSources).find(packageKey),
  },
  "front/catalog": {
    make(paths) {
      new Catalog(paths.front, () => {}).put("key", catalogEntry);
      return join(paths.front, "catalog", "key.json");
    },
    read: (paths) => new Catalog(paths.front, () => {}).get("key"),
  },
};

function certificate(which: "cert" | "key"): Written {
  return {
    async make(paths) {
      await makeOwnCertificate(paths.root, ["127.0.0.1"], systemSources);
      return ownCertificateFiles(paths.root)[which];
    },
    async read(paths) {
      await makeOwnCertificate(paths.root, ["127.0.0.1"], systemSources);
      const { cert, key } = readTls(ownCertificateFiles(paths.root));
      return [cert.trim(), key.trim()];
    },
    remedy: /remove .*\/tls and a new one is made/,
  };
}

/** A refusal is an error of ours; any other one is a crash. */
async function attempt(read: () => unknown): Promise<{ found?: unknown; refused?: HoldfastError }> {
  try {
    return { found: await read() };
  } catch (thrown) {
    if (thrown instanceof HoldfastError) return { refused: thrown };
    throw thrown;
  }
}

describe("a file cut at any byte", { timeout: patiently(120_000) }, () => {
  leavesNothing();

  for (const [name, file] of Object.entries(files)) {
    it(`is absent or refused, in a sentence that names it and what to do: ${name}`, async (t) => {
      using place = new Place();
      const paths = openStateDirectory(place.make("state"));
      const path = await file.make(paths);
      const whole = await file.read(paths);
      const bytes = readFileSync(path);
      assert.notEqual(whole, undefined);
      const seen = { absent: 0, refused: 0, whole: 0 };
      for (let length = bytes.length - 1; length >= 0; length -= 1) {
        truncateSync(path, length);
        const { found, refused } = await attempt(() => file.read(paths));
        if (refused !== undefined) {
          assert.ok(refused.message.includes(path), `${refused.message} names ${path}`);
          assert.match(refused.message, file.remedy ?? /$^/);
          seen.refused += 1;
        } else if (found === undefined) seen.absent += 1;
        else {
          assert.deepEqual(found, whole, `${length} of ${bytes.length} bytes`);
          seen.whole += 1;
        }
      }
      // The last bytes are white space.
      assert.ok(seen.whole <= 2, JSON.stringify(seen));
      t.diagnostic(`${bytes.length} cuts: ${JSON.stringify(seen)}`);
    });
  }

  it("is no state to resume from: a session's handoff state", () => {
    const whole = JSON.stringify({ form: 2, isPassThrough: false, holds: [], subscriptions: [] });
    assert.notEqual(readHandoff(whole), undefined);
    for (let length = 0; length < whole.length; length += 1)
      assert.equal(readHandoff(whole.slice(0, length)), undefined);
  });

  it("is made anew: a program of ours", () => {
    using place = new Place();
    const directory = place.make("bin");
    const path = installProgram(directory, "pidfd-waiter");
    const bytes = readFileSync(path);
    for (let length = bytes.length - 1; length >= 0; length -= 1) {
      truncateSync(path, length);
      assert.deepEqual(readFileSync(installProgram(directory, "pidfd-waiter")), bytes);
    }
    assert.deepEqual(readdirSync(directory), ["pidfd-waiter"]);
  });

  it("spoils one line: a log", () => {
    using place = new Place();
    const path = join(place.make("log"), "keeper.log");
    const line = '{"event":"one"}\n';
    for (let length = 0; length <= line.length; length += 1) {
      writeFileSync(path, (line + line).slice(0, line.length + length));
      const log = new RotatingFile(path, { fileBytesMax: 1000, olderMax: 1 });
      log.write(line);
      log.write(line);
      log.close();
      const lines = readFileSync(path, "utf8")
        .split("\n")
        .filter((text) => text !== "" && text !== line.trim());
      assert.ok(lines.length <= 1, JSON.stringify(lines));
      assert.equal(readFileSync(path, "utf8").split(line.trim()).length - 1, length >= line.length - 1 ? 4 : 3);
    }
  });
});
