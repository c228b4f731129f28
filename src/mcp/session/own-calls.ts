/** Calls of Holdfast's own tools on `/mcp`, answered without a server. */
import { downFault } from "../wire/faults.ts";
import type { Session } from "../../sessions/session.ts";
import type { OwnTool } from "../tools/tool.ts";
import type { ClientCall } from "../servers/client.ts";
import { answerItself } from "./session-client.ts";

export class OwnCalls {
  readonly #session: Session;
  readonly #open = new Map<ClientCall, AbortController>();

  constructor(session: Session) {
    this.#session = session;
  }

  perform(call: ClientCall, tool: OwnTool, body: Buffer): void {
    const message = JSON.parse(body.toString()) as { params?: { arguments?: unknown } };
    const given = new AbortController();
    this.#open.set(call, given);
    tool.call(message.params?.arguments, { session: this.#session, signal: given.signal }).then(
      (result) => {
        this.#open.delete(call);
        answerItself(call, JSON.stringify(result));
      },
      (thrown: unknown) => call.fail(downFault(thrown)),
    );
  }

  /** The call is over, possibly cancelled by its client. */
  done(call: ClientCall): void {
    this.#open.get(call)?.abort();
    this.#open.delete(call);
  }
}
