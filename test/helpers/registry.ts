/** A package registry of a few lines on loopback, as far as npm needs one: it can be slow, refuse, and learn new versions. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** Not imported: see http.ts. */
const { createServer } = process.getBuiltinModule("node:http");

export interface PackageFiles {
  name: string;
  version: string;
  bin?: string | Record<string, string>;
  files: Record<string, string>;
}

export class Registry implements AsyncDisposable {
  /** Names of packages whose archive was fetched, in order. */
  readonly fetched: string[] = [];
  /** While set, archives are not sent. */
  isStalled = false;
  /** While set, every request is cut off. */
  isDown = false;
  readonly #versions = new Map<string, Map<string, { archive: Buffer; manifest: object }>>();
  readonly #server = createServer((request, response) => this.#answer(request, response));
  readonly #waiting = new Set<http.ServerResponse>();

  static async start(): Promise<Registry> {
    const registry = new Registry();
    registry.#server.listen(0, "127.0.0.1");
    await once(registry.#server, "listening");
    return registry;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** How many wait for an archive that is not sent. */
  get waiting(): number {
    return this.#waiting.size;
  }

  publish({ name, version, bin, files }: PackageFiles): void {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-package-"));
    const manifest = { name, version, ...(bin === undefined ? {} : { bin }) };
    try {
      const all = { "package.json": JSON.stringify(manifest), ...files };
      for (const [path, text] of Object.entries(all)) {
        const file = join(directory, "package", path);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, text, { mode: 0o755 });
      }
      const archive = execFileSync("tar", ["-czf", "-", "-C", directory, "package"]);
      const versions = this.#versions.get(name) ?? new Map<string, { archive: Buffer; manifest: object }>();
      this.#versions.set(name, versions.set(version, { archive, manifest }));
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  /** Everybody who waits for an archive gets it. */
  resume(): void {
    this.isStalled = false;
    for (const response of this.#waiting) response.emit("resume-archive");
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    if (this.isDown) return void request.socket.destroy();
    const path = decodeURIComponent(request.url ?? "").slice(1);
    const [name = "", file] = path.split("/-/");
    const versions = this.#versions.get(name);
    if (versions === undefined) return void response.writeHead(404).end("{}");
    const found = file === undefined ? undefined : versions.get(file.replace(".tgz", ""));
    if (found === undefined) return void response.end(JSON.stringify(this.#document(name, versions)));
    this.fetched.push(name);
    const send = () => {
      this.#waiting.delete(response);
      response.end(found.archive);
    };
    if (!this.isStalled) return send();
    this.#waiting.add(response);
    response.once("resume-archive", send).once("close", () => this.#waiting.delete(response));
  }

  #document(name: string, versions: Map<string, { archive: Buffer; manifest: object }>): object {
    const entries = [...versions].map(([version, { archive, manifest }]) => {
      const integrity = `sha512-${createHash("sha512").update(archive).digest("base64")}`;
      return [version, { ...manifest, dist: { tarball: `${this.url}${name}/-/${version}.tgz`, integrity } }] as const;
    });
    return { name, "dist-tags": { latest: entries.at(-1)?.[0] }, versions: Object.fromEntries(entries) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }
}
