/** Which operating system this is. Nothing outside this room asks. */
import { HoldfastError } from "../errors.ts";
import { linux } from "./linux/index.ts";
import type { Platform } from "./types.ts";

/** Another operating system is a line here and a directory beside `linux/`. */
const backends: Partial<Record<NodeJS.Platform, Platform>> = { linux };

/** Throws where no backend exists, before anything is opened or written. */
export function requirePlatform(name: NodeJS.Platform = process.platform): void {
  if (backends[name] !== undefined) return;
  const message = `Holdfast has no containment for ${name} yet: it runs on Linux, and there it can prove what it ends`;
  throw new HoldfastError("unsupported_platform", message);
}

/** Elsewhere its looks find nothing, and `requirePlatform` refuses whatever starts something. */
export const platform: Platform = backends[process.platform] ?? linux;
