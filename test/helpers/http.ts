/** One HTTP exchange over node:http: no pool that outlives the test, no retry, no redirect, every byte as it came. */
import type http from "node:http";
import { text } from "node:stream/consumers";

/** An import would load undici too, 50 ms in every test file. */
const plain = process.getBuiltinModule("node:http");
const secure = process.getBuiltinModule("node:https");

export interface Exchange {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  agent?: http.Agent;
  /** From the start to the last byte. */
  boundMs?: number;
}

/** The response as soon as its headers are there; its body is the caller's to read. */
export async function open(url: string, given: Exchange = {}): Promise<http.IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  // Whose certificate it is is other tests' matter.
  const isSecure = url.startsWith("https:");
  const request = (isSecure ? secure : plain).request(url, {
    ...(isSecure ? { rejectUnauthorized: false } : {}),
    method: given.method ?? "GET",
    headers: given.headers ?? {},
    agent: given.agent ?? false,
    ...(given.boundMs === undefined ? {} : { signal: AbortSignal.timeout(given.boundMs) }),
  });
  request.once("response", resolve);
  request.once("error", reject);
  request.end(given.body);
  return promise;
}

export interface Reply {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
}

export async function exchange(url: string, given: Exchange = {}): Promise<Reply> {
  const response = await open(url, { boundMs: 10_000, ...given });
  return { status: response.statusCode ?? 0, headers: response.headers, text: await text(response) };
}
