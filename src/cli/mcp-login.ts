/** `holdfast mcp login NAME` and `holdfast mcp logout NAME`: a person's authorization for a remote server. */
import { readFileSync } from "node:fs";
import { expandVariables } from "../config/expand.ts";
import { parseConfig, servedName } from "../config/load.ts";
import type { RemoteConfig } from "../config/schema.ts";
import { HoldfastError } from "../errors.ts";
import { reasonOf } from "../plain-reason.ts";
import { statePaths } from "../keeper/state-directory.ts";
import { CredentialFile } from "../oauth/credentials.ts";
import { logIn, logOut } from "../oauth/login.ts";
import type { CommandContext } from "./context.ts";
import { printLines } from "./print.ts";
import { ownFile } from "./running-keeper.ts";

/** With `--json` prints two lines: the address as soon as it is known, and the outcome. */
export async function mcpLogin(context: CommandContext, name: string, boundMs: number): Promise<number> {
  const { state, json } = context;
  const server = remoteOf(ownFile(context), name);
  const oauth = server.oauth === false ? undefined : server.oauth;
  const { issuer, scope, expiresAt } = await logIn({
    server: name,
    url: filledIn(server.url, `mcpServers.${name}.url`),
    client:
      oauth?.clientId === undefined ? undefined : { id: oauth.clientId, secret: secretOf(name, oauth.clientSecretEnv) },
    scope: oauth?.scopes?.join(" "),
    redirectPort: oauth?.redirectPort ?? 0,
    boundMs,
    file: new CredentialFile(statePaths(state).front, name),
    onUrl: (authorizationUrl) =>
      printLines(
        json ? [JSON.stringify({ authorizationUrl })] : ["open this address in a browser:", "", authorizationUrl, ""],
      ),
  });
  const until = expiresAt === null ? "" : `, its token is good until ${new Date(expiresAt).toISOString()}`;
  printLines([
    json ? JSON.stringify({ server: name, issuer, scope, expiresAt }) : `logged in at ${name} by ${issuer}${until}`,
  ]);
  return 0;
}

export async function mcpLogout(context: CommandContext, name: string): Promise<number> {
  const file = new CredentialFile(statePaths(context.state).front, name);
  const wasThere = hasFile(file);
  const isWithdrawn = await logOut(file);
  if (context.json) printLines([JSON.stringify({ server: name, wasLoggedIn: wasThere, isWithdrawn })]);
  else if (!wasThere) printLines([`there was no login at ${name}`]);
  else
    printLines([
      isWithdrawn
        ? `logged out at ${name}`
        : `the tokens for ${name} are forgotten here; its authorization server was not told, since it offers no way or did not answer`,
    ]);
  return 0;
}

function hasFile(file: CredentialFile): boolean {
  try {
    return file.read() !== undefined;
  } catch {
    return true; // it exists, and is removed whatever its contents
  }
}

function remoteOf(file: string, name: string): RemoteConfig {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const message = `cannot read the config ${file}: ${reasonOf(cause)}; name it with --config`;
    throw new HoldfastError("config_unreadable", message, { cause });
  }
  const config = parseConfig(file, text);
  const served = servedName(config, name);
  const server = config.mcpServers[served];
  const lack = config.unavailable[served];
  if (lack !== undefined) throw new HoldfastError("config_invalid", `${file}: ${lack.problem}`);
  if (server === undefined) throw new HoldfastError("server_unknown", `${file} has no server ${name}`);
  if (!("url" in server))
    throw new HoldfastError("usage", `mcp login: ${name} is not a remote server, so there is no login`);
  const hasHeader = Object.keys(server.headers).some((header) => header.toLowerCase() === "authorization");
  if (server.oauth === false || server.bearerTokenEnv !== undefined || hasHeader)
    throw new HoldfastError(
      "usage",
      `mcp login: the config of ${name} has credentials of its own, or "oauth": false; take them out first`,
    );
  return server;
}

function filledIn(text: string, key: string): string {
  return expandVariables(text, process.env, (variable) => {
    throw new HoldfastError("config_invalid", `${key}: \${${variable}} is not set; set it as it is for the gateway`);
  });
}

function secretOf(name: string, variable: string | undefined): string | undefined {
  if (variable === undefined) return undefined;
  const secret = process.env[variable];
  if (secret !== undefined && secret !== "") return secret;
  const message = `mcpServers.${name}.oauth.clientSecretEnv: ${variable} is not set; set it for this command`;
  throw new HoldfastError("config_invalid", message);
}
