/** Error codes of other parties, reduced to plain codes because terminals and models read them. */

export function plainCode(code: string): string {
  return /^[\w.-]{1,64}$/.test(code) ? code : "an unreadable error";
}
