/** DELETE: a client ends its session and learns whether all of it is gone. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Clock } from "../../clock.ts";
import { asHoldfastError } from "../../errors.ts";
import type { ScopeClosed } from "../../ownership/scope.ts";
import type { Session } from "../../sessions/session.ts";
import { rpcCode } from "../wire/json-rpc.ts";
import { refusal, refuse } from "./reply.ts";

/** A slower DELETE is answered 202 (accepted) and continues in the background. */
const deleteWaitMs = 1000;

interface Ending {
  request: IncomingMessage;
  response: ServerResponse;
  headers: OutgoingHttpHeaders;
}

export async function endSession(
  { request, response, headers }: Ending,
  session: Session,
  clock: Clock,
): Promise<void> {
  const closed = await within(deleteWaitMs, session.close("session-ended"), clock);
  if (response.destroyed) return;
  if (closed !== undefined && closed.failures.length > 0) {
    const message = closed.failures.map(({ error }) => asHoldfastError(error).message).join("; ");
    return refuse(request, response, { ...refusal(500, rpcCode.internal, "survivors", message), headers });
  }
  response.writeHead(closed === undefined ? 202 : 204, headers);
  response.end();
}

/** Resolves with undefined after `ms`; the end continues in the background. */
function within(ms: number, gone: Promise<ScopeClosed>, clock: Clock): Promise<ScopeClosed | undefined> {
  return new Promise((resolve) => {
    const timer = clock.after(ms, () => resolve(undefined));
    void gone.then((closed) => {
      timer.clear();
      resolve(closed);
    });
  });
}
