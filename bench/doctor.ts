/** How long does the doctor look at a machine with 2,000 processes: light trees, planted in a pid namespace of their own. */
import { spawnSync } from "node:child_process";
import { renderTable } from "../test/helpers/table.ts";
import { fixture } from "../test/helpers/servers.ts";
import { Machine, machineProblem } from "../test/doctor/helpers/machine.ts";
import { median } from "./load.ts";
import { machineLine } from "./machine.ts";

const processes = 2000;
/** A stub is a shell and its sleep. */
const perTree = 2;
const perHost = 250;
const rounds = 9;
const aimMs = 300;

export async function run(): Promise<boolean> {
  const problem = machineProblem();
  if (problem !== undefined) {
    console.log(`doctor: not measured: ${problem}`);
    return true;
  }
  await using machine = await Machine.start();
  const words = [machine.bin("node"), fixture("doctor/mcp-stub.sh"), machine.list, "bench"];
  const hosts = [];
  for (let count = 0; count < processes / perTree; count += perHost)
    hosts.push(await machine.plant(Array.from({ length: perHost }, () => ({ how: "socket", words }))));
  // Half of them orphans, for whom the proof is dearer than for what a live parent holds.
  for (const host of hosts.slice(0, hosts.length / 2)) await machine.kill(host);
  const looks: number[] = [];
  const whole: number[] = [];
  let seen = "";
  for (let round = 0; round < rounds; round += 1) {
    const began = performance.now();
    const { tookMs, trees } = await machine.examine();
    whole.push(performance.now() - began);
    looks.push(tookMs);
    const dead = trees.filter(({ verdict }) => verdict === "owner-dead").length;
    seen = `${trees.reduce((sum, tree) => sum + tree.processes.length, 0)} processes in ${trees.length} trees, ${dead} of them orphans`;
  }
  const peer = Array.from({ length: rounds }, () => {
    const began = performance.now();
    spawnSync("nsenter", ["--target", String(machine.init), "--pid", "--mount", "ps", "-eo", "pid,ppid,rss,args"]);
    return performance.now() - began;
  });
  const look = median(looks);
  console.log(`\ndoctor: ${seen}, medians of ${rounds}\n${machineLine()}\n`);
  console.log(
    renderTable(
      ["", "ms", "aim"],
      [
        ["look, trees, proof, CPU watch", String(Math.round(look)), `< ${aimMs}`],
        ["`holdfast doctor --json`, start of Node.js included", String(Math.round(median(whole))), ""],
        ["`ps -e` (no descriptors, no proof)", String(Math.round(median(peer))), ""],
      ],
    ),
  );
  return look < aimMs;
}
