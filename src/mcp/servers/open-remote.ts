/** Opens the wire to a remote server in the scope that owns it, as `StdioWire.open` does for a process. */
import type { Scope } from "../../ownership/scope.ts";
import { RemoteWire, type RemoteParams } from "./remote-wire.ts";
import type { Wire, WireEvents } from "./wire.ts";

/** Rejects when the server is unreachable, as far as that shows at once. */
export async function openRemote(params: RemoteParams & { scope: Scope }, events: WireEvents): Promise<Wire> {
  let wire: RemoteWire | undefined;
  let isGone = false;
  const opened = await RemoteWire.open(params, {
    onLine: (line, release) => events.onLine(line, release),
    onClosed(outcome) {
      isGone = true;
      if (wire !== undefined) params.scope.release(wire);
      events.onClosed(outcome);
    },
  });
  wire = opened;
  // Its end closes the remote session; a scope that is already closing does so at once.
  if (!isGone) params.scope.add(opened, `connection to ${params.server.name}`);
  return opened;
}
