/** Selects the operating system; the rest of the code is independent of it. */
import { HoldfastError } from "../errors.ts";
import { backend, isSupported } from "./backend.ts";

/** Throws without a backend, before anything is opened or written. */
export function requirePlatform(name: NodeJS.Platform = process.platform): void {
  if (isSupported(name)) return;
  const message = `Holdfast has no containment for ${name} yet: it runs on Linux, and there it can prove what it ends`;
  throw new HoldfastError("unsupported_platform", message);
}

export const { platform } = backend("index");
