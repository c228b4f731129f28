/** Security descriptors of files, through koffi: the text form is read, and a file is made private. */
import { createRequire } from "node:module";
import { HoldfastError } from "../../errors.ts";

/** SE_FILE_OBJECT. */
const fileObject = 1;
const owner = 0x1;
const list = 0x4;
/** PROTECTED_DACL_SECURITY_INFORMATION: nothing is inherited. */
const isProtected = 0x8000_0000;
/** TOKEN_QUERY, and TokenUser of TOKEN_INFORMATION_CLASS. */
const tokenQuery = 0x8;
const tokenUser = 1;
/** SDDL_REVISION_1. */
const revision = 1;
/** TOKEN_USER with the longest id there is: SECURITY_MAX_SID_SIZE and the structure before it. */
const tokenUserBytes = 16 + 68;

type Pointer = object | null;
type Out = [Pointer];

interface Security {
  /** 0 is success. */
  readonly get: (path: string, what: number, descriptor: Out) => number;
  /** 0 is success. */
  readonly set: (path: string, what: number, list: Pointer) => number;
  readonly toText: (descriptor: Pointer, what: number, text: Out) => number;
  readonly fromText: (text: string, descriptor: Out) => number;
  readonly listOf: (descriptor: Pointer, list: Out) => number;
  readonly readUser: (into: Buffer) => number;
  readonly sidToText: (sid: bigint, text: Out) => number;
  readonly textAt: (pointer: Pointer) => string;
  readonly free: (pointer: Pointer) => void;
}

let bound: Security | undefined;

function security(): Security {
  bound ??= bind();
  return bound;
}

function bind(): Security {
  const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi").default;
  const kernel = koffi.load("kernel32.dll");
  const advapi = koffi.load("advapi32.dll");
  const of = (name: string, result: string, ...parameters: string[]) =>
    advapi.func("__stdcall", name, result, parameters) as (...given: unknown[]) => number;
  const get = of(
    "GetNamedSecurityInfoW",
    ...(["uint32", "str16", "int", "uint32", "void *", "void *", "void *", "void *", "_Out_ void **"] as const),
  );
  const set = of("SetNamedSecurityInfoW", "uint32", "str16", "int", "uint32", "void *", "void *", "void *", "void *");
  const toText = of(
    "ConvertSecurityDescriptorToStringSecurityDescriptorW",
    ...(["int", "void *", "uint32", "uint32", "_Out_ void **", "void *"] as const),
  );
  const fromText = of(
    "ConvertStringSecurityDescriptorToSecurityDescriptorW",
    ...(["int", "str16", "uint32", "_Out_ void **", "void *"] as const),
  );
  const listOf = of("GetSecurityDescriptorDacl", "int", "void *", "void *", "_Out_ void **", "void *");
  const openToken = of("OpenProcessToken", "int", "intptr_t", "uint32", "_Out_ intptr_t *");
  const tokenInformation = of("GetTokenInformation", "int", "intptr_t", "int", "void *", "uint32", "void *");
  const sidToText = of("ConvertSidToStringSidW", "int", "uintptr_t", "_Out_ void **");
  const own = kernel.func("__stdcall", "GetCurrentProcess", "intptr_t", []) as () => number;
  const close = kernel.func("__stdcall", "CloseHandle", "int", ["intptr_t"]) as (handle: number) => number;
  const free = kernel.func("__stdcall", "LocalFree", "void *", ["void *"]) as (pointer: Pointer) => Pointer;
  return {
    get: (path, what, descriptor) => get(path, fileObject, what, null, null, null, null, descriptor),
    set: (path, what, entries) => set(path, fileObject, what, null, null, entries, null),
    toText: (descriptor, what, text) => toText(descriptor, revision, what, text, null),
    fromText: (text, descriptor) => fromText(text, revision, descriptor, null),
    listOf: (descriptor, entries) => listOf(descriptor, Buffer.alloc(4), entries, Buffer.alloc(4)),
    readUser(into) {
      const token: [number] = [0];
      if (openToken(own(), tokenQuery, token) === 0) return 0;
      const isRead = tokenInformation(token[0], tokenUser, into, into.length, Buffer.alloc(4));
      close(token[0]);
      return isRead;
    },
    sidToText,
    textAt: (pointer) => koffi.decode(pointer, "char16_t", -1) as string,
    free: (pointer) => void free(pointer),
  };
}

function failed(what: string): Error {
  return new HoldfastError("internal", `the system gives no ${what}`);
}

/** The id of this process's user: `S-1-5-…`. */
export function ownUser(): string {
  const { readUser, sidToText, textAt, free } = security();
  const into = Buffer.alloc(tokenUserBytes);
  const text: Out = [null];
  // TOKEN_USER begins with the address of the id.
  if (readUser(into) === 0 || sidToText(into.readBigUInt64LE(0), text) === 0) throw failed("id of this user");
  const id = textAt(text[0]);
  free(text[0]);
  return id;
}

/** Owner and list of a file or directory as text; undefined when the file system has none, or they may not be read. */
export function descriptorOf(path: string): string | undefined {
  const { get, toText, textAt, free } = security();
  const descriptor: Out = [null];
  if (get(path, owner | list, descriptor) !== 0) return undefined;
  const text: Out = [null];
  const isText = toText(descriptor[0], owner | list, text) !== 0;
  const found = isText ? textAt(text[0]) : undefined;
  free(descriptor[0]);
  free(text[0]);
  return found;
}

/** Gives a file or directory, and what will be made in it, to this user, the system and its administrators alone. */
export function makePrivate(path: string): boolean {
  const { fromText, listOf, set, free } = security();
  const descriptor: Out = [null];
  const entries = ["SY", "BA", ownUser()].map((who) => `(A;OICI;FA;;;${who})`).join("");
  if (fromText(`D:P${entries}`, descriptor) === 0) throw failed("security descriptor");
  const own: Out = [null];
  const isSet = listOf(descriptor[0], own) !== 0 && set(path, list | isProtected, own[0]) === 0;
  free(descriptor[0]);
  return isSet;
}
