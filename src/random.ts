/** The one source of random numbers and ids: objects receive it, so that a simulation can draw them from a seed. */
import { randomBytes } from "node:crypto";
import { systemClock, type Clock } from "./clock.ts";

export interface Random {
  /** For ids and secrets; the caller encodes them. */
  bytes(count: number): Buffer;
  /** At least 0 and less than 1, for jitter. */
  fraction(): number;
}

export const systemRandom: Random = { bytes: randomBytes, fraction: Math.random };

/** For objects that need time and random numbers. */
export interface Sources {
  clock: Clock;
  random: Random;
}

export const systemSources: Sources = { clock: systemClock, random: systemRandom };

/** An id or a secret of so many random bytes, in base64url. It never begins as an option does, so that it can be an argument. */
export function randomWord(random: Random, bytes: number): string {
  return random.bytes(bytes).toString("base64url").replace(/^-/, "_");
}
