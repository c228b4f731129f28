/** Values of options, checked as they are read. */
import { InvalidArgumentError } from "commander";

export function whole(text: string): number {
  const value = Number(text);
  if (!/^\d{1,10}$/.test(text) || value > 2_147_483_647)
    throw new InvalidArgumentError("it wants a whole number, at most 2147483647.");
  return value;
}

export function port(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535)
    throw new InvalidArgumentError("A port is a whole number from 0 to 65535.");
  return value;
}

/** For an option that may be given more than once. */
export const collect = (text: string, before: string[]): string[] => [...before, text];
