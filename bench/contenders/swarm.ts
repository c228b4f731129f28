/** Many idle WebSockets in a process of their own: `swarm.ts URL COUNT`. Prints how many a second were opened, then holds them. */
import { once } from "node:events";
import net from "node:net";
import { upgradeText } from "../../test/gateway/helpers/frames.ts";

const [url = "", count = "0"] = process.argv.slice(2);
const { hostname, port } = new URL(url);
const request = upgradeText(process.env["TEST_TOKEN"]);
const lanes = 64;
const sockets: net.Socket[] = [];
let begun = 0;

async function lane(): Promise<void> {
  while (begun++ < Number(count)) {
    const socket = net.connect(Number(port), hostname);
    socket.write(request);
    const [head] = (await once(socket, "data")) as [Buffer];
    if (!head.toString("latin1").startsWith("HTTP/1.1 101")) throw new Error(head.toString("latin1"));
    // A ping is answered, as any client does; its four bytes of mask are zero and it carries nothing.
    socket.on("data", () => socket.write(Buffer.from([0x8a, 0x80, 0, 0, 0, 0])));
    sockets.push(socket);
  }
}

const began = performance.now();
await Promise.all(Array.from({ length: lanes }, lane));
process.stdout.write(`${Math.round((Number(count) * 1000) / (performance.now() - began))}\n`);
process.stdin.resume().on("end", () => process.exit(0));
