/** The only gateway that this node serves, recorded at the first welcome. */
import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { HoldfastError } from "../../errors.ts";
import { writeDurable } from "../../platform/self/private-file.ts";

const pinShape = z.strictObject({
  /** Its id. */
  gateway: z.string().regex(/^[0-9a-f]{8,64}$/),
  /** SHA-256 of its certificate, hex; "" = without TLS. */
  fingerprint: z.string().regex(/^(?:[0-9a-f]{64})?$/),
  /** Epoch of the node's keeper at pinning: earlier runs belonged to another gateway. */
  epoch: z.int().min(1),
  /** SHA-256 of the invitation used, which is valid once; null = none. */
  invite: z.string().nullable(),
});
export type Pin = z.output<typeof pinShape>;

export class PinFile {
  readonly #path: string;
  #pin: Pin | undefined;

  /** Throws `state_unusable` for an unreadable file: without the pin any gateway would be accepted. */
  constructor(frontDirectory: string) {
    this.#path = pinPath(frontDirectory);
    this.#pin = read(this.#path);
  }

  get pin(): Pin | undefined {
    return this.#pin;
  }

  /** Writes only what is new. */
  keep(pin: Pin): void {
    if (JSON.stringify(pin) === JSON.stringify(this.#pin)) return;
    writeDurable(this.#path, `${JSON.stringify(pin)}\n`);
    this.#pin = pin;
  }
}

export function digestOf(invite: string): string {
  return createHash("sha256").update(invite).digest("hex");
}

/** The next gateway that welcomes this node is pinned. */
export function forgetGateway(frontDirectory: string): void {
  rmSync(pinPath(frontDirectory), { force: true });
}

function pinPath(frontDirectory: string): string {
  return join(frontDirectory, "node-gateway.json");
}

function read(path: string): Pin | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw unusable(path);
  }
  try {
    return pinShape.parse(JSON.parse(text));
  } catch {
    throw unusable(path);
  }
}

function unusable(path: string): HoldfastError {
  const advice = "start once with --forget-gateway to serve whatever gateway welcomes this node next";
  return new HoldfastError("state_unusable", `${path}, which names this node's gateway, cannot be read; ${advice}`);
}
