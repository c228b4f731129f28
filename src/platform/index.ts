/** Selects the operating system; the rest of the code is independent of it. */
import { HoldfastError } from "../errors.ts";
import { linux } from "./linux/index.ts";
import type { Platform } from "./types.ts";

/** Another operating system needs a line here and a directory beside `linux/`. */
const backends: Partial<Record<NodeJS.Platform, Platform>> = { linux };

/** Throws without a backend, before anything is opened or written. */
export function requirePlatform(name: NodeJS.Platform = process.platform): void {
  if (backends[name] !== undefined) return;
  const message = `Holdfast has no containment for ${name} yet: it runs on Linux, and there it can prove what it ends`;
  throw new HoldfastError("unsupported_platform", message);
}

/** On other systems its looks find nothing, and `requirePlatform` refuses every start. */
export const platform: Platform = backends[process.platform] ?? linux;
