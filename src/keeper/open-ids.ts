/** Requests without an answer on one run, both ways, as the front declares them: what its successor has to settle. */
import { flags, type Frame } from "../protocol/keeper/frames.ts";
import type { HeldIds } from "../protocol/keeper/messages.ts";

/** Requests that may be open each way, and the longest id of a server's, in bytes. A front that declares more is not one of ours. */
const openMax = 10_000;
const idBytesMax = 1024;

export class OpenIds {
  readonly #toServer = new Set<number>();
  readonly #toFront = new Map<number, string>();

  /** What a frame says about requests; `word` = it says nothing else, its bytes are not for the server. */
  note({ flags: said, request, bytes }: Frame): "line" | "word" {
    const opens = (said & flags.opens) !== 0;
    const closes = (said & flags.closes) !== 0;
    if ((said & flags.fromServer) === 0) {
      if (opens && this.#toServer.size < openMax) this.#toServer.add(request);
      if (closes) this.#toServer.delete(request);
      return "line";
    }
    if (closes) this.#toFront.delete(request);
    if (!opens) return "line";
    if (this.#toFront.size < openMax && bytes.length <= idBytesMax)
      this.#toFront.set(request, bytes.toString("latin1"));
    return "word";
  }

  view(): HeldIds {
    const toFront = [...this.#toFront].map(([number, serverId]) => ({ number, serverId }));
    return { toServer: [...this.#toServer], toFront };
  }
}
