/**
 * executor, as machine code: `executor DIGIT …` maps the command image (command-image.ts) in the descriptor of that number,
 * closes every descriptor over 2, ignores the signals of the image's mask, and becomes the first of the image's paths that
 * can be run, with the image's arguments and environment. A text file without "#!" is run by /bin/sh. Otherwise it prints
 * the image's message and exits with 127 (not found) or 126 (cannot be run); 125: the image cannot be mapped.
 */
export const executorCode = {
  x64: [
    "488b442410 440fb620 4183ec30", // r12 = the descriptor: argv[1][0] - '0'
    "4489e7 31f6 ba02000000 b808000000 0f05 4885c0 0f8820010000", // lseek(r12, 0, SEEK_END); or fail
    "4889c6 bb10000000 48c1e320 4889df ba03000000 41ba12000000 4589e0 4531c9 b809000000 0f05", // rbx = 16 << 32; mmap(rbx, size, READ | WRITE, PRIVATE | FIXED, r12, 0)
    "4839d8 0f85f0000000", // or fail
    "bf03000000 83ceff 31d2 b8b4010000 0f05 85c0 7419", // close_range(3, -1, 0); where the kernel has none:
    "41bcff030000 4489e7 b803000000 0f05 41ffcc 4183fc02 75ed", // close(1023) … close(3)
    "4c8b6b18 6a00 6a00 6a00 6a01 4531e4", // r13 = the mask; a sigaction that ignores; r12 = 0
    "4d85ed 741f 41ffc4 49d1ed 73f3", // for each bit of the mask
    "4489e7 4889e6 31d2 41ba08000000 b80d000000 0f05 ebdc", // rt_sigaction(r12, ignore, 0, 8)
    "4c8b7310 41bf7f000000", // r14 = the paths; r15 = 127
    "498b3e 4885ff 7451 4983c608 488b7308 488b13 b83b000000 0f05", // execve(the next path, arguments, environment)
    "83f8fe 74e1 83f8ec 74dc 83f8d8 74d7 83f8dc 74d2", // ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG: the next one
    "41bf7e000000 83f8f8 75c7", // r15 = 126; and the next one, unless ENOEXEC:
    "488b7308 498b46f8 488906 4883ee08 488b7b40 48893e 488b13 b83b000000 0f05", // execve("/bin/sh", { "/bin/sh", the path, … })
    "488b7320 488b5328 4183ff7f 7408 488b7330 488b5338", // none is left: the message for r15
    "bf02000000 b801000000 0f05 4489ff b8e7000000 0f05", // write(2, …); exit_group(r15)
    "bf7d000000 ebf2", // fail: exit_group(125)
  ].join(" "),
  // Words as objdump prints them: the bytes are stored in the other order.
  arm64: [
    "f9400be0 39400000 5100c014", // w20 = the descriptor: argv[1][0] - '0'
    "2a1403e0 d2800001 d2800042 d28007c8 d4000001 b7f809e0", // lseek(w20, 0, SEEK_END); or fail
    "aa0003e1 d2c00213 aa1303e0 d2800062 d2800243 2a1403e4 d2800005 d2801bc8 d4000001", // x19 = 16 << 32; mmap(x19, size, READ | WRITE, PRIVATE | FIXED, w20, 0)
    "eb13001f 54000881", // or fail
    "d2800060 12800001 d2800002 d2803688 d4000001 b4000100", // close_range(3, -1, 0); where the kernel has none:
    "d2807ff4 aa1403e0 d2800728 d4000001 d1000694 f1000a9f 54ffff61", // close(1023) … close(3)
    "f9400e75 d2800029 a9be7fe9 a9017fff d2800014", // x21 = the mask; a sigaction that ignores; x20 = 0
    "b4000195 91000694 924002a9 d341feb5 b4ffff89", // for each bit of the mask
    "aa1403e0 910003e1 d2800002 d2800103 d28010c8 d4000001 17fffff5", // rt_sigaction(x20, ignore, 0, 8)
    "f9400a76 52800ff7", // x22 = the paths; w23 = 127
    "f94002c0 b4000300 910022d6 f9400661 f9400262 d2801ba8 d4000001", // execve(the next path, arguments, environment)
    "b100081f 54ffff00 b100501f 54fffec0 b100a01f 54fffe80 b100901f 54fffe40", // ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG: the next one
    "52800fd7 b100201f 54fffde1", // w23 = 126; and the next one, unless ENOEXEC:
    "f9400661 f85f82c9 f9000029 f9402260 f81f8c20 f9400262 d4000001", // execve("/bin/sh", { "/bin/sh", the path, … })
    "a9420a61 7101feff 54000040 a9430a61", // none is left: the message for w23
    "d2800040 d2800808 d4000001 2a1703e0 d2800bc8 d4000001", // write(2, …); exit_group(w23)
    "52800fa0 17fffffd", // fail: exit_group(125)
  ].join(" "),
};
