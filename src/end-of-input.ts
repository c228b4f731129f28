/**
 * How a stdio client's end of input is told over its connection: by one byte behind all others, which no JSON holds. A connection
 * that just ends is a client that is gone, and so the two are never mistaken for each other.
 */
export const endOfInput = 0x04;
