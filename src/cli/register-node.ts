/** `holdfast node run`, for the parser; the command itself is imported when it is called. */
import { InvalidArgumentError, Option, type Command } from "commander";
import { whole } from "./option-values.ts";

/** The flags of `node run` that are its own. */
export interface NodeFlags {
  host: string;
  port: number;
  name?: string;
  fingerprint?: string;
  invite?: string;
  once: boolean;
  allowCommand?: string[];
  allowDirectory?: string[];
  ask?: "off" | "on-miss";
  leaseMax?: number;
  forgetGateway: boolean;
}

function port(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 65_535)
    throw new InvalidArgumentError("A port is a whole number from 1 to 65535.");
  return value;
}

/** `start` does it; the parser knows no more than the flags. */
export function addNode(program: Command, start: (own: NodeFlags, command: Command) => Promise<void>): void {
  program
    .command("node")
    .description("this machine as a node of a gateway elsewhere")
    .command("run")
    .description("offer to run things for one gateway, in the foreground; SIGTERM or ^C ends all of it")
    .requiredOption("--host <host>", "where the gateway is; past this machine always over TLS")
    .option("--port <n>", "its port", port, 4653)
    .option("--name <name>", "how the gateway calls this node at first (default: the machine's name)")
    .option("--fingerprint <hex>", "SHA-256 of the gateway's certificate: that one, and no other")
    .option("--invite <code>", "an invitation, which stands for an admin's approval")
    .option("--once", "take one run, return its result, exit with its code", false)
    .option("--allow-command <name...>", "programs that may be started (default: any)")
    .option("--allow-directory <dir...>", "directories in or below which they may be started (default: any)")
    .addOption(
      new Option("--ask <when>", "ask at this terminal about what the lists do not allow").choices(["off", "on-miss"]),
    )
    .option("--lease-max <ms>", "how long a run may at most outlive its gateway (default: an hour)", whole)
    .option("--forget-gateway", "serve whatever gateway takes this node in next", false)
    .action(start);
}
