/**
 * pump, as machine code: copies stdin to descriptor 3 and descriptor 3 to stdout, with 4 KiB of buffer each way. It never blocks
 * on one while the other could go on (a pipe that is ready takes 4096 bytes, PIPE_BUF). The end of stdin is a half-close: it
 * becomes one byte of its own (end-of-input.ts: 4) on descriptor 3, and the other way goes on until that side
 * ends. It ends at once when nobody reads its stdout any more, whatever waits. Exit 0: stdin had ended, or stdout's reader is
 * gone; 1: the other side ended first.
 */
export const pumpCode = {
  x64: [
    "4881ec00400000 4531ed 4531ff 31db", // room for two buffers; none holds anything; stdin is open
    "89d8 480fbae820 4d85ed 740a 48b80300000004000000 48890424", // upwards: { 0, POLLIN } (-1 once it ended), or { 3, POLLOUT } while its buffer holds something
    "48b80300000001000000 4d85ff 740a 48b80100000004000000 4889442408", // downwards: { 3, POLLIN }, or { 1, POLLOUT }
    "b801000000 4889442410", // and { 1, its end }
    "b807000000 4889e7 be03000000 baffffffff 0f05", // poll(…, 3, -1)
    "66837c241600 7407 31ff e9d6000000 66837c240600 7457", // nobody reads stdout: exit 0; upwards not ready: downwards
    "4d85ed 7530", // ready:
    "31c0 31ff 488db42400100000 ba00100000 4989f4 0f05 4885c0 7509 41c6042404 ffcb ffc0 31ff e888000000 4989c5 eb22", // read(0, buffer, 4096); its end: 4 in its place, and stdin has ended; an error: exit 0
    "b801000000 bf03000000 4c89e6 4c89ea 0f05 bf01000000 e867000000 4901c4 4929c5", // or write(3, what is left); an error: exit 1
    "66837c240e00 0f8430ffffff 4d85ff 7529", // downwards not ready: again
    "31c0 bf03000000 488db42400200000 ba00100000 4989f6 0f05 8d7b01 e82f000000 4989c7 e902ffffff", // read(3, buffer, 4096); its end: exit 1, or 0 once stdin has ended
    "b801000000 bf01000000 4c89f6 4c89fa 0f05 bf01000000 e80b000000 4901c6 4929c7 e9dbfeffff", // or write(1, what is left); an error: exit 1
    "4885c0 7f10 740f 4883f8fc 7406 4883f8f5 7503 31c0 c3", // 0 or an error ends all, but EINTR and EAGAIN count as nothing
    "b8e7000000 0f05", // exit_group
  ].join(" "),
  // Words as objdump prints them: the bytes are stored in the other order.
  arm64: [
    "d14013ff d2800014 d2800016 d2800017", // room for two buffers; none holds anything; stdin is open
    "2a1703e0 b2600000 b4000074 d2c00080 f2800060", // upwards: { 0, POLLIN } (-1 once it ended), or { 3, POLLOUT } while its buffer holds something
    "d2c00021 f2800061 b4000076 d2c00081 f2800021 a90007e0", // downwards: { 3, POLLIN }, or { 1, POLLOUT }
    "d2800020 f9000be0", // and { 1, its end }
    "910003e0 d2800061 d2800002 d2800003 d2800004 d2800928 d4000001", // poll(…, 3, -1)
    "79402fe9 d280000a 35000789 79400fe9 34000349", // nobody reads stdout: exit 0; upwards not ready: downwards
    "b5000214", // ready:
    "d2800000 914007e1 aa0103f3 d2820002 d28007e8 d4000001 b50000a0 52800089 39000269 92800017 d2800020 d280000a 94000023 aa0003f4 1400000a", // read(0, buffer, 4096); its end: 4 in its place, and stdin has ended; an error: exit 0
    "d2800060 aa1303e1 aa1403e2 d2800808 d4000001 d280002a 9400001a 8b000273 cb000294", // or write(3, what is left); an error: exit 1
    "79401fe9 34fff9a9 b5000176", // downwards not ready: again
    "d2800060 91400be1 aa0103f5 d2820002 d28007e8 d4000001 910006ea 9400000d aa0003f6 17ffffc2", // read(3, buffer, 4096); its end: exit 1, or 0 once stdin has ended
    "d2800020 aa1503e1 aa1603e2 d2800808 d4000001 d280002a 94000004 8b0002b5 cb0002d6 17ffffb8", // or write(1, what is left); an error: exit 1
    "f100001f 540000ec 540000e0 b100101f 54000060 b1002c1f 54000061 d2800000 d65f03c0", // 0 or an error ends all, but EINTR and EAGAIN count as nothing
    "aa0a03e0 d2800bc8 d4000001", // exit_group
  ].join(" "),
};
