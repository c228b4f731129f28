/** What in a client's config leads into a gateway. Held by that gateway it would be its own server, and start itself without end. */
import { ownLength, wrapperLength } from "./prefix.ts";

/** Said wherever such an entry is found. */
export const wayInNote = "it is a way into a gateway";

/** Options of every command that take the next word. */
const takeValue = new Set(["--state", "--config", "--url", "--token"]);

/** Whether a command line is `holdfast mcp`, behind `holdfast run --` too. */
export function isWayIn(all: readonly string[]): boolean {
  const words = all.slice(wrapperLength(all) ?? 0);
  const own = ownLength(words);
  if (own === 0) return false;
  let at: number = own;
  while (String(words[at]).startsWith("-")) at += takeValue.has(String(words[at])) ? 2 : 1;
  return words[at] === "mcp";
}

/** Whether a remote server's address is one of a gateway that listens on `urls`, under whichever of its loopback names. */
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
