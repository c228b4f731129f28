/** The peer of the connections bench: `ws` over node:http as its README has it, says back what it hears. Prints its port. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";

const server = createServer({ keepAliveTimeout: 60_000 });
const sockets = new WebSocketServer({ server, path: "/ws", perMessageDeflate: false });
sockets.on("connection", (ws) => {
  ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
});
server.listen(0, "127.0.0.1", 4096, () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
// Ends with whoever started it.
process.stdin.resume().on("end", () => process.exit(0));
