/** The single call of CreateProcessW: a command is born in its job, with three handles and no window. */
import { statSync } from "node:fs";
import type { Socket } from "node:net";
import { isatty } from "node:tty";
import { HoldfastError } from "../../errors.ts";
import { guardVariable, markerVariable } from "../marker.ts";
import type { Environment, SpawnRequest } from "../types.ts";
import { commandLine } from "../windows-rules/arguments.ts";
import { resolveCommand } from "../windows-rules/command.ts";
import { environmentBlock, mergeVariables, variablesFrom } from "../windows-rules/environment.ts";
import { failure, windows, type Handle } from "./ffi.ts";
import { copyOwn, openNull, openPipe, type ChildStream } from "./pipes.ts";

/** CREATE_NEW_PROCESS_GROUP, CREATE_UNICODE_ENVIRONMENT, EXTENDED_STARTUPINFO_PRESENT and CREATE_NO_WINDOW. */
const flag = { newGroup: 0x200, unicode: 0x400, extended: 0x8_0000, noWindow: 0x800_0000 };
/** PROC_THREAD_ATTRIBUTE_HANDLE_LIST and PROC_THREAD_ATTRIBUTE_JOB_LIST. */
const attribute = { handles: 0x2_0002, jobs: 0x2_000d };
/** STARTUPINFOEXW, with STARTF_USESHOWWINDOW (SW_HIDE) and STARTF_USESTDHANDLES. */
const startup = { size: 112, flags: 60, streams: 80, attributes: 104, use: 0x101 };
/** PROCESS_INFORMATION: both handles, then both numbers. */
const created = { size: 24, thread: 8, pid: 16 };
const inheritFlag = 1;

export interface Born {
  /** To be closed by the caller. */
  readonly process: Handle;
  readonly pid: number;
  /** Our ends; null for streams that are not pipes. */
  readonly sockets: readonly (Promise<Socket> | null)[];
}

/** `hidden`: without a window, such as a keeper's own. */
export type OwnConsole = "none" | "hidden" | "visible";

function ownConsole(): OwnConsole {
  const system = windows();
  if (system.GetConsoleCP() === 0) return "none";
  return system.GetConsoleWindow() === 0 ? "hidden" : "visible";
}

/** Whether commands share a console with this process, so that Ctrl+Break reaches them. */
export const hasHiddenConsole = (): boolean => ownConsole() === "hidden";

/**
 * No start opens a window. A hidden console is shared with all commands; a visible one belongs to a person, and only a command
 * that inherits a stream of ours stays in it.
 */
export function creationFlags(own: OwnConsole, isInheriting: boolean): number {
  const staysHere = own === "hidden" || (own === "visible" && isInheriting);
  return flag.newGroup | flag.unicode | flag.extended | (staysHere ? 0 : flag.noWindow);
}

function openStreams({ stdin = "pipe", stdout = "pipe", stderr = "pipe" }: SpawnRequest): ChildStream[] {
  const opened: ChildStream[] = [];
  try {
    for (const [index, kind] of [stdin, stdout, stderr].entries()) {
      if (kind === "inherit") opened.push(copyOwn(index as 0 | 1 | 2));
      else opened.push(kind === "ignore" ? openNull() : openPipe(index === 0 ? "in" : "out"));
    }
    return opened;
  } catch (thrown) {
    closeAll(opened);
    throw thrown;
  }
}

function closeAll(streams: readonly ChildStream[]): void {
  for (const { handle } of streams) windows().CloseHandle(handle);
}

function handleBytes(handles: readonly Handle[]): Buffer {
  const bytes = Buffer.alloc(8 * handles.length);
  for (const [index, handle] of handles.entries()) bytes.writeBigInt64LE(BigInt(handle), 8 * index);
  return bytes;
}

/** Runs `use` with the list of attributes, whose values must stay alive as long as it. */
function withAttributes<T>(
  values: readonly (readonly [attribute: number, value: Buffer])[],
  use: (list: Buffer) => T,
): T {
  const system = windows();
  const size = Buffer.alloc(8);
  system.InitializeProcThreadAttributeList(null, values.length, 0, size);
  const list = Buffer.alloc(Number(size.readBigUInt64LE(0)));
  if (system.InitializeProcThreadAttributeList(list, values.length, 0, size) === 0)
    throw failure("InitializeProcThreadAttributeList");
  try {
    for (const [name, value] of values)
      if (system.UpdateProcThreadAttribute(list, 0, name, value, value.length, null, null) === 0)
        throw failure("UpdateProcThreadAttribute");
    return use(list);
  } finally {
    system.DeleteProcThreadAttributeList(list);
  }
}

