/** Listens on every address of `bind`, on the same port. */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { isIPv6 } from "node:net";
import { HoldfastError } from "../errors.ts";
import type { Log } from "../log.ts";

export interface Listening {
  port: number;
  addresses: string[];
  urls: string[];
}

interface Doors {
  bind: string[];
  port: number;
  scheme: "http" | "https";
}

/** Errors of `::1` without IPv6. */
const addressMissing = new Set(["EADDRNOTAVAIL", "EAFNOSUPPORT"]);

/**
 * Port 0: the first address gets a free port, the others the same. Missing IPv6 addresses are skipped if another
 * remains. Throws `port_in_use` or `bind_refused` with nothing left open.
 */
export async function listenAll(servers: Server[], doors: Doors, log: Log): Promise<Listening> {
  const { bind, port, scheme } = doors;
  const addresses: string[] = [];
  let chosen = port;
  const zoned = bind.find((address) => isIPv6(address) && address.includes("%"));
  if (zoned !== undefined)
    throw new HoldfastError(
      "bind_refused",
      `\`bind\`: ${zoned} has a zone (%), which no URL and no Host header can have; use :: or another address`,
    );
  try {
    for (const [index, address] of bind.entries()) {
      const server = servers[index]!;
      try {
        await listen(server, address, chosen);
      } catch (thrown) {
        const { code } = thrown as NodeJS.ErrnoException;
        const canSkip = isIPv6(address) && (addresses.length > 0 || index < bind.length - 1);
        if (!canSkip || !addressMissing.has(code ?? ""))
          throw explain(thrown as NodeJS.ErrnoException, address, chosen, addresses);
        log("gateway.address_skipped", { address, code, hint: "this machine has no IPv6" });
        continue;
      }
      chosen = (server.address() as AddressInfo).port;
      addresses.push(address);
    }
    if (addresses.length === 0)
      throw new HoldfastError("bind_refused", `\`bind\`: cannot listen on any of ${bind.join(", ")}`);
  } catch (thrown) {
    for (const server of servers) server.close();
    throw thrown;
  }
  const urls = addresses.map((address) => `${scheme}://${isIPv6(address) ? `[${address}]` : address}:${chosen}`);
  return { port: chosen, addresses, urls };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, ipv6Only: isIPv6(host) }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** `open`: addresses already listening. */
function explain(error: NodeJS.ErrnoException, address: string, port: number, open: readonly string[]): HoldfastError {
  const cause = { cause: error };
  if (error.code === "EADDRINUSE") {
    const every = isIPv6(address) ? "::" : "0.0.0.0";
    const own = open.find((one) => isIPv6(one) === isIPv6(address) && [one, address].includes(every));
    if (own !== undefined) {
      const one = own === every ? address : own;
      return new HoldfastError(
        "bind_refused",
        `\`bind\`: ${every} is every address, including ${one}: omit ${one}`,
        cause,
      );
    }
    const remedy =
      "stop the program that listens there, or choose another port with `port` in the config or --port N (0 = any free one)";
    return new HoldfastError("port_in_use", `\`port\`: ${address} port ${port} is taken; ${remedy}`, cause);
  }
  const remedy = "choose another `bind` address or `port` in the config";
  return new HoldfastError(
    "bind_refused",
    `\`bind\`: cannot listen on ${address} port ${port}: ${error.code ?? error.message}; ${remedy}`,
    cause,
  );
}
