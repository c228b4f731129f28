/** Explains a failed system call in plain words instead of its code. */
import { HoldfastError } from "./errors.ts";

const reasons = new Map([
  ["EACCES", "permission denied"],
  ["EPERM", "the operation is not permitted"],
  ["ENOENT", "there is no such file or directory"],
  ["EISDIR", "it is a directory"],
  ["ENOTDIR", "a part of its path is not a directory"],
  ["EEXIST", "it exists already"],
  ["ELOOP", "its symbolic links lead in a circle"],
  ["ENAMETOOLONG", "its name is too long"],
  ["ENOSPC", "the disk is full"],
  ["EDQUOT", "the disk quota is used up"],
  ["EROFS", "the file system is read-only"],
  ["EMFILE", "this process has too many open files"],
  ["ENFILE", "the system has too many open files"],
  ["ECONNREFUSED", "nothing listens there"],
  ["ENOTFOUND", "the host was not found"],
  ["EAI_AGAIN", "the name of the host could not be looked up"],
  ["ECONNRESET", "the connection was closed before an answer came"],
  ["UND_ERR_SOCKET", "the connection was closed before an answer came"],
  ["EPIPE", "the connection was closed before an answer came"],
  ["ETIMEDOUT", "the connection attempt timed out"],
  ["UND_ERR_CONNECT_TIMEOUT", "the connection attempt timed out"],
  ["EHOSTUNREACH", "the host cannot be reached"],
  ["ENETUNREACH", "the network cannot be reached"],
]);

interface Failure {
  code?: unknown;
  message?: string;
  cause?: Failure;
  errors?: Failure[];
}

/** The first explained reason in the chain of causes, else the innermost message. */
export function reasonOf(thrown: unknown): string {
  if (typeof thrown !== "object" || thrown === null) return String(thrown);
  if (thrown instanceof HoldfastError) return thrown.message;
  const { code, message, cause, errors }: Failure = thrown;
  const known = reasons.get(typeof code === "string" ? code : (message ?? ""));
  const below = cause ?? errors?.[0];
  if (known !== undefined) return known;
  return below === undefined || below === thrown ? (message ?? "for an unknown reason") : reasonOf(below);
}
