/** The real clients. The tests start the programs that their install scripts would only link. */
import { globSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { installOutside } from "../../helpers/install.ts";

export interface Clients {
  claude: string;
  codex: string;
}

/** The programs themselves, or undefined when this is no complete install of ours. */
function findClients(directory: string): Clients | undefined {
  const find = (pattern: string) => globSync(pattern, { cwd: join(directory, "node_modules") })[0];
  const claude = find("@anthropic-ai/claude-code-*/claude");
  const codex = find("@openai/codex-*/vendor/*/bin/codex");
  if (claude === undefined || codex === undefined) return undefined;
  return { claude: join(directory, "node_modules", claude), codex: join(directory, "node_modules", codex) };
}

/** The clients, or the reason to skip. */
export async function installClients(): Promise<{ clients: Clients; skip: string | false }> {
  const source = fileURLToPath(new URL("..", import.meta.url));
  const { found, skip } = await installOutside({ name: "clients", source, find: findClients });
  return { clients: found ?? { claude: "", codex: "" }, skip };
}
