/** The kernel's table is read as it is written: who acknowledged nothing six times over is found, and nobody else. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { unacknowledged } from "../../src/platform/self/index.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { until } from "../helpers/until.ts";

leavesNothing();

describe("a client that acknowledges nothing", () => {
  it("is found by its line in the table, and its neighbour is left alone", async () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-unheard-"));
    let isUnheard: (socket: net.Socket) => boolean = () => true;
    const server = net.createServer((socket) => socket.resume()).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    const [first, second] = [net.connect(port, "127.0.0.1"), net.connect(port, "127.0.0.1")];
    await Promise.all([once(first, "connect"), once(second, "connect")]);
    try {
      // The machine's own table, in which the first of the two has been sent the same six times, and the second five. It is
      // not read in one instant: where other sockets come and go, a line can be missing from one look.
      let lines: string[] = [];
      const lineOf = ({ localPort = 0 }: net.Socket) => {
        const end = `:${localPort.toString(16).toUpperCase().padStart(4, "0")}`;
        return lines.findIndex((line) => line.trim().split(/\s+/)[1]?.endsWith(end) === true);
      };
      const look = () => {
        lines = readFileSync("/proc/net/tcp", "latin1").split("\n");
        return lineOf(first) >= 0 && lineOf(second) >= 0;
      };
      await until("both are in the table", look, { boundMs: 5000 });
      const resent = (socket: net.Socket, times: string) => {
        const at = lineOf(socket);
        lines[at] = lines[at]!.trim().split(/\s+/).with(6, times).join(" ");
      };
      resent(first, "00000006");
      resent(second, "00000005");
      const table = join(directory, "tcp");
      writeFileSync(table, lines.join("\n"));
      isUnheard = unacknowledged([table, join(directory, "absent")]);
      assert.deepEqual([isUnheard(first), isUnheard(second)], [true, false]);
    } finally {
      const gone = [once(first, "close"), once(second, "close"), once(server, "close")];
      first.destroy();
      second.destroy();
      server.close();
      await Promise.all(gone);
      rmSync(directory, { recursive: true });
    }
    assert.equal(isUnheard(first), false, "a socket that is gone");
  });
});
