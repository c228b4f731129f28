/** `holdfast mcp`: this process becomes a pump between its stdio and one socket by execve, leaving no Node behind. */
import { closeAllOnExec, renumber } from "./ffi.ts";
import { installProgram, programDirectory } from "./programs.ts";

/** The pump's descriptor for the socket, and one distinct from it and stdio. */
const pumpSocket = 3;
const elsewhere = 10;

/** Never returns, or throws when unavailable; then only close-on-exec flags have changed. */
export function becomePump(socket: number): never {
  if (process.platform !== "linux" || process.execve === undefined) throw new Error("only Linux has the pump");
  const pump = installProgram(programDirectory(), "pump");
  closeAllOnExec();
  // From here on only execve may be used of Node: these descriptor numbers may have been its own.
  renumber(socket, elsewhere);
  renumber(elsewhere, pumpSocket);
  process.execve(pump, ["holdfast-mcp"], {});
  throw new Error("execve returned");
}
