/** The code of an error that another side sent: it is printed on terminals and read by models, so words it is not. */

export function plainCode(code: string): string {
  return /^[\w.-]{1,64}$/.test(code) ? code : "an error that is not a code";
}
