/** What a background run is to be, whole: `true` in the background, unless it is said otherwise. */
import type { BackgroundSpec } from "../../src/protocol/background.ts";
import { completeSpec } from "../../src/protocol/keeper/background-spec.ts";

export function backgroundSpec({ argv = ["true"], ...given }: Partial<BackgroundSpec> = {}): BackgroundSpec {
  return completeSpec(argv, given);
}
