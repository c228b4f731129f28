/** Parts of which several messages are made. */
import { z } from "zod";
import { errorCodes, type ErrorCode } from "../errors.ts";
import { describeIssues, plainIssue } from "../plain-issues.ts";

/** Milliseconds since the epoch. */
export const time = z.int();
/** As much as a timer takes. */
export const milliseconds = z.int().min(0).max(2_147_483_647);
/** Of a run, a session or a server. */
export const idShape = z.string().min(1).max(128);
/** The caller's own name for a start: the same one never starts twice. */
export const requestIdShape = z.string().regex(/^[A-Za-z0-9-]{1,64}$/);
export const shortText = z.string().max(256);
export const nothing = z.strictObject({});
export const errorCodeShape = z.custom<ErrorCode>(
  (code) => typeof code === "string" && Object.hasOwn(errorCodes, code),
  "is not an error code",
);

/** Requests by name: what each takes, and what it is answered with. */
type RequestTable = Record<string, { params: z.ZodType; result: z.ZodType }>;
export type Requests<T extends RequestTable> = {
  [N in keyof T]: { params: z.output<T[N]["params"]>; result: z.output<T[N]["result"]> };
};

/** What was heard as one of the messages that there are, or what is wrong with it, by field. */
export type Read<M> = { message: M } | { wrong: string };

export function readAs<M>(shape: z.ZodType, heard: unknown): Read<M> {
  const parsed = shape.safeParse(heard, { error: plainIssue });
  return parsed.success ? { message: parsed.data as M } : { wrong: describeIssues(parsed.error.issues).join("; ") };
}