/** The environment of a run: with its marker, and without that of a guard. */
function markedEnvironment(environment: Environment, marker: string): Record<string, string> {
  const merged = mergeVariables(variablesFrom(environment), { [markerVariable]: marker });
  return Object.fromEntries(Object.entries(merged).filter(([name]) => name.toUpperCase() !== guardVariable));
}

/** Starts a command in this job, within this turn. Throws `spawn_failed` with nothing started. */
export function spawnIn(job: Handle, request: SpawnRequest, marker: string): Born {
  const { command, args, cwd } = request;
  if (cwd !== undefined && statSync(cwd, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw refusal(request, new Error("the directory does not exist"));
  const env = markedEnvironment(request.env, marker);
  const { application, line, variables } = resolveCommand(command, args, { cwd: cwd ?? process.cwd(), variables: env });
  const block = environmentBlock(mergeVariables(env, variables));
  const streams = openStreams(request);
  try {
    const flags = creationFlags(
      ownConsole(),
      streams.some(({ socket }) => socket === null),
    );
    const creation = { job, application, line, block, cwd, streams, flags };
    return { ...create(creation), sockets: streams.map(({ socket }) => socket) };
  } catch (cause) {
    throw refusal(request, cause);
  } finally {
    closeAll(streams);
  }
}

/** Starts a program of ours outside every job, in a console of its own without a window. Throws when the system refuses. */
export function spawnHidden(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Born {
  const streams: ChildStream[] = [openNull()];
  try {
    // What is written to a terminal must pass through this process, which alone is in that console.
    for (const index of [1, 2] as const) streams.push(isatty(index) ? openPipe("out") : copyOwn(index));
    const block = environmentBlock(mergeVariables(env));
    const flags = creationFlags("none", false);
    const line = commandLine(command, args);
    const creation = { job: undefined, application: command, line, block, cwd: undefined, streams, flags };
    return { ...create(creation), sockets: streams.map(({ socket }) => socket) };
  } finally {
    closeAll(streams);
  }
}

interface Creation {
  readonly job: Handle | undefined;
  readonly application: string;
  readonly line: string;
  readonly block: Buffer;
  readonly cwd: string | undefined;
  readonly streams: readonly ChildStream[];
  readonly flags: number;
}

function create({ job, application, line, block, cwd, streams, flags }: Creation): { process: Handle; pid: number } {
  const system = windows();
  const handles = streams.map(({ handle }) => handle);
  const info = Buffer.alloc(startup.size);
  info.writeUInt32LE(startup.size, 0);
  info.writeUInt32LE(startup.use, startup.flags);
  handleBytes(handles).copy(info, startup.streams);
  const into = Buffer.alloc(created.size);
  const lineBytes = Buffer.from(`${line}\0`, "utf16le");
  // Inheritable only within this turn: whatever Node starts would inherit it too.
  for (const handle of handles) system.SetHandleInformation(handle, inheritFlag, inheritFlag);
  withAttributes(
    [
      [attribute.handles, handleBytes(handles)] as const,
      ...(job === undefined ? [] : [[attribute.jobs, handleBytes([job])] as const]),
    ],
    (list) => {
      info.writeBigUInt64LE(system.addressOf(list), startup.attributes);
      if (system.CreateProcessW(application, lineBytes, null, null, 1, flags, block, cwd ?? null, info, into) === 0)
        throw failure("CreateProcessW");
    },
  );
  system.CloseHandle(Number(into.readBigInt64LE(created.thread)));
  return { process: Number(into.readBigInt64LE(0)), pid: into.readUInt32LE(created.pid) };
}

function refusal({ command, cwd }: Pick<SpawnRequest, "cwd" | "command">, cause: unknown): HoldfastError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const where = cwd === undefined ? "" : ` in ${cwd}`;
  return new HoldfastError("spawn_failed", `cannot start ${command}${where}: ${reason}`, { cause });
}
