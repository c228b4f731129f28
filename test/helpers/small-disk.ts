/** A disk so small that it is full soon. Needs root. */
import { execFileSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

export class SmallDisk implements Disposable {
  readonly directory: string;
  readonly #filler: string;

  /** In that directory; it holds so many KiB. */
  constructor(parent: string, kibibytes: number) {
    this.directory = join(parent, "small-disk");
    this.#filler = join(this.directory, "filler");
    if (!existsSync(this.directory)) mkdirSync(this.directory, { mode: 0o700 });
    execFileSync("mount", ["-t", "tmpfs", "-o", `mode=700,size=${kibibytes}k`, "tmpfs", this.directory]);
  }

  grow(kibibytes: number): void {
    execFileSync("mount", ["-o", `remount,size=${kibibytes}k`, this.directory]);
  }

  /** Not one more byte has room. */
  fill(): void {
    const descriptor = openSync(this.#filler, "a");
    const page = Buffer.alloc(4096);
    try {
      for (;;) writeSync(descriptor, page);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "ENOSPC") throw thrown;
    } finally {
      closeSync(descriptor);
    }
  }

  empty(): void {
    rmSync(this.#filler, { force: true });
  }

  /** Also a second time. */
  [Symbol.dispose](): void {
    if (existsSync(this.directory)) execFileSync("umount", ["--lazy", "--quiet", this.directory], { stdio: "ignore" });
  }
}
