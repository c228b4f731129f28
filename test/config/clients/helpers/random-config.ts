/** Client configs as people and programs write them: every layout, comment, quote and order, from a seed. */
import type { Random } from "../../../mcp/helpers/random.ts";

export interface RandomConfig {
  text: string;
  /** Servers that can be wrapped, by name. */
  stdio: Record<string, { command: string; args: string[] | undefined }>;
  /** Names of servers that must stay as they are. */
  other: string[];
}

/** Of command lines, with what is easily taken for something else. */
export const words = [
  "npx",
  "-y",
  "@scope/server",
  "a b",
  'quo"te',
  "back\\slash",
  "ünï",
  "it's",
  "",
  "--",
  "${HOME}/x",
  "#no",
  "{}",
  "],",
];
const programs = ["npx", "node", "/opt/my server/bin", "uvx", "python3", "ssh", "docker", "C:\\tools\\x.exe"];

class Writer {
  readonly #random: Random;
  readonly end: string;

  constructor(random: Random) {
    this.#random = random;
    this.end = this.chance(0.3) ? "\r\n" : "\n";
  }

  pick<T>(from: readonly T[]): T {
    return this.#random.pick(from);
  }

  /** `share` of 1. */
  chance(share: number): boolean {
    return this.#random.chance(share * 100);
  }

  count(below: number): number {
    return this.#random.int(below);
  }

  servers(): [string, { command: string; args: string[] | undefined } | "other"][] {
    return Array.from({ length: this.count(6) }, (_, index) => {
      const name = this.pick(["files", "with-dash", "under_score", "Ünicode x", "dotted.name"]) + index;
      if (this.chance(0.2)) return [name, "other"];
      const args = this.chance(0.25) ? undefined : Array.from({ length: this.count(5) }, () => this.pick(words));
      return [name, { command: this.pick(programs), args }];
    });
  }
}

type Style = "json" | "jsonc" | "json5";

