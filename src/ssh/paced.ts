/** A reader of remarks: who prints more than anybody could read waits in its own pipe, and the keeper's turns stay its own. */
import type { Readable } from "node:stream";
import type { Clock, Timer } from "../clock.ts";

/** Bytes in a window before the pipe is left unread until its end, which comes so many milliseconds later. */
const windowBytesMax = 128 * 1024;
const windowMs = 50;

export function readPaced(stream: Readable, clock: Clock, take: (chunk: Buffer) => void): void {
  let bytes = 0;
  let timer: Timer | undefined;
  stream.on("data", (chunk: Buffer) => {
    take(chunk);
    bytes += chunk.length;
    if (bytes <= windowBytesMax || timer !== undefined) return;
    stream.pause();
    timer = clock.after(windowMs, () => {
      timer = undefined;
      bytes = 0;
      stream.resume();
    });
  });
  stream.once("close", () => timer?.clear());
}
