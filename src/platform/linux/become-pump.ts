/** `holdfast mcp`: this process becomes a pump between its own stdio and one socket by execve, and no Node stays behind. */
import { closeAllOnExec, renumber } from "./ffi.ts";
import { installProgram, programDirectory } from "./programs.ts";

/** The pump's descriptor for the socket, and one that is neither that nor stdio. */
const pumpSocket = 3;
const elsewhere = 10;

/** Never returns, or throws when it cannot be had here; then nothing has changed but what will be closed at an exec. */
export function becomePump(socket: number): never {
  if (process.platform !== "linux" || process.execve === undefined) throw new Error("only Linux has the pump");
  const pump = installProgram(programDirectory(), "pump");
  closeAllOnExec();
  // From here on nothing of Node may be used but execve: these numbers may have been its own.
  renumber(socket, elsewhere);
  renumber(elsewhere, pumpSocket);
  process.execve(pump, ["holdfast-mcp"], {});
  throw new Error("execve returned");
}
