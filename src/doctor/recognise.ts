/** Classifies command lines. Names decide what is shown, never what is ended (see judge.ts). */
import { basename } from "node:path";

export interface Recognised {
  /** The evidence, for people. */
  how: string;
  /** `named`: says MCP. `generic`: started like such servers, and like other programs. */
  strength: "named" | "generic";
}

const runtimes =
  /^(?:node|nodejs|node-MainThread|bun|deno|tsx|ts-node|python[\d.]*|pypy[\d.]*|ruby|java|php|perl|dotnet|sh|bash|dash|zsh|ash|busybox)$/;
const shells = /^-?(?:sh|bash|dash|zsh|ash|fish|busybox)$/;
const mcp = /(?:^|[^a-z0-9])mcp(?:[^a-z]|$)|mcp[-_]|[-_]mcp|modelcontextprotocol|mcpserver|fastmcp/i;
const server = /(?:^|[^a-z])server(?:[^a-z]|$)/i;
/** Programs that say MCP but are clients or tools. */
const notServer = /(?:^|[^a-z])(?:client|host|inspector|test|tests|spec|bench)(?:[^a-z]|$)/i;
/** Servers of other protocols over stdio. */
const languageServer =
  /lang(?:uage)?-?_?server|tsserver|langserver|(?:^|[^a-z])lsp(?:[^a-z]|$)|eslintserver|servermain/i;
/** Meaningless file names: the directory counts. */
const plainName = /^(?:index|main|server|cli|app|start|run|stdio|bin|dist|build|src|lib|out|__main__)(?:\.\w+)?$/i;

/** The author's part of a path: the package after the last node_modules, else the file, else its directory. */
function tellingPart(path: string): string {
  const parts = path.split("/").filter(Boolean);
  const modules = parts.lastIndexOf("node_modules");
  if (modules >= 0) return parts.slice(modules + 1).join("/");
  let from = parts.length - 1;
  while (from > 0 && from > parts.length - 4 && plainName.test(parts[from] ?? "")) from -= 1;
  return parts.slice(Math.max(from, 0)).join("/");
}

/** Options of runtimes and launchers with an argument. */
const takesNext = new Set([
  "-r",
  "--require",
  "--import",
  "--loader",
  "-e",
  "--eval",
  "-p",
  "--package",
  "--from",
  "--with",
  "--python",
  "-c",
  "--call",
  "-X",
  "-W",
  "-cp",
  "-classpath",
  "--env-file",
  "-v",
  "--volume",
  "--name",
  "--env",
  "--network",
  "--mount",
]);

/** The first argument that is not an option: a runtime's script, a launcher's package. */
function firstOperand(words: readonly string[]): string | undefined {
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? "";
    if (word === "--") return words[at + 1];
    if (word === "-m") return words[at + 1];
    if (takesNext.has(word)) at += 1;
    else if (!word.startsWith("-")) return word;
  }
  return undefined;
}

/** What a launcher (npx and others) runs; undefined for other programs. */
function launchedBy([program = "", ...rest]: readonly string[]): { launcher: string; target: string } | undefined {
  const name = basename(program);
  const of = (launcher: string, words: readonly string[]) => ({ launcher, target: firstOperand(words) ?? "" });
  if (/^node(?:js)?$/.test(name) && /\/(?:npx|npx-cli\.js)$/.test(rest[0] ?? "")) return of("npx", rest.slice(1));
  if (/^node(?:js)?$/.test(name) && /\/(?:npm|npm-cli\.js)$/.test(rest[0] ?? ""))
    return launchedBy(["npm", ...rest.slice(1)]);
  if (/^(?:npx|bunx|uvx|pnpx)$/.test(name)) return of(name, rest);
  if (name === "npm" && /^(?:exec|x)$/.test(rest[0] ?? "")) return of("npm exec", rest.slice(1));
  if (/^(?:pnpm|yarn)$/.test(name) && /^(?:dlx|exec)$/.test(rest[0] ?? ""))
    return of(`${name} ${rest[0]}`, rest.slice(1));
  if (name === "uv" && rest[0] === "run") return of("uv run", rest.slice(1));
  if (name === "uv" && rest[0] === "tool" && rest[1] === "run") return of("uv tool run", rest.slice(2));
  if (name === "pipx" && rest[0] === "run") return of("pipx run", rest.slice(1));
  if (/^(?:docker|podman)$/.test(name) && rest[0] === "run") return of(`${name} run`, rest.slice(1));
  return undefined;
}