function jsonString(writer: Writer, style: Style, value: string): string {
  if (style === "json5" && writer.chance(0.4) && !/['\\\n]/.test(value)) return `'${value}'`;
  return writer.chance(0.1) ? JSON.stringify(value).replaceAll("n", String.raw`\u006e`) : JSON.stringify(value);
}

/** `mcpServers` JSON in any dialect; what follows a value on its line is often a comment. */
export function randomJson(random: Random, path: readonly string[]): RandomConfig {
  const writer = new Writer(random);
  const style = writer.pick<Style>(["json", "jsonc", "json5"]);
  const isCompact = writer.chance(0.2);
  const indent = writer.pick(["  ", "\t", "    "]);
  const colon = isCompact ? ":" : writer.pick([": ", " : ", ":"]);
  const note = () =>
    style !== "json" && !isCompact && writer.chance(0.2) ? ` // ${writer.pick(["why", "]}", '"'])}` : "";
  const key = (name: string) =>
    style === "json5" && /^[a-z]+$/i.test(name) && writer.chance(0.5) ? name : jsonString(writer, style, name);
  const list = (open: string, close: string, items: string[], depth: number) => {
    const isInline = isCompact || (open === "[" && writer.chance(0.5));
    if (items.length === 0) return open + writer.pick(["", isInline ? "" : " "]) + close;
    const last = style !== "json" && writer.chance(0.3) ? "," : "";
    if (isInline) return open + items.join(isCompact ? "," : ", ") + last + close;
    const lines = items.map(
      (item, index) => indent.repeat(depth + 1) + item + (index < items.length - 1 ? "," : last) + note() + writer.end,
    );
    return open + note() + writer.end + lines.join("") + indent.repeat(depth) + close;
  };
  const member = (name: string, value: string) => key(name) + colon + value;
  const string = (value: string) => jsonString(writer, style, value);
  const depth = path.length;
  const servers = writer.servers();
  const entries = servers.map(([name, server]) => {
    if (server === "other")
      return member(name, list("{", "}", [member("url", string("https://example.com"))], depth + 1));
    const members = [member("command", string(server.command))];
    if (server.args !== undefined)
      members.splice(writer.count(2), 0, member("args", list("[", "]", server.args.map(string), depth + 2)));
    const more = {
      type: string("stdio"),
      env: list("{", "}", [member("API_KEY", string("s3cret"))], depth + 2),
      timeout: "1e3",
    };
    for (const [extra, value] of Object.entries(more))
      if (writer.chance(0.4)) members.splice(writer.count(members.length + 1), 0, member(extra, value));
    return member(name, list("{", "}", members, depth + 1));
  });
  let text = list("{", "}", entries, path.length);
  for (const [above, name] of path.toReversed().entries()) {
    const around = [member(name, text)];
    if (writer.chance(0.5))
      around.unshift(member(`before${above}`, writer.pick(["null", "-0.5", "[1,[2]]", '{"command":"no"}'])));
    if (writer.chance(0.5)) around.push(member(`after${above}`, writer.pick(["true", '"x"', '{"a":{"args":[]}}'])));
    text = list("{", "}", around, path.length - 1 - above);
  }
  return { text: (writer.chance(0.15) ? "\uFEFF" : "") + text + writer.pick(["", writer.end]), ...sorted(servers) };
}

/** Codex's TOML: headers, inline tables, dotted keys, all four kinds of string. */
export function randomToml(random: Random): RandomConfig {
  const writer = new Writer(random);
  const string = (value: string) => {
    if (!value.includes("'") && writer.chance(0.3)) return writer.chance(0.5) ? `'${value}'` : `'''${value}'''`;
    return writer.chance(0.2) ? `"""${JSON.stringify(value).slice(1, -1)}"""` : JSON.stringify(value);
  };
  const list = (values: string[]) => {
    const items = values.map(string);
    if (writer.chance(0.6)) return `[${items.join(", ")}]`;
    const note = () => (writer.chance(0.3) ? " # ] why" : "");
    return `[${note()}${writer.end}${items.map((item) => `    ${item},${note()}${writer.end}`).join("")}]`;
  };
  const note = () => (writer.chance(0.2) ? ' # "why" = [' : "");
  const line = (text: string) => writer.pick(["", "", "  "]) + text + note() + writer.end;
  const equals = writer.pick([" = ", "=", "  =  "]);
  const servers = writer.servers();
  const inline: string[] = [];
  const tables: string[] = [];
  for (const [name, server] of servers) {
    const key = /^[\w-]+$/.test(name) ? name : JSON.stringify(name);
    const members: [string, string][] =
      server === "other"
        ? [["url", string("https://example.com")]]
        : [
            ["command", string(server.command)],
            ...(server.args === undefined ? [] : [["args", list(server.args)] as [string, string]]),
          ];
    if (writer.chance(0.4)) members.push(["startup_timeout_sec", "20.5"]);
    if (writer.chance(0.3)) members.reverse();
    const form = writer.pick(["header", "header", "inline", "dotted"]);
    if (form === "inline")
      inline.push(line(`${key}${equals}{ ${members.map(([one, value]) => `${one} = ${value}`).join(", ")} }`));
    else if (form === "dotted") inline.push(...members.map(([one, value]) => line(`${key}.${one}${equals}${value}`)));
    else {
      const env = writer.chance(0.4) ? line(`[mcp_servers.${key}.env]`) + line(`API_KEY = "s3cret"`) : "";
      tables.push(
        line(`[mcp_servers.${key}]`) + members.map(([one, value]) => line(one + equals + value)).join("") + env,
      );
    }
  }
  const head =
    line("# settings") +
    line('model = "x"') +
    line("when = 2026-11-21T10:00:00Z") +
    line("[features]") +
    line("plugins = false");
  const all = inline.length === 0 ? "" : line("[mcp_servers]") + inline.join("");
  const tail = writer.chance(0.5) ? line('[projects."/tmp/x"]') + line('trust_level = "trusted"') : "";
  return { text: head + all + tables.join(writer.end) + tail, ...sorted(servers) };
}

function sorted(servers: ReturnType<Writer["servers"]>): Pick<RandomConfig, "stdio" | "other"> {
  const stdio: RandomConfig["stdio"] = {};
  const other: string[] = [];
  for (const [name, server] of servers) {
    if (server === "other") other.push(name);
    else stdio[name] = server;
  }
  return { stdio, other };
}
