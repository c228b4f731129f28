/** What a system says by an exit code. */
import { describeStatus } from "./windows-rules/status.ts";

/** `exit code N`, with words unless it is the program's own. Only Windows has larger codes than 255, also those of its nodes. */
export function describeExitCode(code: number): string {
  const words = describeStatus(code);
  return words === undefined ? `exit code ${code}` : `exit code ${code} (${words})`;
}
