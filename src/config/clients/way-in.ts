/** Detects entries of a client's config that lead to a gateway: imported there, the gateway would start itself endlessly. */
import { ownLength, wrapperLength } from "./prefix.ts";

/** The note for every such entry. */
export const wayInNote = "it is a way into a gateway";

/** Options of every command that take a value. */
const takeValue = new Set(["--state", "--config", "--url", "--token"]);

/** Whether a command line is `holdfast mcp`, including behind `holdfast run --`. */
export function isWayIn(all: readonly string[]): boolean {
  const words = all.slice(wrapperLength(all) ?? 0);
  const own = ownLength(words);
  if (own === 0) return false;
  let at: number = own;
  while (String(words[at]).startsWith("-")) at += takeValue.has(String(words[at])) ? 2 : 1;
  return words[at] === "mcp";
}

/** Whether a remote server's address is that of a gateway listening on `urls`, under any of its loopback names. */
export function leadsTo(address: string, urls: readonly string[]): boolean {
  const url = URL.parse(address);
  if (url === null || !/^\/mcp(?:\/|$)/.test(url.pathname)) return false;
  return urls.some((one) => {
    const gateway = URL.parse(one);
    return gateway !== null && gateway.port === url.port && hostOf(gateway) === hostOf(url);
  });
}

function hostOf({ hostname }: URL): string {
  return /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname) ? "loopback" : hostname;
}