function judgeName(name: string): Recognised | undefined {
  const part = tellingPart(name);
  if (languageServer.test(part) || notServer.test(basename(part))) return undefined;
  if (mcp.test(part)) return { how: `its command says MCP: ${part}`, strength: "named" };
  if (server.test(part)) return { how: `its command says server: ${part}`, strength: "generic" };
  if (/\/_npx\/|\/uv\/(?:archive|builds|tools)/.test(name))
    return { how: "it was fetched by npx or uvx", strength: "generic" };
  return undefined;
}

/** Longer or multi-line text is a script: its commands are seen as processes. */
const isLaunch = (text: string) => text.length <= 2000 && !text.trim().includes("\n");

/** The simple commands of `sh -c "…"`, in words; quoted text is one word. */
function shellCommands(text: string): string[][] {
  if (!isLaunch(text)) return [];
  const commands: string[][] = [[]];
  for (const [part, separator] of text.matchAll(
    /(&&|\|\||[;|&])|(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s;|&'"\\])+|['"\\]/gs,
  )) {
    if (separator !== undefined) commands.push([]);
    else commands.at(-1)?.push(part.replaceAll(/'([^']*)'|"([^"]*)"/g, "$1$2"));
  }
  return commands
    .map((words) => {
      let at = 0;
      while (/^(?:exec|env|setsid|nohup|command|\w+=.*)$/s.test(words[at] ?? "")) at += 1;
      return words.slice(at);
    })
    .filter((words) => words.length > 0 && words[0] !== "");
}

/** Whether a command line looks like an MCP server or its launcher. */
export function recogniseServer(words: readonly string[], depth = 0): Recognised | undefined {
  const [program = "", ...rest] = words;
  if (program === "" || clientOf(words) !== undefined) return undefined;
  const launched = launchedBy(words);
  if (launched !== undefined) {
    const found = judgeName(launched.target);
    if (found !== undefined) return found;
    if (/^(?:docker|podman) run$/.test(launched.launcher) || languageServer.test(launched.target)) return undefined;
    return { how: `it is run by ${launched.launcher}`, strength: "generic" };
  }
  const name = basename(program);
  if (shells.test(name)) {
    const option = rest.findIndex((word) => /^-\w*c$/.test(word));
    if (option >= 0) {
      if (depth > 1) return undefined;
      return shellCommands(rest[option + 1] ?? "")
        .map((each) => recogniseServer(each, depth + 1))
        .find((found) => found !== undefined);
    }
  }
  if (!runtimes.test(name)) return judgeName(program);
  const code = rest.findIndex((word) => /^(?:-e|-c|-pe|--eval)$/.test(word));
  if (code >= 0) {
    const isServer = /modelcontextprotocol|fastmcp|["']tools\/list["']/i.test(rest[code + 1] ?? "");
    return isServer ? { how: "its inline code speaks MCP", strength: "named" } : undefined;
  }
  const script = firstOperand(rest);
  return script === undefined ? undefined : judgeName(script);
}

const clients: [name: string, pattern: RegExp][] = [
  ["Claude Code", /@anthropic-ai\/claude-code|(?:^|\/)claude(?:\.js|\.exe)?$|\/claude\/versions\//],
  ["Claude Desktop", /claude-desktop|Claude\.AppImage/i],
  ["Codex", /@openai\/codex|(?:^|\/)codex(?:\.js)?$/],
  ["Gemini CLI", /@google\/gemini-cli|(?:^|\/)gemini(?:\.js)?$/],
  ["OpenClaw", /(?:^|\/)(?:openclaw|clawdbot|moltbot)(?:\.m?js)?$|node_modules\/(?:openclaw|clawdbot|moltbot)\//],
  ["Copilot CLI", /@github\/copilot(?:\/|$)|(?:^|\/)copilot$/],
  ["Cursor", /(?:^|\/)cursor(?:-agent)?$|\/share\/cursor\/|\.cursor-server\//i],
  [
    "VS Code",
    /(?:^|\/)(?:code(?:-insiders|-oss)?|codium)$|\/(?:share|lib)\/(?:code|codium|vscodium)\/|\.?vscode-server\//,
  ],
  ["Windsurf", /(?:^|\/)windsurf$|\/share\/windsurf\//i],
  ["Goose", /(?:^|\/)goosed?$/],
  ["opencode", /(?:^|\/)opencode$|node_modules\/opencode/],
  ["Zed", /(?:^|\/)zed(?:-editor)?$/],
  ["MCP Inspector", /@modelcontextprotocol\/inspector|mcp-inspector/],
];

function isGateway(name: string, script: string, words: readonly string[]): boolean {
  return (
    words.includes("gateway") &&
    /(?:^|\/)(?:holdfast|(?:dist|lib|src)\/main\.[jt]s)$/.test(script === "" ? name : script)
  );
}

/** The name of a known MCP client, by program or script; else undefined. */
export function clientOf([program = "", ...rest]: readonly string[]): string | undefined {
  const script = runtimes.test(basename(program)) ? (firstOperand(rest) ?? "") : "";
  // `codex mcp-server`, `claude mcp serve`: a client's program as a server.
  if (rest.some((word) => word === "mcp-server") || (rest.includes("mcp") && rest.includes("serve"))) return undefined;
  if (isGateway(basename(program), script, rest)) return "Holdfast's gateway";
  if (/extensions?\//.test(script)) return undefined; // an extension of an editor is not the editor
  return clients.find(([, pattern]) => pattern.test(program) || (script !== "" && pattern.test(script)))?.[0];
}

/** Whether an agent starts its servers itself, so that its piped children (shells excepted) are servers. */
export const isAgent = (client: string): boolean =>
  /^(?:Claude|Codex|Gemini|OpenClaw|Copilot|Goose|opencode|MCP Inspector)/.test(client);

export const isShell = (words: readonly string[]): boolean => shells.test(basename(words[0] ?? ""));
export const isRuntime = (words: readonly string[]): boolean =>
  runtimes.test(basename(words[0] ?? "")) && !isShell(words);

/** Reapers by purpose, which do not start MCP servers over pipes. */
const reapers =
  /^(?:systemd|init|tini|tini-static|dumb-init|docker-init|catatonit|pause|s6-svscan|s6-linux-init|runit|runsvdir|runsv|openrc-init|upstart|busybox|launchd|SessionLeader|Relay\(\d+\)|containerd-shim\S*|conmon)$/;

export const isReaper = (words: readonly string[]): boolean => reapers.test(basename(words[0] ?? "").replace(/^-/, ""));

export const isSystemd = (words: readonly string[]): boolean => /^(?:systemd|init)$/.test(basename(words[0] ?? ""));

/** Variables left by hosts and launchers of MCP servers. */
const telling =
  /^(?:npm_command=exec|npm_lifecycle_event=npx|HOLDFAST_RUN=|CLAUDECODE=|CLAUDE_CODE_|CODEX_|OPENCLAW_|CLAWDBOT_|GEMINI_CLI|MCP_|UV_RUN_)/;

export function recogniseEnvironment(environment: readonly string[]): Recognised | undefined {
  const entry = environment.find((each) => telling.test(each));
  return entry === undefined ? undefined : { how: `its environment has ${entry.split("=")[0]}`, strength: "generic" };
}
