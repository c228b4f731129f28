/** Unanswered requests of one run, both ways, as declared by the front: the work that its successor has to settle. */
import { flags, type Frame } from "../protocol/keeper/frames.ts";
import type { HeldIds } from "../protocol/keeper/messages.ts";

/** Open requests allowed each way, and the longest id of a server's, in bytes. A front that declares more is not ours. */
const openMax = 10_000;
const idBytesMax = 1024;

export class OpenIds {
  readonly #toServer = new Set<number>();
  readonly #toFront = new Map<number, string>();

  /** Records a frame's open and closed requests; `note` = the frame carries nothing for the server. */
  note({ flags: said, request, bytes }: Frame): "line" | "note" {
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
    return "note";
  }

  view(): HeldIds {
    const toFront = [...this.#toFront].map(([number, serverId]) => ({ number, serverId }));
    return { toServer: [...this.#toServer], toFront };
  }
}
