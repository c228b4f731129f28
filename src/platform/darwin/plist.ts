/** Property lists in XML, as plist(5) and launchd.plist(5) describe them. Written only: nothing here reads one. */

export type PropertyValue =
  | string
  | number
  | boolean
  | readonly PropertyValue[]
  | { readonly [key: string]: PropertyValue };

const head = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">`;

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
  "\r": "&#13;", // a parser would read a bare one as a line feed
};

/** Whether XML 1.0 (section 2.2) has every character: it has most control characters not even as references. */
function isXmlText(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- these are the characters to find
  return text.isWellFormed() && !/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/.test(text);
}

function escape(text: string): string {
  if (!isXmlText(text)) throw new TypeError("a property list cannot hold this text: it has control characters");
  return text.replaceAll(/[&<>"'\r]/g, (character) => entities[character] ?? "");
}

function element(value: PropertyValue): string {
  if (typeof value === "string") return `<string>${escape(value)}</string>`;
  if (typeof value === "boolean") return value ? "<true/>" : "<false/>";
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new TypeError("a property list here holds whole numbers only");
    return `<integer>${value}</integer>`;
  }
  if (isArray(value)) return `<array>${value.map(element).join("")}</array>`;
  const entries = Object.entries(value).map(([key, each]) => `<key>${escape(key)}</key>${element(each)}`);
  return `<dict>${entries.join("")}</dict>`;
}

/** `Array.isArray` does not narrow a readonly array. */
function isArray(value: PropertyValue): value is readonly PropertyValue[] {
  return Array.isArray(value);
}

/** Throws TypeError for text that XML cannot hold. */
export function propertyList(value: PropertyValue): string {
  return `${head}\n${element(value)}\n</plist>\n`;
}
