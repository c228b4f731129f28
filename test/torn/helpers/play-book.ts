/** Plays the scenario of one database in a directory and prints the numbers of the steps that were accepted. */
import { books } from "./books.ts";

const [file, directory = ""] = process.argv.slice(2);
const accepted: number[] = [];
const book = books.find((each) => each.file === file);
const opened = book?.open(directory, () => {});
for (const [index, step] of opened?.steps.entries() ?? []) {
  try {
    step();
    accepted.push(index);
  } catch {
    // Refused, which the parent judges.
  }
}
process.stdout.write(JSON.stringify(accepted));
// As killed here: what is not written by now is lost.
process.kill(process.pid, "SIGKILL");
