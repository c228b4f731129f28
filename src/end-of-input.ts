/**
 * Signals a stdio client's end of input over its connection: one final byte that JSON cannot contain. A connection that
 * closes without it means that the client is gone.
 */
export const endOfInput = 0x04;
