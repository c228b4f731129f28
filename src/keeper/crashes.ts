/** What is kept of a helper process that died: exit code, signal, last method and the last 64 KiB of its stderr. */
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { CrashView } from "./protocol/messages.ts";
import { writePrivate } from "./state-directory.ts";

const tailBytesMax = 64 * 1024;
const filesMax = 50;

/** Collects the end of a stream. */
export class StreamTail {
  #chunks: Buffer[] = [];
  #bytes = 0;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (this.#chunks.length > 1 && this.#bytes - (this.#chunks[0]?.length ?? 0) >= tailBytesMax) {
      this.#bytes -= this.#chunks.shift()?.length ?? 0;
    }
  }

  text(): string {
    return Buffer.concat(this.#chunks).subarray(-tailBytesMax).toString("utf8");
  }
}

export class CrashRecords {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Writes one crash to a file of its own and returns it as `status` shows it. */
  record(crash: Omit<CrashView, "file">, stderr: string): CrashView {
    const file = join(
      this.#directory,
      `${new Date(crash.at).toISOString().replaceAll(":", "")}-${crash.who}-${crash.pid}.json`,
    );
    const view = { ...crash, file };
    writePrivate(file, `${JSON.stringify({ ...view, stderr }, null, 2)}\n`);
    for (const old of this.#files().slice(0, -filesMax)) rmSync(join(this.#directory, old), { force: true });
    return view;
  }

  /** The newest crashes, newest first, those of earlier keepers included. */
  list(count: number): CrashView[] {
    const views: CrashView[] = [];
    for (const name of this.#files().slice(-count).reverse()) {
      try {
        const { stderr: _, ...view } = JSON.parse(readFileSync(join(this.#directory, name), "utf8")) as CrashView & {
          stderr: string;
        };
        views.push(view);
      } catch {
        // half a record of a machine that went down: nothing to show
      }
    }
    return views;
  }

  #files(): string[] {
    return readdirSync(this.#directory)
      .filter((name) => name.endsWith(".json"))
      .toSorted();
  }
}
