/**
 * What a test needs of the machine beyond Node.js and npm, as the reason to skip it where that is missing. With
 * HOLDFAST_TEST_STRICT=1 `npm test` fails if anything was skipped (scripts/test.ts).
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Debian's packages for the programs that tests start. */
export const packageOf = {
  "aarch64-linux-gnu-as": "binutils-aarch64-linux-gnu",
  as: "binutils",
  awk: "mawk",
  bash: "bash",
  busybox: "busybox",
  chromium: "chromium",
  dash: "dash",
  fish: "fish",
  ip: "iproute2",
  mount: "mount",
  nsenter: "util-linux",
  perl: "perl-base",
  prlimit: "util-linux",
  ps: "procps",
  python3: "python3-minimal",
  "qemu-aarch64-static": "qemu-user-static",
  script: "bsdutils",
  setpriv: "util-linux",
  ssh: "openssh-client",
  "ssh-keygen": "openssh-client",
  sshd: "openssh-server",
  strace: "strace",
  systemctl: "systemd",
  tmux: "tmux",
  top: "procps",
  unshare: "util-linux",
  vi: "vim-tiny",
  wine: "wine wine64",
  zsh: "zsh",
} as const;

export type Program = keyof typeof packageOf;

/** Where the program is along PATH. Beside each bin there may be an sbin, which an ordinary user's PATH leaves out. */
export function findProgram(name: Program): string | undefined {
  for (const directory of (process.env["PATH"] ?? "").split(delimiter)) {
    for (const place of new Set([directory, directory.replace(/\/bin$/, "/sbin")])) {
      const file = join(place, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // not here
      }
    }
  }
  return undefined;
}

/** Why a test that starts these programs is skipped here, with the packages that have them; false when all are there. */
export function needs(...programs: Program[]): string | false {
  const missing = programs.filter((name) => findProgram(name) === undefined);
  if (missing.length === 0) return false;
  const packages = new Set(missing.map((name) => packageOf[name]));
  return `no ${missing.join(", ")} on PATH (apt-get install ${[...packages].join(" ")})`;
}

export const isRoot = process.getuid?.() === 0;

/** `why` says what it is that only root can do, e.g. "a network namespace". */
export function needsRoot(why: string): string | false {
  return isRoot ? false : `${why} needs root`;
}

/** Namespaces are root's, and not every root's: a container mostly has no right to make one. */
export function needsNamespace(kind: "net" | "mount" | "pid"): string | false {
  const problem = needsRoot(`a ${kind} namespace`) || needs("unshare");
  if (problem !== false) return problem;
  const { status, stderr } = spawnSync("unshare", [`--${kind}`, "--fork", "true"], { encoding: "utf8" });
  return status === 0 ? false : `no ${kind} namespace can be made here: ${stderr.trim()}`;
}

/** An sshd of the test's own; it can be reached by a wire that is cut. */
export function needsSshd(): string | false {
  return needs("sshd", "ssh", "ssh-keygen") || needsRoot("an sshd that anybody can log in at");
}
