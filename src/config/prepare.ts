/** Prepares one server of the config for its start: expands variables, finds program and directory. */
import { statSync } from "node:fs";
import { keyText } from "../plain-issues.ts";
import { expandVariables } from "./expand.ts";
import { variableIn } from "../platform/environment.ts";
import { areProgramsLinked, findProgram } from "../platform/program.ts";
import { isNodeHost, type AnyServer, type RemoteConfig, type ServerConfig } from "./server.ts";

/** `problem`: everything missing or wrong, each with its key and remedy. */
export type Prepared = { server: AnyServer } | { problem: string };

class Preparation {
  readonly problems: string[] = [];
  readonly #path: string[];

  constructor(written: string) {
    this.#path = ["mcpServers", written];
  }

  /** `key`: the parts of its path below the server. */
  fail(key: string[], problem: string, remedy: string): void {
    this.problems.push(`${keyText([...this.#path, ...key])}: ${problem}; ${remedy}`);
  }

  expand(text: string, ...key: string[]): string {
    return expandVariables(text, process.env, (variable) => {
      const remedy = `set it where the gateway is started, or give a default as \${${variable}:-value}`;
      this.fail(key, `the variable ${variable} is not set`, remedy);
      return "";
    });
  }

  expandAll(values: Record<string, string>, key: string): void {
    for (const [name, value] of Object.entries(values)) values[name] = this.expand(value, key, name);
  }
}

/** `written` = its name in the file. The given server stays unchanged, so that it can be rechecked. */
export function prepareServer(written: string, given: AnyServer): Prepared {
  const server = structuredClone(given);
  const preparation = new Preparation(written);
  if ("url" in server) {
    server.headers = bare(server.headers);
    prepareRemote(preparation, server);
  } else {
    server.env = bare(server.env);
    prepareStdio(preparation, server);
  }
  // Disabled servers are never started.
  if (preparation.problems.length === 0 || !server.enabled) return { server };
  return { problem: preparation.problems.join("; ") };
}

/** Removes the prototype, which cloning restores. */
function bare(values: Record<string, string>): Record<string, string> {
  return Object.assign(Object.create(null) as Record<string, string>, values);
}

function prepareStdio(preparation: Preparation, server: ServerConfig): void {
  server.command = preparation.expand(server.command, "command");
  server.args = server.args.map((each, index) => preparation.expand(each, "args", String(index)));
  preparation.expandAll(server.env, "env");
  if (server.cwd !== undefined) server.cwd = preparation.expand(server.cwd, "cwd");
  const { host, hostFallback, cwd } = server;
  if (server.resolveNpx && !areProgramsLinked)
    preparation.fail(["resolveNpx"], "does not work on Windows yet", "remove it, and npx starts the server");
  else if (server.resolveNpx && host !== "local")
    preparation.fail(["resolveNpx"], "works for servers on this machine only", `remove it, or "host"`);
  if (hostFallback !== undefined && (!isNodeHost(host) || hostFallback === host))
    preparation.fail(
      ["hostFallback"],
      "is for a server whose host is a node, and names another place than that node",
      "remove it, or name a node in `host`",
    );
  // A half-expanded command or directory makes no useful message.
  if (preparation.problems.length > 0) return;
  if (cwd !== undefined && host === "local" && !isDirectory(cwd))
    preparation.fail(["cwd"], `${cwd} is not a directory`, "make it or correct the path");
  else checkProgram(preparation, server);
}

function checkProgram(preparation: Preparation, { host, hostFallback, ...server }: ServerConfig): void {
  // Only the node knows its programs.
  if (isNodeHost(host) && hostFallback !== "local") return;
  // The same applies to an ssh host, but ssh itself is needed here.
  const isLocal = !host.startsWith("ssh:");
  const command = isLocal ? server.command : "ssh";
  const path = (isLocal ? variableIn(server.env, "PATH") : undefined) ?? process.env["PATH"] ?? "";
  const cwd = (isLocal ? server.cwd : undefined) ?? process.cwd();
  if (findProgram(command, cwd, path) !== undefined) return;
  preparation.fail(
    [isLocal ? "command" : "host"],
    `${command} is not a program that can be run`,
    'install it, write its full path, or set "enabled": false',
  );
}

/** A bearer token becomes a header. */
function prepareRemote(preparation: Preparation, server: RemoteConfig): void {
  server.url = preparation.expand(server.url, "url");
  preparation.expandAll(server.headers, "headers");
  for (const [name, value] of Object.entries(server.headers))
    // The characters that node:http accepts in a header's value.
    if (/[^\t\x20-\x7e\x80-\xff]/.test(value))
      preparation.fail(
        ["headers", name],
        "holds a character that no header may have",
        "write it in one line of Latin-1",
      );
  const { protocol } = URL.parse(server.url) ?? {};
  if (preparation.problems.length === 0 && protocol !== "http:" && protocol !== "https:")
    preparation.fail(["url"], `${server.url} is not an http or https URL`, "write it in full");
  const { bearerTokenEnv } = server;
  if (bearerTokenEnv === undefined) return;
  const token = process.env[bearerTokenEnv] ?? "";
  if (!/^[\x21-\x7e]+$/.test(token))
    preparation.fail(
      ["bearerTokenEnv"],
      `the variable ${bearerTokenEnv} holds no token`,
      "set it where the gateway is started",
    );
  else server.headers["authorization"] = `Bearer ${token}`;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
