/*
 * The beginning of every program: an ELF header and one segment that covers the whole file, so the image needs no linker and
 * stays under 600 bytes. MACHINE is set before; the label image_end marks the end of the program.
 */
.equ BASE, 0x400000

image:
    .byte 0x7f
    .ascii "ELF"
    .byte 2, 1, 1                       /* 64 bits, little-endian, current version */
    .zero 9
    .2byte 2                            /* an executable */
    .2byte MACHINE
    .4byte 1
    .8byte BASE + (start - image)       /* entry */
    .8byte segment - image
    .8byte 0                            /* no sections */
    .4byte 0
    .2byte 64, 56, 1                    /* bytes of this header and of a segment's, segments */
    .2byte 0, 0, 0
segment:
    .4byte 1                            /* load … */
    .4byte 5                            /* … to read and run */
    .8byte 0
    .8byte BASE, BASE
    .8byte image_end - image, image_end - image
    .8byte 65536                        /* the larger maximum page size of both processors */
start:
