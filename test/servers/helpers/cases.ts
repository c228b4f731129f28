/** What each published server is asked, and what must be in its answer. */
import { join } from "node:path";
import type { Place } from "./published.ts";

export interface Case {
  name: string;
  package: string;
  args: string[];
  env: Record<string, string>;
  /** A tool that it must list. */
  tool: string;
  /** What the tool is given; without it the tool is not called, because it would ask the network. */
  given?: object;
  says?: RegExp;
}

type Name = "everything" | "filesystem" | "memory" | "thinking" | "github" | "context7" | "remote" | "browser";

export function casesIn(
  { temporary, remote, page }: Pick<Place, "temporary" | "remote" | "page">,
  chromium: string | undefined,
): Record<Name, Case> {
  const reference = (name: string) => ({ package: `@modelcontextprotocol/server-${name}`, args: [], env: {} });
  const thought = { thought: "hold", thoughtNumber: 1, totalThoughts: 1, nextThoughtNeeded: false };
  return {
    everything: {
      ...reference("everything"),
      name: "everything",
      tool: "echo",
      given: { message: "a word" },
      says: /a word/,
    },
    filesystem: {
      ...reference("filesystem"),
      name: "filesystem",
      args: [temporary],
      tool: "list_allowed_directories",
      given: {},
      says: /tmp/,
    },
    memory: {
      ...reference("memory"),
      name: "memory",
      env: { MEMORY_FILE_PATH: join(temporary, "memory.jsonl") },
      tool: "read_graph",
      given: {},
      says: /entities/,
    },
    thinking: {
      ...reference("sequential-thinking"),
      name: "thinking",
      tool: "sequentialthinking",
      given: thought,
      says: /thoughtNumber/,
    },
    github: { ...reference("github"), name: "github", tool: "search_repositories" },
    context7: { name: "context7", package: "@upstash/context7-mcp", args: [], env: {}, tool: "resolve-library-id" },
    remote: {
      name: "remote",
      package: "mcp-remote",
      args: [remote, "--allow-http", "--transport", "http-only"],
      env: { MCP_REMOTE_CONFIG_DIR: join(temporary, "mcp-remote") },
      tool: "echo",
      given: { message: "from afar" },
      says: /from afar/,
    },
    browser: {
      name: "browser",
      package: "@playwright/mcp",
      args: ["--headless", "--no-sandbox", "--isolated", "--executable-path", chromium ?? "none"],
      env: {},
      tool: "browser_navigate",
      given: { url: page },
      says: /Holdfast was here/,
    },
  };
}
