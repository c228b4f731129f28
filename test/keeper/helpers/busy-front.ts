/** A front whose loop stops turning: says a few words, announces a method, and then computes for ever. */
import { Socket } from "node:net";

const pipe = new Socket({ fd: 4, readable: true, writable: true });
pipe.on("error", () => process.exit(1));
process.once("disconnect", () => process.exit(1));
process.once("message", () => {
  process.send?.({ type: "listening", urls: ["http://127.0.0.1:1"] });
  process.send?.({ type: "heartbeat", lastMethod: "rpc endless.loop" }, () => {
    for (;;);
  });
});
