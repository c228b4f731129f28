/** Headers that repeat values of a body: a value unsuitable for a header is sent as `=?base64?…?=`. */
import { isUtf8 } from "node:buffer";

const opening = "=?base64?";
const closing = "?=";

/** A value that looks encoded is encoded, too. */
export function headerValue(value: string): string {
  const isPlain = /^[!-~](?:[ -~]*[!-~])?$/.test(value) && !(value.startsWith(opening) && value.endsWith(closing));
  return isPlain ? value : `${opening}${Buffer.from(value).toString("base64")}${closing}`;
}

/** Decodes a header. Undefined: it has invalid characters or invalid base64 text. */
export function headerText(value: string): string | undefined {
  if (!/^[\t -~]*$/.test(value)) return undefined;
  if (!value.startsWith(opening) || !value.endsWith(closing)) return value;
  const encoded = value.slice(opening.length, -closing.length);
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(encoded)) return undefined;
  const bytes = Buffer.from(encoded, "base64");
  return isUtf8(bytes) ? bytes.toString("utf8") : undefined;
}
