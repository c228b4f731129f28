/** Selects the operating system; the rest of the code is independent of it. */
import { backend } from "./backend.ts";

export { requirePlatform } from "./backend.ts";

export const { platform } = backend("index");
