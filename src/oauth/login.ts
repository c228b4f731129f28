/** One login at a remote server, by the SDK's own flow: discovery, registration, PKCE, the browser's way back, tokens. */
import { HoldfastError } from "../errors.ts";
import { Callback } from "./callback.ts";
import type { CredentialFile, Credentials } from "./credentials.ts";
import { plainCode } from "./plain-code.ts";
import { LoginProvider, type LoginSettings } from "./provider.ts";
import { boundedFetch, loadSdk, type Sdk } from "./sdk.ts";

export interface LoginOrder extends LoginSettings {
  server: string;
  url: string;
  /** Of the listener for the browser's way back; 0 = any. */
  redirectPort: number;
  boundMs: number;
  file: CredentialFile;
  /** Shows a person where to go. */
  onUrl: (url: string) => void;
}

/** Rejects with `login_failed`, and nothing is written then. */
export async function logIn(order: LoginOrder): Promise<Credentials> {
  const { server, url, file, boundMs } = order;
  const sdk = await loadSdk();
  await using callback = await Callback.listen(order.redirectPort);
  const provider = new LoginProvider(url, callback.url, order, file);
  try {
    const flow = { serverUrl: url, fetchFn: boundedFetch, ...(await askedFor(order, sdk)) };
    await quietly(() => sdk.auth(provider, { ...flow, forceReauthorization: true }));
    const { authorizationUrl } = provider;
    if (authorizationUrl === undefined) throw new Error("there is no address for a person to go to");
    if (!/^https?:$/.test(authorizationUrl.protocol)) throw new Error("its authorization server names no web address");
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

/** What a login must ask for: what the config says, else what the server says to whoever has no token. */
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

/** Withdraws the tokens where the authorization server offers that (RFC 7009), and removes the file. False: not withdrawn. */
export async function logOut(file: CredentialFile): Promise<boolean> {
  let credentials: Credentials | undefined;
  try {
    credentials = file.read();
  } catch {
    // What cannot be read cannot be withdrawn, and is removed all the same.
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
    return false; // it is told: the file is gone either way
  }
}

/** The SDK tells of its second tries on the console; what matters of them is in its errors. */
async function quietly<T>(work: () => Promise<T>): Promise<T> {
  const { warn } = console;
  console.warn = () => {};
  try {
    return await work();
  } finally {
    console.warn = warn;
  }
}

/** What other sides put into an error is not shown: it may be made for whoever reads it. */
function describe(server: string, thrown: unknown, sdk: Sdk): HoldfastError {
  if (thrown instanceof HoldfastError) return thrown;
  const fail = (why: string) =>
    new HoldfastError("login_failed", `no login at MCP server ${JSON.stringify(server)}: ${why}`, { cause: thrown });
  if (sdk.IssuerMismatchError.isInstance(thrown))
    return fail(
      thrown.kind === "metadata"
        ? "its authorization server calls itself by another name than the one it was found under"
        : "the answer came from another authorization server than the one that was asked",
    );
  if (sdk.RegistrationRejectedError.isInstance(thrown))
    return fail(
      `its authorization server does not register us (HTTP ${thrown.status}); set oauth.clientId in the config. ` +
        `If \`holdfast mcp probe ${server}\` works, no login is wanted`,
    );
  if (sdk.OAuthError.isInstance(thrown)) return fail(`its authorization server said ${plainCode(thrown.code)}`);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (/does not support dynamic client registration/.test(message))
    return fail("its authorization server does not register clients by itself; set oauth.clientId in the config");
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? ` (${thrown.cause.message})` : "";
  return fail(`${message.slice(0, 300)}${cause}`.replaceAll(/[^\x20-\x7e]/g, "?"));
}
