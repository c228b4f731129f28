/** Commands that edit the config files of clients, on Windows: at their places there, and by the product's own command line. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { patiently } from "../helpers/until.ts";
import { needsWine } from "./cache.ts";
import { WindowsMachine } from "./machine.ts";
import { main, programVariable } from "./program.ts";

const server = { command: String.raw`C:\node\node26.exe`, args: [String.raw`C:\my sérver\a.js`, "50%", 'a"b'] };

describe("files of clients on Windows, under wine", { skip: needsWine(), timeout: patiently(300_000) }, () => {
  let machine: WindowsMachine;
  let claude: string;
  before(async () => {
    machine = await WindowsMachine.start();
    const { output } = await machine.node(["-p", "process.env.APPDATA"]).ended(20_000);
    const roaming = output.trim().slice(3).replaceAll("\\", "/");
    claude = join(machine.drive, roaming, "Claude", "claude_desktop_config.json");
    mkdirSync(dirname(claude), { recursive: true });
    mkdirSync(join(machine.drive, "projekt ü"));
    mkdirSync(join(machine.drive, "nodejs"));
    const node = realpathSync(join(machine.drive, "node", "node26.exe"));
    symlinkSync(node, join(machine.drive, "nodejs", "node.exe"));
  });
  after(() => machine[Symbol.asyncDispose]());

  const words = main.map((word) => word.replace(/^.*\/(lib|src)\/main/, String.raw`C:\holdfast\$1\main`));
  const holdfast = async (...given: string[]) => {
    const program = machine.start([String.raw`C:\nodejs\node.exe`, ...words, ...given], {
      env: programVariable,
      cwd: "projekt ü",
    });
    const { code, output } = await program.ended(30_000);
    assert.equal(code, 0, output);
    return output;
  };
  const config = () => JSON.parse(readFileSync(claude, "utf8")) as { mcpServers: Record<string, typeof server> };

  it("wrap puts `holdfast run` before a command by full paths, and unwrap gives the file back", async () => {
    const text = JSON.stringify({ mcpServers: { mine: server } }, null, 2);
    writeFileSync(claude, text);
    await holdfast("wrap", "--client", "claude", "--yes");
    const { command, args } = config().mcpServers["mine"]!;
    assert.match(command, /\\node\.exe$/i);
    assert.match(args[0] ?? "", /\\main\.[jt]s$/);
    assert.deepEqual(args.slice(-5), ["--", server.command, ...server.args]);
    await holdfast("unwrap", "--client", "claude", "--yes");
    assert.equal(readFileSync(claude, "utf8"), text);
  });

  it("import takes its servers, add adds one, and export shows both, in a state directory under LOCALAPPDATA", async () => {
    await holdfast("import", "--client", "claude");
    const local = join(dirname(dirname(dirname(claude))), "Local", "holdfast", "state");
    assert.ok(existsSync(join(local, "holdfast.json")), local);
    await holdfast("mcp", "add", "other", "--", String.raw`C:\node\node26.exe`, "-e", "0");
    const listed = await holdfast("export", "--client", "claude");
    assert.match(listed, /mine/);
    assert.match(listed, /other/);
    assert.match(await holdfast("tokens", "add", "one"), /hft_/);
    assert.match(await holdfast("tokens", "list"), /one/);
    assert.match(await holdfast("crashes"), /no crashes/);
  });
});
