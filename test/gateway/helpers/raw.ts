/** One raw connection: what is sent is exactly the given text, a byte per character, and the whole answer is what came until the other side closed. */
import { once } from "node:events";
import net from "node:net";

/** Sends text and collects until the gateway closes the connection; rejects when it does not within `boundMs`. */
export async function sendRaw(url: string, text: string, boundMs = 10_000): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = net.connect(Number(port), hostname.replaceAll(/^\[|\]$/g, ""));
  const timer = setTimeout(() => socket.destroy(new Error(`open after ${boundMs} ms`)), boundMs);
  let answer = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => (answer += chunk));
  try {
    socket.write(text, "latin1");
    await once(socket, "close");
    return answer;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

export const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
