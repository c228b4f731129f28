/** The locations of each client's MCP servers: files and keys. */
import { basename, posix, win32 } from "node:path";
import { homeDirectory } from "../../platform/places.ts";

export const clientNames = ["claude", "codex", "cursor", "vscode", "copilot", "openclaw", "gemini"] as const;
export type ClientName = (typeof clientNames)[number];

/** Inputs for finding files; tests supply their own. */
export interface Surroundings {
  env: Record<string, string | undefined>;
  /** The project directory, for project files. */
  directory: string;
  platform: NodeJS.Platform;
}

/** Keys from the root to an object of servers by name; `*` = every key. */
export type ServersPath = readonly string[];

const mcpServers: readonly ServersPath[] = [["mcpServers"]];
const paths: Record<ClientName, readonly ServersPath[]> = {
  claude: [["mcpServers"], ["projects", "*", "mcpServers"]],
  codex: [["mcp_servers"]],
  cursor: mcpServers,
  vscode: [["servers"]],
  copilot: mcpServers,
  openclaw: [["mcp", "servers"]],
  gemini: mcpServers,
};

/** For a file given without its client: `servers` means MCP servers only in mcp.json. */
export function serversPaths(client: ClientName | undefined, file: string): readonly ServersPath[] {
  if (client !== undefined) return paths[client];
  if (file.endsWith(".toml")) return paths.codex;
  const name = basename(file);
  const found = [...paths.claude, ...paths.openclaw];
  return name === "mcp.json" ? [...found, ...paths.vscode] : found;
}

/** The files that a client would read here, including missing ones, the user's own first. */
export function clientFiles(client: ClientName, surroundings: Surroundings): string[] {
  const { env, directory, platform } = surroundings;
  const { join } = platform === "win32" ? win32 : posix;
  // On Windows a shell such as Git's sets HOME, which clients do not read.
  const home = env[platform === "win32" ? "USERPROFILE" : "HOME"] || homeDirectory();
  const local = (...parts: string[]) => join(directory, ...parts);
  const settings = settingsDirectory(home, surroundings);
  const files: Record<ClientName, () => string[]> = {
    claude: () => [
      join(env["CLAUDE_CONFIG_DIR"] || home, ".claude.json"),
      join(settings, "Claude", "claude_desktop_config.json"),
      local(".mcp.json"),
    ],
    codex: () => [join(env["CODEX_HOME"] || join(home, ".codex"), "config.toml"), local(".codex", "config.toml")],
    cursor: () => [join(home, ".cursor", "mcp.json"), local(".cursor", "mcp.json")],
    vscode: () => [join(settings, "Code", "User", "mcp.json"), local(".vscode", "mcp.json")],
    copilot: () => [join(env["COPILOT_HOME"] || join(home, ".copilot"), "mcp-config.json")],
    openclaw: () => [openclawFile(home, env, join)],
    gemini: () => [join(env["GEMINI_CLI_HOME"] || home, ".gemini", "settings.json"), local(".gemini", "settings.json")],
  };
  return files[client]();
}

/** The settings directory of desktop programs. */
function settingsDirectory(home: string, { env, platform }: Surroundings): string {
  const { join } = platform === "win32" ? win32 : posix;
  if (platform === "darwin") return join(home, "Library", "Application Support");
  if (platform === "win32") return env["APPDATA"] || join(home, "AppData", "Roaming");
  return env["XDG_CONFIG_HOME"] || join(home, ".config");
}

function openclawFile(home: string, env: Surroundings["env"], join: typeof posix.join): string {
  const profile = env["OPENCLAW_PROFILE"] ? `-${env["OPENCLAW_PROFILE"]}` : "";
  const state = env["OPENCLAW_STATE_DIR"] || join(env["OPENCLAW_HOME"] || home, `.openclaw${profile}`);
  return env["OPENCLAW_CONFIG_PATH"] || join(state, "openclaw.json");
}
