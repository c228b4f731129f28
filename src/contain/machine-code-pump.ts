/**
 * pump, as machine code: copies stdin to descriptor 3 and descriptor 3 to stdout until either of them ends, with 4 KiB of
 * buffer each way. It never blocks on one while the other could go on (a pipe that is ready takes 4096 bytes, PIPE_BUF), and
 * it notices the end of stdin also while descriptor 3 takes nothing. Exit 0: stdin ended; 1: the other side did.
 */
export const pumpCode = {
  x64: [
    "4881ec00400000 4531ed 4531ff", // room for two buffers; none holds anything
    "48b80000000001000000 4d85ed 740a 48b80300000004000000 48890424", // upwards: { 0, POLLIN }, or { 3, POLLOUT } while its buffer holds something
    "48b80300000001000000 4d85ff 740a 48b80100000004000000 4889442408", // downwards: { 3, POLLIN }, or { 1, POLLOUT }
    "4983fd01 19c0 4889442410", // while bytes wait upwards, also { 0, its end }
    "b807000000 4889e7 be03000000 baffffffff 0f05", // poll(…, 3, -1)
    "66837c240600 750f 66837c241600 7450 31ff e9c2000000", // upwards not ready, but stdin ended: exit 0
    "4d85ed 7522", // ready:
    "31c0 31ff 488db42400100000 ba00100000 4989f4 0f05 31ff e88a000000 4989c5 eb22", // read(0, buffer, 4096); its end: exit 0
    "b801000000 bf03000000 4c89e6 4c89ea 0f05 bf01000000 e869000000 4901c4 4929c5", // or write(3, what is left); an error: exit 1
    "66837c240e00 0f843affffff 4d85ff 752b", // downwards not ready: again
    "31c0 bf03000000 488db42400200000 ba00100000 4989f6 0f05 bf01000000 e82f000000 4989c7 e90affffff", // read(3, buffer, 4096); its end: exit 1
    "b801000000 bf01000000 4c89f6 4c89fa 0f05 bf01000000 e80b000000 4901c6 4929c7 e9e3feffff", // or write(1, what is left); an error: exit 1
    "4885c0 7f10 740f 4883f8fc 7406 4883f8f5 7503 31c0 c3", // 0 or an error ends all, but EINTR and EAGAIN count as nothing
    "b8e7000000 0f05", // exit_group
  ].join(" "),
  // Words as objdump prints them: the bytes are stored in the other order.
  arm64: [
    "d14013ff d2800014 d2800016", // room for two buffers; none holds anything
    "d2c00020 b4000074 d2c00080 f2800060", // upwards: { 0, POLLIN }, or { 3, POLLOUT } while its buffer holds something
    "d2c00021 f2800061 b4000076 d2c00081 f2800021 a90007e0", // downwards: { 3, POLLIN }, or { 1, POLLOUT }
    "f100029f 5a9f13e0 f9000be0", // while bytes wait upwards, also { 0, its end }
    "910003e0 d2800061 d2800002 d2800003 d2800004 d2800928 d4000001", // poll(…, 3, -1)
    "79400fe9 350000a9 79402fe9 340002e9 d280000a 14000035", // upwards not ready, but stdin ended: exit 0
    "b5000174", // ready:
    "d2800000 914007e1 aa0103f3 d2820002 d28007e8 d4000001 d280000a 94000023 aa0003f4 1400000a", // read(0, buffer, 4096); its end: exit 0
    "d2800060 aa1303e1 aa1403e2 d2800808 d4000001 d280002a 9400001a 8b000273 cb000294", // or write(3, what is left); an error: exit 1
    "79401fe9 34fffa29 b5000176", // downwards not ready: again
    "d2800060 91400be1 aa0103f5 d2820002 d28007e8 d4000001 d280002a 9400000d aa0003f6 17ffffc6", // read(3, buffer, 4096); its end: exit 1
    "d2800020 aa1503e1 aa1603e2 d2800808 d4000001 d280002a 94000004 8b0002b5 cb0002d6 17ffffbc", // or write(1, what is left); an error: exit 1
    "f100001f 540000ec 540000e0 b100101f 54000060 b1002c1f 54000061 d2800000 d65f03c0", // 0 or an error ends all, but EINTR and EAGAIN count as nothing
    "aa0a03e0 d2800bc8 d4000001", // exit_group
  ].join(" "),
};
