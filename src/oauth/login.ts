/** One login at a remote server by the SDK's flow: discovery, registration, PKCE, redirect, tokens. */
import { HoldfastError } from "../errors.ts";
import { Callback } from "./callback.ts";
import type { CredentialFile, Credentials } from "./credentials.ts";
import { plainCode } from "./plain-code.ts";
import { LoginProvider, type LoginSettings } from "./provider.ts";
import { boundedFetch, loadSdk, type Sdk } from "./sdk.ts";

export interface LoginOrder extends LoginSettings {
  server: string;
  url: string;
  /** Port of the redirect listener; 0 = any. */
  redirectPort: number;
  boundMs: number;
  file: CredentialFile;
  /** Shows the user the address to open. */
  onUrl: (url: string) => void;
}

/** Rejects with `login_failed`; then nothing is written. */
export async function logIn(order: LoginOrder): Promise<Credentials> {
  const { server, url, file, boundMs } = order;
  const sdk = await loadSdk();
  await using callback = await Callback.listen(order.redirectPort);
  const provider = new LoginProvider(url, callback.url, order, file);
  try {
    const flow = { serverUrl: url, fetchFn: boundedFetch, ...(await askedFor(order, sdk)) };
    await quietly(() => sdk.auth(provider, { ...flow, forceReauthorization: true }));
    const { authorizationUrl } = provider;
    if (authorizationUrl === undefined) throw new Error("there is no address to open");
    if (!/^https?:$/.test(authorizationUrl.protocol)) throw new Error("its authorization server has no web address");
    const answer = callback.wait(provider.expectedState, boundMs);
    order.onUrl(authorizationUrl.href);
    const { code, iss } = await answer;
    const proof = { ...flow, authorizationCode: code, ...(iss === undefined ? {} : { iss }) };
    await quietly(() => sdk.auth(provider, proof));
    if (provider.credentials === undefined) throw new Error("its authorization server gave no token");
    return provider.credentials;
  } catch (thrown) {
    throw describe(server, thrown, sdk);
  }
}

/** Scopes to request: the config's, else the server's. */
async function askedFor(
  { url, scope: configured }: LoginOrder,
  sdk: Sdk,
): Promise<{ scope?: string; resourceMetadataUrl?: URL }> {
  const response = await boundedFetch(url, { headers: { accept: "text/event-stream" }, redirect: "manual" });
  await response.body?.cancel();
  const { resourceMetadataUrl, scope: wanted } = sdk.extractWWWAuthenticateParams(response);
  const scope = configured ?? wanted;
  return {
    ...(scope === undefined ? {} : { scope }),
    ...(resourceMetadataUrl === undefined ? {} : { resourceMetadataUrl }),
  };
}

/** Revokes the tokens where possible (RFC 7009) and deletes the file. False: not revoked. */
export async function logOut(file: CredentialFile): Promise<boolean> {
  let credentials: Credentials | undefined;
  try {
    credentials = file.read();
  } catch {
    // Unreadable tokens cannot be revoked, but are deleted.
  }
  file.remove();
  if (credentials === undefined) return true;
  const { metadata, client, refreshToken, accessToken } = credentials;
  const endpoint = metadata?.["revocation_endpoint"];
  if (typeof endpoint !== "string") return false;
  const sdk = await loadSdk();
  try {
    const body = new URLSearchParams({ token: refreshToken ?? accessToken, client_id: client.client_id });
    const secret = client["client_secret"];
    if (typeof secret === "string") body.set("client_secret", secret);
    const response = await boundedFetch(sdk.assertSecureTokenEndpoint(endpoint), { method: "POST", body });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false; // reported; the file is gone either way
  }
}

/** The SDK logs retries on the console; its errors have what matters. */
async function quietly<T>(work: () => Promise<T>): Promise<T> {
  const { warn } = console;
  console.warn = () => {};
  try {
    return await work();
  } finally {
    console.warn = warn;
  }
}

/** Texts of other parties are not shown: they may be crafted for the reader. */
function describe(server: string, thrown: unknown, sdk: Sdk): HoldfastError {
  if (thrown instanceof HoldfastError) return thrown;
  const fail = (why: string) =>
    new HoldfastError("login_failed", `no login at MCP server ${JSON.stringify(server)}: ${why}`, { cause: thrown });
  if (sdk.IssuerMismatchError.isInstance(thrown))
    return fail(
      thrown.kind === "metadata"
        ? "its authorization server reports another issuer than the one it was found under"
        : "the answer came from another authorization server",
    );
  if (sdk.RegistrationRejectedError.isInstance(thrown))
    return fail(
      `its authorization server does not register us (HTTP ${thrown.status}); set oauth.clientId in the config. ` +
        `If \`holdfast mcp probe ${server}\` works, no login is needed`,
    );
  if (sdk.OAuthError.isInstance(thrown)) return fail(`its authorization server answered ${plainCode(thrown.code)}`);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (/does not support dynamic client registration/.test(message))
    return fail("its authorization server does not register clients by itself; set oauth.clientId in the config");
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? ` (${thrown.cause.message})` : "";
  return fail(`${message.slice(0, 300)}${cause}`.replaceAll(/[^\x20-\x7e]/g, "?"));
}
