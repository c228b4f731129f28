/** Asks the person at this terminal one yes-or-no question, for a bounded time. */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { AskPerson, PersonAnswer } from "../keeper/background/consent.ts";

/** `nobody` where there is no terminal, or another program has it: to read from it then would stop this process. */
export function askAtTerminal(boundMs: number): AskPerson {
  return async (question) => {
    if (!process.stdin.isTTY || !process.stderr.isTTY || !isInForeground()) return "nobody";
    const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
    const { promise, resolve } = Promise.withResolvers<PersonAnswer>();
    const late = setTimeout(() => resolve("late"), boundMs);
    lines.once("line", (line) => resolve(/^y(?:es)?$/i.test(line.trim()) ? "yes" : "no"));
    lines.once("close", () => resolve("nobody"));
    process.stderr.write(
      `${question.split("\n").map(printable).join("\n")}\nallow this once? [y/N] (${Math.round(boundMs / 1000)} s) `,
    );
    const answer = await promise;
    clearTimeout(late);
    lines.close();
    process.stdin.pause();
    if (answer === "late") process.stderr.write("no answer: refused\n");
    return answer;
  };
}

/** What somebody far away said is not for the terminal to obey. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, "�");
}

/** Our process group is the one that the terminal listens to: fields 5 and 8 of /proc/self/stat. */
function isInForeground(): boolean {
  const stat = readFileSync("/proc/self/stat", "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[2] === fields[5];
}
