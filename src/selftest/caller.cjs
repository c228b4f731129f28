/** node caller.cjs SECONDS COMMAND…: a program that starts a command and stays, such as a client that uses `holdfast run`. */
const { spawn } = require("node:child_process");

const [, , seconds, command, ...args] = process.argv;
spawn(command, args, { detached: true, stdio: "ignore", windowsHide: true }).unref();
setTimeout(() => process.exit(0), Number(seconds) * 1000);
