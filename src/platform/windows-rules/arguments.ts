/** A command's words as the one line of text that CreateProcessW wants, such that a program reads back the same words. */
import { win32 } from "node:path";
import { HoldfastError } from "../../errors.ts";

/** Units of UTF-16, the NUL at the end included: CreateProcessW, `lpCommandLine`. */
const lineMax = 32_767;

/** Of cmd.exe, in units of UTF-16. */
const shellLineMax = 8191;

/**
 * Between cmd.exe and one line for it: no AutoRun of the registry, and only the outermost quotation marks are taken off.
 */
export const cmdFlags: readonly string[] = ["/d", "/s", "/c"];

/** What cannot be in an argument of a batch file: cmd.exe expands `%` and ends at a line end; `"` opens its quotes. */
const unsafeInBatch = /["%\r\n\0]/;

/** What CreateProcessW is given. */
export interface StartLine {
  /** `lpApplicationName`: the file, so that nothing is searched. */
  readonly application: string;
  /** `lpCommandLine`. */
  readonly line: string;
}

function refused(message: string): HoldfastError {
  return new HoldfastError("spawn_failed", message);
}

/**
 * One argument by the rules of CommandLineToArgvW and the C runtime: backslashes count only before a quotation mark, and
 * there each is doubled.
 */
function quoteArgument(argument: string): string {
  if (argument !== "" && !/[\s"]/.test(argument)) return argument;
  const inside = argument.replaceAll(/(\\*)"/g, String.raw`$1$1\"`).replace(/(\\+)$/, "$1$1");
  return `"${inside}"`;
}

/** The first word has rules of its own: quotation marks group, and a backslash is always itself. */
function quoteProgram(program: string): string {
  if (program.includes('"')) throw refused(`cannot start ${program}: a quotation mark cannot be in a program's name`);
  return `"${program}"`;
}

/** Throws `spawn_failed` for what no Windows process can be given: a NUL, or a line beyond the system's limit. */
export function commandLine(program: string, args: readonly string[]): string {
  const withNul = [program, ...args].findIndex((word) => word.includes("\0"));
  if (withNul === 0) throw refused("cannot start a program with a NUL in its name");
  if (withNul > 0) throw refused(`cannot start ${program}: argument ${withNul} has a NUL`);
  const line = [quoteProgram(program), ...args.map(quoteArgument)].join(" ");
  if (line.length < lineMax) return line;
  throw refused(
    `cannot start ${program}: its command line has ${line.length} characters, and Windows allows ${lineMax - 1}`,
  );
}

/**
 * A batch file with its arguments for cmd.exe. All of them in quotation marks, so that `& | < > ^ ( )` stay text; what
 * no quoting protects is refused. Delayed expansion is off, and AutoRun of the registry is not run.
 */
function batchLine(file: string, args: readonly string[], systemRoot: string): StartLine {
  if (unsafeInBatch.test(file)) throw refused(`cannot start ${file}: cmd.exe would change this name; rename the file`);
  const bad = args.findIndex((argument) => unsafeInBatch.test(argument));
  if (bad >= 0) {
    const what = `argument ${bad + 1} has a character (" % or a line end) that cmd.exe would interpret`;
    throw refused(`cannot start ${file}: ${what}; start the program that this batch file starts`);
  }
  const words = [file, ...args].map((word) => `"${word.replace(/(\\+)$/, "$1$1")}"`).join(" ");
  const application = win32.join(systemRoot, "System32", "cmd.exe");
  const line = `"${application}" /e:ON /v:OFF /d /s /c "${words}"`;
  if (line.length <= shellLineMax) return { application, line };
  throw refused(
    `cannot start ${file}: its command line has ${line.length} characters, and cmd.exe allows ${shellLineMax}`,
  );
}

/** A line for cmd.exe, which knows no escapes: it gets every character as it is. Throws `spawn_failed` for several lines. */
function shellLine(application: string, text: string): StartLine {
  if (/[\r\n\0]/.test(text))
    throw refused(
      "cmd.exe takes one line, and would leave out the rest; give program and arguments (argv), or a batch file",
    );
  const line = `"${application}" ${cmdFlags.join(" ")} "${text}"`;
  if (line.length <= shellLineMax) return { application, line };
  throw refused(
    `a line for cmd.exe has at most ${shellLineMax} characters, and this one has ${line.length}; give program and arguments (argv)`,
  );
}

/** Whether these are the words of `shell` for Windows. */
const isShellLine = (file: string, args: readonly string[]) =>
  win32.basename(file).toLowerCase() === "cmd.exe" &&
  args.length === cmdFlags.length + 1 &&
  cmdFlags.every((flag, index) => args[index]?.toLowerCase() === flag);

/** Whether cmd.exe reads this file. */
export function isBatch(file: string): boolean {
  return /\.(?:bat|cmd)$/i.test(file);
}

/** For a file found by `findCommand`. `systemRoot` locates cmd.exe; ComSpec is a variable that anyone may set. */
export function startLine(file: string, args: readonly string[], systemRoot: string): StartLine {
  if (isBatch(file)) return batchLine(file, args, systemRoot);
  if (isShellLine(file, args)) return shellLine(file, args.at(-1) ?? "");
  return { application: file, line: commandLine(file, args) };
}
