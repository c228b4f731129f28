/** One login as the SDK's OAuth client sees it: in memory until there are tokens. */
import type {
  OAuthClientMetadata,
  OAuthClientProvider,
  OAuthDiscoveryState,
  StoredOAuthClientInformation,
  StoredOAuthTokens,
} from "@modelcontextprotocol/client";
import { systemRandom } from "../random.ts";
import { systemClock } from "../clock.ts";
import type { CredentialFile } from "./credentials.ts";
import { withTokens, type Credentials } from "./credentials.ts";

export interface LoginSettings {
  /** Registered beforehand; undefined: the server registers us. */
  client: { id: string; secret: string | undefined } | undefined;
  scope: string | undefined;
}

export class LoginProvider implements OAuthClientProvider {
  readonly redirectUrl: string;
  /** Must be in the answer. */
  readonly expectedState = systemRandom.bytes(32).toString("base64url");
  authorizationUrl: URL | undefined;
  credentials: Credentials | undefined;
  readonly #url: string;
  readonly #settings: LoginSettings;
  readonly #file: CredentialFile;
  #client: StoredOAuthClientInformation | undefined;
  #verifier: string | undefined;
  #discovered: OAuthDiscoveryState | undefined;

  constructor(url: string, redirectUrl: string, settings: LoginSettings, file: CredentialFile) {
    this.#url = url;
    this.redirectUrl = redirectUrl;
    this.#settings = settings;
    this.#file = file;
    const { client } = settings;
    if (client === undefined) return;
    this.#client = { client_id: client.id, ...(client.secret === undefined ? {} : { client_secret: client.secret }) };
  }

  get clientMetadata(): OAuthClientMetadata {
    const { scope, client } = this.#settings;
    return {
      client_name: "Holdfast",
      redirect_uris: [this.redirectUrl],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: client?.secret === undefined ? "none" : "client_secret_basic",
      ...(scope === undefined ? {} : { scope }),
    };
  }

  state(): string {
    return this.expectedState;
  }

  clientInformation(): StoredOAuthClientInformation | undefined {
    return this.#client;
  }

  saveClientInformation(client: StoredOAuthClientInformation): void {
    this.#client = client;
  }

  tokens(): undefined {
    return undefined; // each login starts over
  }

  saveTokens(tokens: StoredOAuthTokens, context?: { issuer: string }): void {
    const discovered = this.#discovered;
    const client = this.#client;
    if (discovered === undefined || client === undefined) throw new Error("the SDK saves tokens before it knows whose");
    const base = {
      url: this.#url,
      issuer: tokens.issuer ?? context?.issuer ?? discovered.authorizationServerUrl,
      authorizationServer: discovered.authorizationServerUrl,
      metadata: (discovered.authorizationServerMetadata as Record<string, unknown> | undefined) ?? null,
      resource: discovered.resourceMetadata?.resource ?? null,
      client: { ...client },
    };
    this.credentials = withTokens(base, tokens, systemClock.now());
    this.#file.write(this.credentials);
  }

  redirectToAuthorization(url: URL): void {
    this.authorizationUrl = url;
  }

  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }

  codeVerifier(): string {
    if (this.#verifier === undefined) throw new Error("the SDK asks for a verifier that it has not made");
    return this.#verifier;
  }

  saveDiscoveryState(discovered: OAuthDiscoveryState): void {
    this.#discovered = discovered;
  }

  discoveryState(): OAuthDiscoveryState | undefined {
    return this.#discovered;
  }
}
