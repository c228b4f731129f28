/** Under a real systemd: an ordinary user's gateway has its fence from the user manager, and the unit keeps what it promises. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { needsSystemd, SystemdBox } from "../helpers/systemd-box.ts";
import { patiently } from "../helpers/until.ts";

interface Status {
  keeper: { pid: number };
  epoch: number;
  tier: string;
  crashes: { who: string; why: string }[];
}

interface SelfTest {
  isHeld: boolean;
  results: { tier: string; verdict: string }[];
}

const config = { port: 0, exec: { enabled: true }, stop: { stdinGraceMs: 200, termGraceMs: 200 } };
/** A command that hears no signal, and a helper of it that left its session. */
const stubborn = `sh -c 'trap "" TERM HUP; setsid sleep 7654 & while :; do sleep 7655; done'`;
/** A start that comes before systemd has heard of the death does nothing. */
const killAndStart = `systemctl kill --signal=KILL user@1234
  timeout 20 sh -c 'while systemctl is-active --quiet user@1234; do :; done'; systemctl start user@1234`;
const properties = "systemctl --user show holdfast -p ActiveState -p Result -p MainPID -p NRestarts";

leavesNothing();

describe("a gateway under systemd", { timeout: patiently(300_000), skip: needsSystemd() }, () => {
  let box: SystemdBox;
  before(async () => {
    box = await SystemdBox.start();
  });
  after(() => box[Symbol.asyncDispose]());

  const user = async (line: string) => {
    const answer = await box.asUser(line);
    assert.equal(answer.code, 0, `${line}: ${answer.stdout}${answer.stderr}`);
    return answer.stdout.trim();
  };
  const status = async (options = "") => JSON.parse(await user(`holdfast status --json ${options}`)) as Status;
  const untilServing = (options = "") =>
    box.until("a gateway that serves", `holdfast status --json ${options}`, /"front"/);
  /** Nothing of a gateway or of what it ran, and no cgroup of it. */
  const assertNothingIsLeft = async () => {
    const look = `{ pgrep -f '[d]ist/main|[s]leep 765'; find /sys/fs/cgroup -name 'holdfast-*'; }`;
    await box.until("nothing left", `${look} | grep . || echo nothing`, /^nothing$/m, 10_000);
  };
  const install = async () => {
    await user(`mkdir -p ~/.config/systemd/user; mkdir -p -m 700 ~/.local/state/holdfast
      cp /opt/holdfast/packaging/holdfast.service ~/.config/systemd/user/
      echo '${JSON.stringify(config)}' >~/.local/state/holdfast/holdfast.json
      systemctl --user daemon-reload`);
  };

  it("started by hand as an ordinary user takes the cgroup tier by a delegated scope, and leaves none", async () => {
    await user(`mkdir ~/hand && echo '${JSON.stringify(config)}' >~/hand.json`);
    await user("(holdfast gateway --state ~/hand --config ~/hand.json >~/hand.log 2>&1 &)");
    await untilServing("--state ~/hand");
    const { tier, keeper } = await status("--state ~/hand");
    assert.equal(tier, "cgroup", await user("cat ~/hand.log"));
    const group = await user(`cat /proc/${keeper.pid}/cgroup | grep ^0::`);
    assert.match(group, /user@1234\.service\/.*\.scope\/holdfast-[0-9a-f]+\.1\/self$/);
    await user(`holdfast exec --state ~/hand --background -- ${stubborn}`);
    await user("holdfast stop --state ~/hand");
    await assertNothingIsLeft();
    assert.equal(await user("systemctl --user list-units --type=scope --no-legend 'run-*'"), "");
  });

  for (const [where, by, tier] of [
    ["in a user's own session", "", "subreaper"],
    ["in a delegated scope", "systemd-run --user --scope --quiet -p Delegate=yes ", "cgroup"],
  ] as const)
    it(`holds what the self-test plays ${where}`, async () => {
      const report = JSON.parse(await user(`${by}holdfast selftest --json --time-limit 240`)) as SelfTest;
      assert.equal(report.isHeld, true);
      const held = report.results.filter((result) => result.tier === tier && result.verdict === "held");
      assert.ok(held.length >= 20, JSON.stringify(report.results));
      await assertNothingIsLeft();
    });

  it("as the unit starts, reloads and stops, and the stop leaves nothing", async () => {
    await install();
    await user("systemctl --user start holdfast");
    await untilServing();
    const { tier, keeper } = await status();
    assert.equal(tier, "cgroup");
    const group = await user(`cat /proc/${keeper.pid}/cgroup`);
    assert.match(group, /\/holdfast\.service\/holdfast-[0-9a-f]+\.1\/self$/m, "its fence is the unit's own");
    await user(`holdfast exec --background -- ${stubborn}`);
    await user("systemctl --user reload holdfast");
    await box.until("a reload", "cat ~/.local/state/holdfast/log/keeper.log", /"config\.reloaded"/);
    await user("systemctl --user stop holdfast");
    const rest = await user(properties);
    for (const line of ["ActiveState=inactive", "Result=success", "MainPID=0"]) assert.ok(rest.includes(line), rest);
    await assertNothingIsLeft();
  });

  it("killed in the unit is started again, ends what the old one ran, and says how that ended", async () => {
    await install();
    await user("systemctl --user start holdfast");
    await untilServing();
    await user(`holdfast exec --background -- ${stubborn}`);
    const { keeper, epoch } = await status();
    await user(`kill -9 ${keeper.pid}`);
    await box.until("the next gateway", "holdfast status --json", new RegExp(`"epoch": ?${epoch + 1}\\b`));
    assert.equal(await user("pgrep -f '[s]leep 765' | wc -l"), "0");
    const { crashes } = await status();
    assert.deepEqual([crashes[0]?.who, crashes[0]?.why], ["keeper", "vanished"]);
    await user("systemctl --user stop holdfast");
    await assertNothingIsLeft();
  });

  it("that cannot start comes to rest as failed after five attempts, and starts again once it can", async () => {
    await install();
    await user("echo '{' >~/.local/state/holdfast/holdfast.json; systemctl --user start --no-block holdfast");
    await box.until("a unit at rest", properties, /ActiveState=failed/, 60_000);
    assert.match(await user(properties), /NRestarts=[45]$/m);
    await assertNothingIsLeft();
    await install();
    await user("systemctl --user reset-failed holdfast; systemctl --user start holdfast");
    await untilServing();
    await user("systemctl --user stop holdfast");
  });

  for (const [what, restart, why] of [
    ["restarted", "systemctl restart user@1234", undefined],
    ["killed and started", killAndStart, "vanished"],
  ] as const) {
    it(`survives no user manager that is ${what}: nothing of before is left, and the next start says so`, async () => {
      await install();
      await user("systemctl --user enable --now holdfast");
      await untilServing();
      await user(`holdfast exec --background -- ${stubborn}`);
      const earlier = await status();
      const { code, stderr } = await box.asRoot(restart);
      assert.equal(code, 0, stderr);
      await box.until("the next gateway", "holdfast status --json", new RegExp(`"epoch": ?${earlier.epoch + 1}\\b`));
      assert.equal(await user("pgrep -f '[s]leep 765' | wc -l"), "0");
      const { crashes, tier } = await status();
      assert.equal(tier, "cgroup");
      const newer = crashes.length - earlier.crashes.length;
      assert.deepEqual(
        crashes.slice(0, newer).map((crash) => crash.why),
        why === undefined ? [] : [why],
      );
      const ended = await user("holdfast ps --all --json");
      assert.match(ended, why === undefined ? /"shutdown"/ : /"(?:keeper-lost|orphan-swept)"/);
      await user("systemctl --user disable --now holdfast");
      await assertNothingIsLeft();
    });
  }
});
