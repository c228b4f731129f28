/** `holdfast connect`: one line per client that connects it to the gateway. The shell reads the token; it is never printed. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { GatewayClient } from "../client/rpc.ts";
import type { ClientName } from "../config/clients/places.ts";
import type { CommandContext } from "./context.ts";
import { stdioEntry } from "./own-installation.ts";
import { printJson, printLines } from "./print.ts";

interface Line {
  client: ClientName;
  line: string;
}

/** Prints for one client or for all. */
export function connect(context: CommandContext, client: ClientName | undefined): number {
  const url = `${new GatewayClient(context).url}/mcp`;
  const file = join(context.state, "token");
  const token = `$(cat ${shellWord(file)})`;
  const lines = linesFor(url, token, stdioEntry(context)).filter(
    (one) => client === undefined || one.client === client,
  );
  if (context.json) printJson({ url, clients: Object.fromEntries(lines.map((one) => [one.client, one.line])) });
  else printLines(lines.flatMap((one) => [`# ${one.client}`, one.line]));
  if (context.url !== undefined && !existsSync(file))
    process.stderr.write(
      `holdfast: the token is missing: write one of that gateway to ${file}, for this user alone (\`holdfast tokens add NAME\` there prints one)\n`,
    );
  return 0;
}

/** HTTP where the client's command accepts a header; stdio where its file would have to hold the token. */
function linesFor(url: string, token: string, words: readonly string[]): Line[] {
  const header = `"Authorization: Bearer ${token}"`;
  const [command = "", ...args] = words;
  const shim = { command, args };
  const json = (value: object) => shellWord(JSON.stringify(value));
  return [
    { client: "claude", line: `claude mcp add --transport http holdfast ${url} --header ${header}` },
    {
      client: "codex",
      line: `export HOLDFAST_TOKEN="${token}" && codex mcp add holdfast --url ${url} --bearer-token-env-var HOLDFAST_TOKEN`,
    },
    {
      client: "cursor",
      line: `mkdir -p .cursor && ${newFile(".cursor/mcp.json", { mcpServers: { holdfast: shim } })}`,
    },
    { client: "vscode", line: `code --add-mcp ${json({ name: "holdfast", type: "stdio", ...shim })}` },
    { client: "copilot", line: `copilot mcp add holdfast -- ${words.map(shellWord).join(" ")}` },
    { client: "openclaw", line: `openclaw mcp set holdfast ${json(shim)}` },
    { client: "gemini", line: `gemini mcp add --scope user --transport http --header ${header} holdfast ${url}` },
  ];
}

/** Creates a file, and in any shell refuses to overwrite one with `set -C`. */
function newFile(file: string, content: object): string {
  return `(set -C; printf '%s\\n' ${shellWord(JSON.stringify(content))} > ${file})`;
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
