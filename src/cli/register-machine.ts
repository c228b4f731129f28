/** Commands that need no gateway: doctor, selftest, run, completion. */
import type { Command } from "commander";
import { HoldfastError } from "../errors.ts";
import type { DoctorOptions } from "./doctor.ts";
import { port, whole, type Action } from "./registration.ts";

type DoctorFlags = Omit<DoctorOptions, "state" | "json">;

export function registerMachine(program: Command, action: Action): void {
  program
    .command("doctor")
    .description(
      "show what leaks on this machine: the MCP server trees of all hosts, and who owns them; changes nothing without --reap",
    )
    .option("--port <n>", "also show the sockets of this local TCP port, with the processes at both ends", port)
    .option("--all", "show every tree with all evidence", false)
    .option("--reap", "end the trees whose owner is proven dead, after asking", false)
    .option("--yes", "with --reap: do not ask", false)
    .action(
      action(async ({ state, json }, flags: DoctorFlags) =>
        (await import("./doctor.ts")).doctor({ ...flags, state, json }),
      ),
    );
  program
    .command("selftest")
    .description("try attacks and every way an owner can end on this machine, and report what was held")
    .option("--time-limit <s>", "seconds for the whole test; what has not run by then counts as failed", whole, 120)
    .action(
      action(async ({ json }, { timeLimit }: { timeLimit: number }) =>
        (await import("./selftest.ts")).selftest({ timeLimitSeconds: timeLimit, json }),
      ),
    );
  // main.ts handles `run` before this parser, which lists it for --help and handles global options in front of it.
  program
    .command("run")
    .description("run a command whose process tree cannot outlive its caller: holdfast run -- COMMAND…")
    .argument("[words...]")
    .allowUnknownOption()
    .action(() => {
      throw new HoldfastError(
        "usage",
        "run takes no global options: holdfast run [OPTION]... -- COMMAND [ARGUMENT]...",
      );
    });
  program
    .command("completion")
    .description("print a completion script for a shell")
    .argument("<shell>", "bash, zsh or fish")
    .action(
      action(async (_, shell: string, _flags: object, command: Command) => {
        const { completion, shells } = await import("./completion.ts");
        const known = shells.find((one) => one === shell);
        if (known === undefined)
          return command.error(`error: there is no completion for ${shell}; there is for ${shells.join(", ")}`);
        process.stdout.write(completion(known, program));
        return 0;
      }),
    );
}
