/** Reduces error codes of other parties to plain characters, since terminals and models read them. */

export function plainCode(code: string): string {
  return /^[\w.-]{1,64}$/.test(code) ? code : "an unreadable error";
}
