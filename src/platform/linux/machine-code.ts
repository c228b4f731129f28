/** The little programs of programs.ts as machine code, for each architecture. Words of one comment belong together. */

import { executorCode } from "./machine-code-executor.ts";
import { pumpCode } from "./machine-code-pump.ts";

export type ProgramName = "executor" | "joiner" | "launcher" | "pump" | "sentinel";

export const machineCode: Record<string, { machine: number; programs: Record<ProgramName, string> }> = {
  x64: {
    machine: 62,
    programs: {
      executor: executorCode.x64,
      joiner: [
        "4889e3 488b7b10 be00000900 b802000000 0f05", // rbx = rsp; open(argv[1], O_DIRECTORY | O_CLOEXEC)
        "4189c4 85c0 0f884f010000", // r12 = the leaf; or fail
        "4154 6a00 6a00 6a00 6a00 6a00 6a11 6a00 6a00 6a00", // struct clone_args: cgroup, …, SIGCHLD, …
        "b802000000 48c1e020 50", // … CLONE_INTO_CGROUP
        "4889e7 be58000000 b8b3010000 0f05", // clone3(rsp, 88)
        "85c0 0f84f0000000 0f88b7000000 4189c4", // the child: become; refused: by writing; r12 = the child
        "6a00 6a00 6a00 6a01 41bd1f000000", // a sigaction that ignores; r13 = 31
        "4183fd11 7415", // not SIGCHLD, or there would be nothing to wait for
        "b80d000000 4489ef 4889e6 31d2 41ba08000000 0f05 41ffcd 75e0", // rt_sigaction(r13, ignore, 0, 8) until r13 is 0
        "31ff beffffffff 31d2 b8b4010000 0f05", // close_range(0, -1, 0): the streams are the command's alone
        "b83d000000 4489e7 4889e6 31d2 4531d2 0f05 83f8fc 74e9", // wait4(r12, &status, 0, 0), again on EINTR
        "448b2c24 4589ec 4183e47f 750a 0fb67c2401 e99e000000", // r12 = its signal; none: exit_group(its code)
        "b89d000000 bf04000000 31f6 0f05", // prctl(PR_SET_DUMPABLE, 0): a core file would hide the command's
        "48c7042400000000 b80d000000 4489e7 4889e6 31d2 41ba08000000 0f05", // rt_sigaction(r12, default, 0, 8)
        "b827000000 0f05 89c7 4489e6 b83e000000 0f05", // kill(getpid(), r12)
        "418dbc2480000000 eb56", // not ended by it: exit_group(128 + r12)
        "b801010000 4489e7 488d3555000000 ba01000800 0f05 85c0 7843", // by writing: openat(r12, "cgroup.procs", O_WRONLY)
        "89c7 488d354e000000 ba01000000 b801000000 0f05 ffc8 752a", // write(…, "0", 1); or fail
        "488b0b 488b7b18 488d7318 488d54cb10 b83b000000 0f05", // become: execve(argv[2], argv + 2, environment)
        "83f8fe bf7e000000 7502 ffc7 b8e7000000 0f05", // exit_group(eax == -ENOENT ? 127 : 126)
        "bf7d000000 ebf2", // fail: exit_group(125)
        "6367726f75702e70726f637300 30", // "cgroup.procs", "0"
      ].join(" "),
      pump: pumpCode.x64,
      launcher: [
        "b89d000000 bf24000000 be01000000 31d2 4531d2 4531c0 0f05", // prctl(36, 1, 0, 0, 0)
        "4889e3 6a00 6a00 6a00 6a00 41bc1f000000", // rbx = rsp; a sigaction of zeros; r12 = 31
        "b80d000000 4489e7 4889e6 31d2 41ba08000000 0f05", // rt_sigaction(r12, zeros, 0, 8)
        "41ffcc 75e6 4889dc", // until r12 is 0; rsp = rbx
        "488b0424 488b7c2410 488d742410 488d54c410", // argc, argv[1], argv + 1, environment
        "b83b000000 0f05", // execve
        "83f8fe bf7e000000 7502 ffc7 b8e7000000 0f05", // exit_group(eax == -ENOENT ? 127 : 126)
      ].join(" "),
      sentinel: [
        "488b5c2410 48b80500000001000000 50 b009 50", // rbx = argv[1]; struct pollfd { 9, POLLIN }, { 5, POLLIN }
        "b807000000 4889e7 be02000000 baffffffff 0f05 83f8fc 74e7", // poll(…, 2, -1), again on EINTR
        "66837c240e00 7522", // descriptor 5: over all of the next two lines
        "686f6e650a c64424ff67", // "gone\n"
        "b801000000 bf08000000 488d7424ff ba05000000 0f05 eb3e", // write(8, …, 5)
        "6a31 b801000000 bf03000000 4889e6 ba01000000 0f05", // descriptor 5: write(3, "1", 1)
        "bde8030000 4889df b854000000 0f05 83f8f0 7514", // ebp = 1000; rmdir(rbx), and while that is EBUSY
        "31ff 31f6 ba0a000000 b807000000 0f05 ffcd 75dd", // poll(0, 0, 10), again, ebp times
        "31ff b8e7000000 0f05", // exit_group(0)
      ].join(" "),
    },
  },
  arm64: {
    machine: 183,
    // Words as objdump prints them: the bytes are stored in the other order.
    programs: {
      executor: executorCode.arm64,
      joiner: [
        "910003f3 92800c60 f9400a61 d2880002 f2a00102 d2800708 d4000001", // x19 = sp; openat(AT_FDCWD, argv[1], …)
        "aa0003f4 37f80b80 d10183ff", // x20 = the leaf; or fail
        "d2c00040 a9007fe0 a9017fff d2800220 a9027fe0 a9037fff a9047fff f9002bf4", // struct clone_args
        "910003e0 d2800b01 d2803668 d4000001", // clone3(sp, 88)
        "b4000820 b7f80660 aa0003f4", // the child: become; refused: by writing; x20 = the child
        "d2800020 a9007fe0 a9017fff d28003f5", // a sigaction that ignores; x21 = 31
        "f10046bf 540000e0", // not SIGCHLD
        "aa1503e0 910003e1 d2800002 d2800103 d28010c8 d4000001 f10006b5 54fffee1", // rt_sigaction until x21 is 0
        "d2800000 12800001 d2800002 d2803688 d4000001", // close_range(0, -1, 0)
        "aa1403e0 910003e1 d2800002 d2800003 d2802088 d4000001 b100101f 54ffff20", // wait4, again on EINTR
        "b94003f5 53083ea0 72001ab4 54000560", // x20 = its signal; none: exit_group(its code)
        "d2800080 d2800001 d28014e8 d4000001", // prctl(PR_SET_DUMPABLE, 0)
        "f90003ff aa1403e0 910003e1 d2800002 d2800103 d28010c8 d4000001", // rt_sigaction(x20, default)
        "d2801588 d4000001 aa1403e1 d2801028 d4000001 91020280 14000019", // kill(getpid(), x20); exit_group(128 + x20)
        "aa1403e0 10000361 d2800022 f2a00102 d2800708 d4000001 37f80280", // by writing: openat(x20, "cgroup.procs", …)
        "30000301 d2800022 d2800808 d4000001 f100041f 540001c1", // write(…, "0", 1); or fail
        "f9400263 f9400e60 91006261 8b030e62 91004042 d2801ba8 d4000001", // become: execve
        "b100081f d2800fc0 54000041 91000400 d2800bc8 d4000001", // exit_group
        "d2800fa0 17fffffd 6f726763 702e7075 73636f72 00003000", // fail: exit_group(125); the two words
      ].join(" "),
      pump: pumpCode.arm64,
      launcher: [
        "d2800480 d2800021 d2800002 d2800003 d2800004 d28014e8 d4000001", // prctl
        "910003e9 d10083ff a9007fff a9017fff d28003ea", // x9 = sp; zeros; x10 = 31
        "aa0a03e0 910003e1 d2800002 d2800103 d28010c8 d4000001", // rt_sigaction
        "f100054a 54ffff21 9100013f", // until x10 is 0; sp = x9
        "f94003e3 f9400be0 910043e1 8b236fe2 91004042", // argc, argv[1], argv + 1, environment
        "d2801ba8 d4000001", // execve
        "b100081f d2800fc0 54000041 91000400 d2800bc8 d4000001", // exit_group
      ].join(" "),
      sentinel: [
        "f9400bf3 d2800014 d10083ff d2800120 f2c00020 d28000a1 f2c00021 a90007e0", // x19 = argv[1]; x20 = 0; struct pollfd { 9, POLLIN }, { 5, POLLIN }
        "910003e0 d2800041 d2800002 d2800003 d2800004 d2800928 d4000001 b100101f 54ffff00", // ppoll, again on EINTR
        "79401fe1 35000101", // descriptor 5: over all of the next two lines
        "d28dece0 f2acadc0 f2c00140 f9000be0", // "gone\n"
        "d2800100 d28000a2 14000006", // to descriptor 8
        "d2807d14 d2800620 f9000be0 d2800060 d2800022", // descriptor 5: x20 = 1000; "1" to descriptor 3
        "910043e1 d2800808 d4000001 d292d009 f2a01309 a90027ff", // write; a timespec of 10 ms
        "b40001d4 92800c60 aa1303e1 d2804002 d2800468 d4000001 b100401f 540000e1", // x20 times: unlinkat(AT_FDCWD, x19, AT_REMOVEDIR), and while that is EBUSY
        "910003e0 d2800001 d2800ca8 d4000001 d1000694 17fffff3", // nanosleep
        "d2800000 d2800bc8 d4000001", // exit_group(0)
      ].join(" "),
    },
  },
};
