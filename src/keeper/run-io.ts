/** How a run is fed and heard: lines for an MCP server, a capture for a background command, a log for an installation. */
import type { Spawned, SpawnRequest } from "../platform/types.ts";

export interface RunIo {
  /** Whether the command can notice the end of its input, so that it is worth a grace. */
  readonly hasInput: boolean;
  /** What the spawn needs to know of it. */
  request(): Pick<SpawnRequest, "stdin" | "terminal">;
  begin(contained: Spawned): void;
  /** No more input: the first step of a stop. */
  endInput(): void;
  /** Resolves when all that was printed has been taken; bounded. */
  drained(): Promise<void>;
  close(): void;
}
