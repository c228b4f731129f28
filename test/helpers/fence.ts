/** A containment in this very test process, on a tier of choice, taken down with all that it fenced. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { platform } from "../../src/platform/index.ts";
import { installProgram } from "../../src/platform/linux/programs.ts";
import type { Container, Epoch, Spawned, TierName } from "../../src/platform/types.ts";

export class Fence implements AsyncDisposable {
  readonly ownerId = randomBytes(8).toString("hex");
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-fence-"));
  readonly pidFile = join(this.directory, "pids");
  readonly epoch: Epoch;
  #count = 0;

  constructor(tier: TierName) {
    this.epoch = platform.open(this.ownerId, 1, { directory: this.directory, only: tier }).epoch;
  }

  get launcher(): string {
    return installProgram(this.directory, "launcher");
  }

  create(): Container {
    this.#count += 1;
    return this.epoch.create(`r1-${this.#count.toString(16).padStart(8, "0")}`);
  }

  /** Starts a command in a container of its own. */
  async run(command: string, args: string[], env: Record<string, string> = {}): Promise<[Container, Spawned]> {
    const container = this.create();
    const process = await container.spawn({
      command,
      args,
      env: { PATH: globalThis.process.env["PATH"] ?? "", ...env },
    });
    return [container, process];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await platform.witness.endOwner(this.ownerId, 2000);
    this.epoch.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
