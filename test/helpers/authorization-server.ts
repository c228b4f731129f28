/**
 * A remote MCP server and its authorization server, as strict as the specifications ask: registration, PKCE, exact redirect
 * addresses, codes for one use, tokens that expire, refresh tokens that rotate and whose second use ends the whole login.
 */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type http from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** Not imported: see http.ts. */
const { createServer } = process.getBuiltinModule("node:http");

interface Grant {
  clientId: string;
  redirectUri: string;
  challenge: string;
  resource: string | null;
  scope: string;
}

interface Family {
  access: string;
  refresh: string;
  used: Set<string>;
  expiresAt: number;
  scope: string;
  isAlive: boolean;
}

export class AuthorizationServer implements AsyncDisposable {
  /** Seconds that a token is good for, as the answer says. */
  expiresIn = 3600;
  /** What access tokens begin with. */
  tokenPrefix = "access-";
  /** What it says of itself; the attacks change it. */
  issuerInMetadata: string | undefined;
  offersRegistration = true;
  isTokenEndpointDown = false;
  /** Milliseconds that a refresh takes. */
  refreshMs = 0;
  refreshes = 0;
  revoked: string[] = [];
  readonly refusals: string[] = [];
  readonly authorizations: string[] = [];
  readonly clients = new Map<string, string[]>();
  readonly #codes = new Map<string, Grant>();
  readonly families: Family[] = [];
  readonly #server = createServer((request, response) => void this.#take(request, response));

  static async start(): Promise<AuthorizationServer> {
    const server = new AuthorizationServer();
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `${this.origin}/mcp`;
  }

