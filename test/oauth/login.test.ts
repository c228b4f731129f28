/** A login at a remote server: who may end one, what it leaves, and what is never believed. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Bearer } from "../../src/oauth/bearer.ts";
import { CredentialFile, type Credentials } from "../../src/oauth/credentials.ts";
import { logIn, logOut } from "../../src/oauth/login.ts";
import { AuthorizationServer } from "../helpers/authorization-server.ts";
import { exchange } from "../helpers/http.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";

leavesNothing();

/** A directory for the front, a server to log in at, and the browser's part in the test's hands. */
class Stage implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-oauth-"));
  readonly file = new CredentialFile(this.directory, "far");
  readonly server: AuthorizationServer;

  private constructor(server: AuthorizationServer) {
    this.server = server;
  }

  static async open(): Promise<Stage> {
    return new Stage(await AuthorizationServer.start());
  }

  /** `browse` is given the address that a person is shown. */
  login(browse: (address: string) => Promise<unknown>, more: object = {}): Promise<Credentials> {
    const browsing = Promise.withResolvers<unknown>();
    const login = logIn({
      server: "far",
      url: this.server.url,
      client: undefined,
      scope: undefined,
      redirectPort: 0,
      boundMs: 5000,
      file: this.file,
      onUrl: (address) => browsing.resolve(browse(address)),
      ...more,
    });
    // What the browser finds wrong must fail the test, too.
    return Promise.all([login, browsing.promise]).then(([credentials]) => credentials);
  }

  consent = (address: string) => exchange(this.server.consent(address).href, { boundMs: 5000 });

  bearer(url = this.server.url): Bearer {
    return new Bearer({ server: "far", url, frontDirectory: this.directory, now: Date.now });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true });
  }
}

