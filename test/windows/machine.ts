/**
 * One Windows machine under wine: a prefix with a server of its own, in which C:\holdfast is this checkout. Programs run
 * detached and from C:, with their output in files: libuv's own job and Linux's /proc on Z: would turn failures green, and wine
 * cannot use a pipe of ours.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, openSync, closeSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "../helpers/until.ts";
import { freshDirectory, wine, wineEnvironment, windowsCache, wineserver, type NodeMajor } from "./cache.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** Of the checkout, as the product sees them. */
const shown = ["src", "dist", "lib", "test", "package.json", "tsconfig.json"];

interface StartOptions {
  readonly node?: NodeMajor;
  readonly env?: Readonly<Record<string, string>>;
  /** Windows path below C:. */
  readonly cwd?: string;
}

export interface Outcome {
  readonly code: number | null;
  /** Output and errors in the order in which they came. */
  readonly output: string;
}

/** A program of Windows that was started from here. */
export class Program {
  /** Its process as Linux sees it, until it is known as Windows sees it. */
  readonly child: ChildProcess;
  readonly #file: string;

  constructor(child: ChildProcess, file: string) {
    this.child = child;
    this.#file = file;
  }

  get output(): string {
    return readFileSync(this.#file, "utf8");
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  async ended(boundMs: number): Promise<Outcome> {
    const killer = setTimeout(() => this.child.kill("SIGKILL"), boundMs);
    if (this.isRunning) await once(this.child, "exit");
    clearTimeout(killer);
    return { code: this.child.exitCode, output: this.output };
  }

  async prints(text: string, boundMs = 20_000): Promise<void> {
    const look = () => this.output.includes(text) || (!this.isRunning && "ended");
    const found = await until(`it prints ${text}: ${this.output}`, look, { boundMs });
    if (found !== true && !this.output.includes(text)) throw new Error(`it ended without ${text}: ${this.output}`);
  }
}

/** A process of this machine, as Linux shows it. */
export interface LinuxView {
  readonly pid: number;
  readonly command: string;
}

export class WindowsMachine implements AsyncDisposable {
  /** As Linux names it. */
  readonly prefix: string;
  readonly #env: Record<string, string>;
  #outputs = 0;

  private constructor(prefix: string) {
    this.prefix = prefix;
    this.#env = wineEnvironment(prefix);
  }

  static async start(): Promise<WindowsMachine> {
    const cache = await windowsCache();
    console.log(`Windows under wine: ${cache.directory}`);
    const machine = new WindowsMachine(freshDirectory());
    const { prefix, drive } = machine;
    // Links instead of 700 MB; only what is written must be its own.
    execFileSync("cp", ["-as", join(cache.prefix, "drive_c"), drive]);
    for (const name of readdirSync(cache.prefix).filter((each) => /\.reg$|timestamp$|^dosdevices$/.test(each)))
      cpSync(join(cache.prefix, name), join(prefix, name), { recursive: true, verbatimSymlinks: true });
    for (const name of ["home", "out"]) mkdirSync(join(prefix, name));
    machine.#showCheckout(cache.koffi);
    mkdirSync(join(drive, "node"));
    for (const major of ["22", "24", "26"] as const)
      symlinkSync(cache.node(major), join(drive, "node", `node${major}.exe`));
    // Kept alive by hand: one that ends with its last process would begin anew for the next one.
    // It makes all files; wine shows their mode as access control list, and files of Holdfast must be private.
    const server = ["-c", 'umask 077; exec "$0" -p', wineserver];
    execFileSync("sh", server, { env: machine.#env, stdio: "ignore" });
    return machine;
  }

  /** C: as Linux names it. */
  get drive(): string {
    return join(this.prefix, "drive_c");
  }

  /** Starts node.exe with these words. */
  node(words: readonly string[], { node = "26", ...options }: StartOptions = {}): Program {
    return this.start([`C:\\node\\node${node}.exe`, ...words], options);
  }

  start(words: readonly string[], { env = {}, cwd = "" }: Omit<StartOptions, "node"> = {}): Program {
    this.#outputs += 1;
    const file = join(this.prefix, "out", `${this.#outputs}.txt`);
    const output = openSync(file, "w");
    const child = spawn(wine, words, {
      cwd: join(this.drive, cwd.replaceAll("\\", "/")),
      env: { ...this.#env, ...env },
      stdio: ["ignore", output, output],
      detached: true,
    });
    closeSync(output);
    return new Program(child, file);
  }

  /** Live processes of this machine whose command line has this text; without it all but wine's own. */
  live(text = ""): LinuxView[] {
    return readdirSync("/proc")
      .filter((name) => /^[1-9]/.test(name))
      .flatMap((name) => {
        const read = (file: string) => readOrEmpty(`/proc/${name}/${file}`);
        const stat = read("stat");
        const state = stat.slice(stat.lastIndexOf(")") + 2)[0] ?? "X";
        const command = read("cmdline").replaceAll("\0", " ").trim();
        const isOurs = !"ZX".includes(state) && read("environ").split("\0").includes(`WINEPREFIX=${this.prefix}`);
        const isWines =
          /wineserver64|\\winedevice\.exe|\\services\.exe|\\(?:plugplay|svchost|explorer|rpcss|conhost|start)\.exe/i;
        return isOurs && command.includes(text) && (text !== "" || !isWines.test(command))
          ? [{ pid: Number(name), command }]
          : [];
      });
  }

  /** Ends all of it at once, and proves that nothing is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    execFileSync(wineserver, ["-k"], { env: this.#env, stdio: "ignore" });
    await until(
      "nothing of the Windows machine is left",
      () => this.live().length === 0 && this.live("wineserver64").length === 0,
      { boundMs: 20_000 },
    );
    rmSync(this.prefix, { recursive: true, force: true });
  }

  #showCheckout(koffi: string): void {
    const place = join(this.drive, "holdfast");
    const modules = join(place, "node_modules");
    mkdirSync(join(modules, "@koromix"), { recursive: true });
    for (const name of shown) symlinkSync(join(root, name), join(place, name));
    for (const name of readdirSync(join(root, "node_modules")))
      if (!name.startsWith(".") && name !== "@koromix")
        symlinkSync(join(root, "node_modules", name), join(modules, name));
    symlinkSync(koffi, join(modules, "@koromix", "koffi-win32-x64"));
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // it ended, or it is another user's
  }
}