  /** What the person's browser does with the address: consents, and is sent back to where this returns. */
  consent(address: string): URL {
    const { searchParams: asked, pathname } = new URL(address);
    const redirectUri = asked.get("redirect_uri") ?? "";
    const clientId = asked.get("client_id") ?? "";
    if (pathname !== "/authorize" || this.clients.get(clientId)?.includes(redirectUri) !== true)
      throw new Error(`not a registered way back: ${redirectUri}`);
    if (asked.get("code_challenge_method") !== "S256") throw new Error("no PKCE");
    const code = randomBytes(16).toString("hex");
    const [challenge, resource, scope] = ["code_challenge", "resource", "scope"].map((name) => asked.get(name));
    this.#codes.set(code, {
      clientId,
      redirectUri,
      challenge: challenge ?? "",
      resource: resource ?? null,
      scope: scope ?? "",
    });
    const back = new URL(redirectUri);
    back.search = new URLSearchParams({ code, state: asked.get("state") ?? "", iss: this.origin }).toString();
    return back;
  }

  /** From now on no access token is taken. */
  expireAll(): void {
    for (const family of this.families) family.expiresAt = 0;
  }

  async #take(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const body = await text(request);
    const path = new URL(request.url ?? "", this.origin).pathname;
    const say = (status: number, value: object, headers: http.OutgoingHttpHeaders = {}) =>
      response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
    if (path === "/mcp") return this.#serve(request, body, response, say);
    // Found by the challenge alone.
    if (path === "/about-this-resource")
      return void say(200, { resource: this.url, authorization_servers: [this.origin] });
    if (path.startsWith("/.well-known/oauth-authorization-server")) return void say(200, this.#metadata());
    if (path === "/register" && this.offersRegistration) {
      const client = JSON.parse(body) as { redirect_uris: string[] };
      const id = `client-${this.clients.size}`;
      this.clients.set(id, client.redirect_uris);
      return void say(201, { ...client, client_id: id });
    }
    const form = new URLSearchParams(body);
    if (path === "/revoke") {
      this.revoked.push(form.get("token") ?? "");
      return void say(200, {});
    }
    if (path !== "/token") return void say(404, {});
    if (this.isTokenEndpointDown) return void request.socket.destroy();
    const refuse = (error: string, why: string) => {
      this.refusals.push(why);
      say(400, { error, error_description: `secret-description ${why}` });
    };
    if (form.get("grant_type") === "authorization_code") return this.#redeem(form, say, refuse);
    if (this.refreshMs > 0) await new Promise((resolve) => setTimeout(resolve, this.refreshMs));
    this.#refresh(form, say, refuse);
  }

  #metadata(): object {
    const { origin } = this;
    return {
      issuer: this.issuerInMetadata ?? origin,
      authorization_endpoint: `${origin}/authorize`,
      token_endpoint: `${origin}/token`,
      revocation_endpoint: `${origin}/revoke`,
      ...(this.offersRegistration ? { registration_endpoint: `${origin}/register` } : {}),
      response_types_supported: ["code"],
      code_challenge_methods_supported: ["S256"],
      token_endpoint_auth_methods_supported: ["none"],
      authorization_response_iss_parameter_supported: true,
    };
  }

  #redeem(
    form: URLSearchParams,
    say: (status: number, value: object) => void,
    refuse: (error: string, why: string) => void,
  ) {
    const grant = this.#codes.get(form.get("code") ?? "");
    this.#codes.delete(form.get("code") ?? "");
    if (grant === undefined) return refuse("invalid_grant", "code");
    const challenge = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url");
    if (challenge !== grant.challenge) return refuse("invalid_grant", "verifier");
    if (form.get("client_id") !== grant.clientId) return refuse("invalid_grant", "client");
    if (form.get("redirect_uri") !== grant.redirectUri) return refuse("invalid_grant", "redirect");
    if (form.get("resource") !== this.url || grant.resource !== this.url) return refuse("invalid_target", "resource");
    const family: Family = {
      access: "",
      refresh: "",
      used: new Set(),
      expiresAt: 0,
      scope: grant.scope,
      isAlive: true,
    };
    this.families.push(family);
    this.#issue(family, say);
  }

  #refresh(
    form: URLSearchParams,
    say: (status: number, value: object) => void,
    refuse: (error: string, why: string) => void,
  ) {
    this.refreshes++;
    const token = form.get("refresh_token") ?? "";
    const family = this.families.find(({ refresh, used }) => refresh === token || used.has(token));
    if (family === undefined || !family.isAlive) return refuse("invalid_grant", "refresh token");
    if (family.used.has(token)) {
      family.isAlive = false;
      return refuse("invalid_grant", "reuse");
    }
    family.used.add(token);
    this.#issue(family, say);
  }

  #issue(family: Family, say: (status: number, value: object) => void): void {
    family.access = `${this.tokenPrefix}${randomBytes(16).toString("hex")}`;
    family.refresh = `refresh-${randomBytes(16).toString("hex")}`;
    family.expiresAt = Date.now() + this.expiresIn * 1000;
    const { access: access_token, refresh: refresh_token, scope } = family;
    say(200, { access_token, refresh_token, token_type: "Bearer", expires_in: this.expiresIn, scope });
  }

  #serve(
    { method, headers }: http.IncomingMessage,
    body: string,
    response: http.ServerResponse,
    say: (status: number, value: object, headers?: http.OutgoingHttpHeaders) => void,
  ): void {
    this.authorizations.push(headers.authorization ?? "");
    const taken = this.families.some(
      ({ access, expiresAt, isAlive }) =>
        isAlive && headers.authorization === `Bearer ${access}` && expiresAt > Date.now(),
    );
    if (!taken) {
      const challenge = `Bearer resource_metadata="${this.origin}/about-this-resource", scope="tools"`;
      return say(401, { error: "invalid_token" }, { "www-authenticate": challenge });
    }
    if (method !== "POST") return void response.writeHead(method === "DELETE" ? 204 : 405).end();
    const message = JSON.parse(body) as { id?: number; method?: string };
    if (message.id === undefined) return void response.writeHead(202).end();
    const result =
      message.method === "initialize"
        ? { protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "far", version: "1" } }
        : message.method === "tools/list"
          ? { tools: [{ name: "plain", inputSchema: { type: "object" } }] }
          : { content: [{ type: "text", text: "far" }] };
    say(200, { jsonrpc: "2.0", id: message.id, result }, { "mcp-session-id": "s1" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