describe("a login", { timeout: patiently(60_000) }, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.open();
  });
  after(() => stage[Symbol.asyncDispose]());
  const failsWith = (login: Promise<unknown>, words: RegExp) =>
    assert.rejects(login, (error: Error & { code?: string }) => {
      assert.equal(error.code, "login_failed");
      assert.match(error.message, words);
      assert.doesNotMatch(error.message, /secret-description|evil/);
      assert.equal(existsSync(stage.file.path), false, "nothing is written");
      return true;
    });

  it("registers, proves itself by PKCE and leaves one file for its user alone", async () => {
    const { issuer, scope, accessToken, client } = await stage.login(stage.consent);
    assert.equal(issuer, stage.server.origin);
    assert.equal(scope, "tools");
    assert.deepEqual(stage.server.clients.get(client.client_id)?.length, 1);
    assert.equal(statSync(stage.file.path).mode & 0o777, 0o600);
    assert.equal(statSync(join(stage.directory, "oauth")).mode & 0o777, 0o700);
    assert.equal(await stage.bearer().token(), accessToken);
    assert.equal(stage.bearer().atHand, accessToken);
    assert.equal(await logOut(stage.file), true);
    assert.equal(stage.server.revoked.length, 1);
    assert.equal(existsSync(stage.file.path), false);
  });

  it("takes no answer without its state, from another host or twice, and goes on", async () => {
    const credentials = await stage.login(async (address) => {
      const back = stage.server.consent(address);
      const without = (change: (url: URL) => void) => {
        const url = new URL(back);
        url.searchParams.set("code", "evil");
        change(url);
        return exchange(url.href, { boundMs: 5000 });
      };
      const wrong = [
        await without((url) => url.searchParams.set("state", "evil")),
        await without((url) => url.searchParams.delete("state")),
        await without((url) => url.searchParams.append("state", url.searchParams.get("state")!)),
        await without((url) => (url.pathname = "/elsewhere")),
        await exchange(back.href, { headers: { host: "evil.example" }, boundMs: 5000 }),
        await exchange(back.href, { method: "POST", boundMs: 5000 }),
      ];
      assert.deepEqual(
        wrong.map(({ status }) => status),
        [400, 400, 400, 404, 403, 404],
      );
      assert.equal((await exchange(back.href, { boundMs: 5000 })).status, 200);
    });
    assert.ok(credentials.accessToken);
    stage.file.remove();
  });

  it("fails, and writes nothing, when the code is not its own", async () => {
    const injected = stage.login(async (address) => {
      const own = stage.server.consent(address);
      // The code of somebody else's login, brought with the right state: the verifier gives it away.
      const other = new URL(address);
      other.searchParams.set("code_challenge", "b".repeat(43));
      own.searchParams.set("code", stage.server.consent(other.href).searchParams.get("code")!);
      await exchange(own.href, { boundMs: 5000 });
    });
    await failsWith(injected, /answered invalid_grant/);
    assert.ok(stage.server.refusals.includes("verifier"));
  });

  it("fails when another issuer answers, or the server is found under another name than its own", async () => {
    const mixed = (change: (url: URL) => void) =>
      stage.login(async (address) => {
        const back = stage.server.consent(address);
        change(back);
        await exchange(back.href, { boundMs: 5000 });
      });
    await failsWith(
      mixed((url) => url.searchParams.set("iss", "https://evil.example")),
      /from another authorization server/,
    );
    await failsWith(
      mixed((url) => url.searchParams.delete("iss")),
      /from another authorization server/,
    );
    stage.server.issuerInMetadata = "https://evil.example";
    await failsWith(stage.login(stage.consent), /reports another issuer/);
    stage.server.issuerInMetadata = undefined;
  });

  it("fails when the person says no, when nobody comes, and when the way back is another port", async () => {
    const denied = stage.login(async (address) => {
      const back = stage.server.consent(address);
      back.searchParams.delete("code");
      back.searchParams.set("error", "access_denied");
      back.searchParams.set("error_description", "evil words");
      await exchange(back.href, { boundMs: 5000 });
    });
    await failsWith(denied, /refused \(access_denied\)/);
    await failsWith(
      stage.login(async () => {}, { boundMs: 50 }),
      /the browser did not come back/,
    );
    let address = "";
    await failsWith(
      stage.login(async (shown) => void (address = shown), { boundMs: 50 }),
      /the browser did not come back/,
    );
    const elsewhere = new URL(address);
    const back = new URL(elsewhere.searchParams.get("redirect_uri")!);
    back.port = String(Number(back.port) - 1);
    elsewhere.searchParams.set("redirect_uri", back.href);
    assert.throws(() => stage.server.consent(elsewhere.href), /not a registered way back/);
  });

  it("fails when the token is none that a request could carry", async () => {
    stage.server.tokenPrefix = "access\r\nx-evil: 1";
    await failsWith(stage.login(stage.consent), /a token that cannot be sent/);
    stage.server.tokenPrefix = "access-";
  });

  it("uses the client that the config names where the server registers nobody", async () => {
    stage.server.offersRegistration = false;
    await failsWith(stage.login(stage.consent), /set oauth\.clientId/);
    const { port } = new URL(stage.server.origin);
    const redirectPort = Number(port) === 65_000 ? 65_001 : 65_000;
    stage.server.clients.set("ours", [`http://127.0.0.1:${redirectPort}/callback`]);
    const { client } = await stage.login(stage.consent, { client: { id: "ours" }, redirectPort, scope: "tools more" });
    assert.equal(client.client_id, "ours");
    assert.equal(stage.file.read()?.scope, "tools more");
    stage.server.offersRegistration = true;
    stage.file.remove();
  });
});

