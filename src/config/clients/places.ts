/** Where each client keeps its MCP servers: which files, and under which keys of them. */
import { homedir } from "node:os";
import { basename, join } from "node:path";

export const clientNames = ["claude", "codex", "cursor", "vscode", "copilot", "openclaw", "gemini"] as const;
export type ClientName = (typeof clientNames)[number];

/** What is looked at to find files; a test gives its own. */
export interface Surroundings {
  env: Record<string, string | undefined>;
  /** The project directory, for files that belong to one. */
  directory: string;
  platform: NodeJS.Platform;
}

/** Keys that lead to an object of servers by name; `*` = every key. */
export type ServersPath = readonly string[];

const mcpServers: ServersPath[] = [["mcpServers"]];
const paths: Record<ClientName, ServersPath[]> = {
  claude: [["mcpServers"], ["projects", "*", "mcpServers"]],
  codex: [["mcp_servers"]],
  cursor: mcpServers,
  vscode: [["servers"]],
  copilot: mcpServers,
  openclaw: [["mcp", "servers"]],
  gemini: mcpServers,
};

/** For a file that was named without its client: `servers` means MCP servers in a file called mcp.json only. */
export function serversPaths(client: ClientName | undefined, file: string): ServersPath[] {
  if (client !== undefined) return paths[client];
  if (file.endsWith(".toml")) return paths.codex;
  const name = basename(file);
  const found = [...paths.claude, ...paths.openclaw];
  return name === "mcp.json" ? [...found, ...paths.vscode] : found;
}

/** The files that a client would read here, those that are not there included, the user's own first. */
export function clientFiles(client: ClientName, { env, directory, platform }: Surroundings): string[] {
  const home = env["HOME"] || homedir();
  const local = (...parts: string[]) => join(directory, ...parts);
  /** Where desktop programs keep their settings. */
  const settings =
    platform === "darwin"
      ? join(home, "Library", "Application Support")
      : platform === "win32"
        ? env["APPDATA"] || join(home, "AppData", "Roaming")
        : env["XDG_CONFIG_HOME"] || join(home, ".config");
  switch (client) {
    case "claude":
      return [
        join(env["CLAUDE_CONFIG_DIR"] || home, ".claude.json"),
        join(settings, "Claude", "claude_desktop_config.json"),
        local(".mcp.json"),
      ];
    case "codex":
      return [join(env["CODEX_HOME"] || join(home, ".codex"), "config.toml"), local(".codex", "config.toml")];
    case "cursor":
      return [join(home, ".cursor", "mcp.json"), local(".cursor", "mcp.json")];
    case "vscode":
      return [join(settings, "Code", "User", "mcp.json"), local(".vscode", "mcp.json")];
    case "copilot":
      return [join(env["COPILOT_HOME"] || join(home, ".copilot"), "mcp-config.json")];
    case "openclaw": {
      const profile = env["OPENCLAW_PROFILE"] ? `-${env["OPENCLAW_PROFILE"]}` : "";
      const state = env["OPENCLAW_STATE_DIR"] || join(env["OPENCLAW_HOME"] || home, `.openclaw${profile}`);
      return [env["OPENCLAW_CONFIG_PATH"] || join(state, "openclaw.json")];
    }
    case "gemini":
      return [join(env["GEMINI_CLI_HOME"] || home, ".gemini", "settings.json"), local(".gemini", "settings.json")];
  }
}
