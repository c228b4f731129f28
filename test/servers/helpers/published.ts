/** Published servers as their users start them: by npx, as in the configs that people have, and as `node bin`. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync } from "node:fs";
import http from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { installOutside, type Installed } from "../../helpers/install.ts";
import { everythingFile } from "../../helpers/servers.ts";
import type { Home } from "../../helpers/home.ts";
import { giveTo, root } from "../../helpers/tiers.ts";
import { until } from "../../helpers/until.ts";
import type { Case } from "./cases.ts";

export interface Published {
  package: string;
  version: string;
  /** Its program. */
  file: string;
  /** Where npx finds it installed, so that nothing is downloaded. */
  directory: string;
}

export type Launch = "npx" | "node";

const own = fileURLToPath(new URL("..", import.meta.url));

/** What one package.json pins, as it is installed in `directory`; undefined when something is missing. */
function pinned(source: string, directory: string, isWanted: (name: string) => boolean): Published[] | undefined {
  const { dependencies = {}, devDependencies = {} } = JSON.parse(
    readFileSync(join(source, "package.json"), "utf8"),
  ) as Record<string, Record<string, string>>;
  const all = Object.entries({ ...dependencies, ...devDependencies }).filter(([name]) => isWanted(name));
  const found = all.flatMap(([name, version]): Published[] => {
    const home = join(directory, "node_modules", name);
    if (!existsSync(join(home, "package.json"))) return [];
    const { bin } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as { bin: string | object };
    const [file = ""] = typeof bin === "string" ? [bin] : (Object.values(bin) as string[]);
    return [{ package: name, version, file: join(home, file), directory }];
  });
  return found.length === all.length ? found : undefined;
}

/** The servers that are installed outside the tree, and those that the project has anyway; or the reason to skip. */
export async function installServers(): Promise<Installed<Map<string, Published>>> {
  const find = (directory: string) => pinned(own, directory, () => true);
  const { found, skip } = await installOutside({ name: "servers", source: own, find });
  const ours = pinned(root, root, (name) => /\/server-(?:everything|filesystem)$/.test(name)) ?? [];
  const all = new Map([...(found ?? []), ...ours].map((one) => [one.package, one]));
  return { found: found === undefined ? undefined : all, skip };
}

/** The words that a user's config would have, in the directory where npx need not ask anybody. */
export function startedBy(
  launch: Launch,
  found: Map<string, Published> | undefined,
  { package: name, args, env }: Pick<Case, "package" | "args" | "env">,
  temporary: string,
): { command: string; args: string[]; cwd: string; env: Record<string, string> } {
  const server = found?.get(name);
  if (server === undefined) throw new Error(`${name} is not installed`);
  const { version, file, directory } = server;
  const [command, ...first] =
    launch === "npx" ? (["npx", "-y", `${name}@${version}`] as const) : ([process.execPath, file] as const);
  return { command, args: [...first, ...args], cwd: directory, env: { TMPDIR: temporary, ...env } };
}

/** What the servers are pointed at: a directory of theirs, a remote server, a page. */
export interface Place {
  temporary: string;
  remote: string;
  page: string;
  /** Of the remote server. */
  pid: number;
}

export async function openPlace(home: Home): Promise<Place & AsyncDisposable> {
  const temporary = join(home.directory, "tmp");
  mkdirSync(temporary);
  giveTo(home.tier, temporary);
  const remote = await remoteEverything(home.directory);
  const page = await smallPage("Holdfast was here");
  return {
    temporary,
    remote: remote.url,
    page: page.url,
    pid: remote.pid,
    async [Symbol.asyncDispose]() {
      await remote[Symbol.asyncDispose]();
      await page[Symbol.asyncDispose]();
    },
  };
}

/** server-everything over streamable HTTP, for a server that is itself a client of one. */
async function remoteEverything(home: string): Promise<AsyncDisposable & { url: string; pid: number }> {
  const port = await freePort();
  const child = spawn(process.execPath, [everythingFile(), "streamableHttp"], {
    env: { PATH: process.env["PATH"], HOME: home, PORT: String(port) },
    stdio: "ignore",
  });
  const exited = once(child, "exit");
  const url = `http://127.0.0.1:${port}/mcp`;
  const answers = () =>
    fetch(url, { signal: AbortSignal.timeout(1000) }).then(
      () => true,
      () => false,
    );
  await until("server-everything listens", answers, { boundMs: 20_000, everyMs: 50 });
  return {
    url,
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  const closed = once(probe, "close");
  probe.close();
  await closed;
  return port;
}

/** One small page, for a browser that is allowed no other. */
async function smallPage(title: string): Promise<AsyncDisposable & { url: string }> {
  const server = http.createServer((_, response) => {
    response.writeHead(200, { "content-type": "text/html" }).end(`<title>${title}</title><h1>${title}</h1>`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Live processes that name the place in their command line or their environment. */
export function processesNaming(place: string): { pid: number; command: string }[] {
  return readdirSync("/proc")
    .filter((name) => /^[1-9]/.test(name))
    .flatMap((name) => {
      try {
        const [command, environment] = ["cmdline", "environ"].map((file) =>
          readFileSync(`/proc/${name}/${file}`, "latin1"),
        );
        const isOurs = command?.includes(place) === true || environment?.includes(place) === true;
        return isOurs ? [{ pid: Number(name), command: command?.replaceAll("\0", " ") ?? "" }] : [];
      } catch {
        return []; // it ended meanwhile
      }
    });
}