describe("the credentials of a login", { timeout: patiently(60_000) }, () => {
  it("are renewed once for all who need them, before their end and when they are refused", async () => {
    await using stage = await Stage.open();
    stage.server.expiresIn = 20;
    stage.server.refreshMs = 20;
    const { accessToken: first } = await stage.login(stage.consent);
    const bearer = stage.bearer();
    assert.equal(bearer.atHand, undefined, "it is about to end");
    stage.server.expiresIn = 3600;
    const renewed = await Promise.all(Array.from({ length: 8 }, () => bearer.token()));
    assert.equal(new Set(renewed).size, 1);
    assert.notEqual(renewed[0], first);
    assert.equal(stage.server.refreshes, 1);
    const again = await Promise.all(Array.from({ length: 8 }, () => bearer.token(renewed[0]!)));
    assert.equal(new Set([...again, renewed[0]]).size, 2);
    assert.equal(stage.server.refreshes, 2);
    assert.equal(await bearer.token(renewed[0]!), again[0], "who comes late with the old one gets the new one");
    assert.equal(stage.server.refreshes, 2);
    assert.equal(stage.file.read()?.accessToken, again[0]);
  });

  it("are over when a refresh token was used twice, and a person is asked for", async () => {
    await using stage = await Stage.open();
    await stage.login(stage.consent);
    const stolen = stage.file.read()!;
    const bearer = stage.bearer();
    const renewed = await bearer.token(stolen.accessToken);
    stage.file.write(stolen);
    await assert.rejects(
      bearer.token(stolen.accessToken),
      /refused to refresh our token \(invalid_grant\); type `holdfast mcp login far`/,
    );
    assert.equal(stage.server.refusals.at(-1), "reuse");
    assert.match(bearer.problem ?? "", /holdfast mcp login far/);
    assert.equal(stage.server.families[0]?.access, renewed);
    assert.equal(stage.server.families[0]?.isAlive, false);
    await stage.login(stage.consent);
    assert.equal(bearer.problem, undefined, "after a login nothing is known against it");
    assert.equal(bearer.atHand, stage.file.read()?.accessToken);
  });

  it("are kept when the authorization server does not answer for a while", async () => {
    await using stage = await Stage.open();
    stage.server.expiresIn = 20;
    const { accessToken } = await stage.login(stage.consent);
    stage.server.isTokenEndpointDown = true;
    const bearer = stage.bearer();
    assert.equal(await bearer.token(), accessToken, "it is not over yet");
    stage.file.write({ ...stage.file.read()!, expiresAt: Date.now() - 1 });
    await assert.rejects(bearer.token(), /does not answer/);
    assert.equal(bearer.problem, undefined);
    stage.server.isTokenEndpointDown = false;
    stage.server.tokenPrefix = "access\r\nx-evil: 1";
    await assert.rejects(bearer.token(), { code: "server_down" }, "what a request cannot carry is no token");
    stage.server.tokenPrefix = "access-";
    await stage.login(stage.consent);
    assert.ok(await bearer.token());
  });

  it("have no file but the one of a server's name", () => {
    for (const name of ["../../holdfast", "", "a.b", "a/b"])
      assert.throws(() => new CredentialFile("/nowhere", name), { code: "server_unknown" });
  });

  it("are not taken from a file that others can read, from a link, or for another address", async () => {
    await using stage = await Stage.open();
    await stage.login(stage.consent);
    assert.equal(await stage.bearer("http://127.0.0.1:1/mcp").token(), null);
    const { path } = stage.file;
    chmodSync(path, 0o644);
    await assert.rejects(stage.bearer().token(), /far\.json can be read by others/);
    assert.equal(stage.bearer().atHand, undefined);
    chmodSync(path, 0o600);
    renameSync(path, `${path}.real`);
    symlinkSync(`${path}.real`, path);
    await assert.rejects(stage.bearer().token(), /far\.json is a symbolic link/);
    // A login puts a file of its own in the link's place, and leaves what it led to alone.
    const { accessToken } = await stage.login(stage.consent);
    assert.equal(await stage.bearer().token(), accessToken);
    assert.equal(statSync(`${path}.real`).size > 0, true);
  });
});
