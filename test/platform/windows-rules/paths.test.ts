/** Paths of Windows: which are whole, and which directory holds which. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { isFullPath, isInDirectory, isSamePath } from "../../../src/platform/windows-rules/paths.ts";
import { property } from "../../fuzz/helpers/property.ts";

describe("a path of Windows", () => {
  it("is full with a drive or a share, and not without", () => {
    for (const path of ["C:\\", "c:/code", String.raw`\\server\share`, String.raw`\\?\C:\code`])
      assert.ok(isFullPath(path), path);
    for (const path of ["", "C:", "C:code", String.raw`\code`, "/code", "code", String.raw`..\code`])
      assert.ok(!isFullPath(path), path);
  });

  it("lies in a directory whatever the case, and not beside it", () => {
    const directory = String.raw`C:\Üser Näme\Code`;
    for (const path of [directory, String.raw`c:\üser näme\CODE\deep\er`, "C:/Üser Näme/code/"])
      assert.ok(isInDirectory(path, directory), path);
    for (const path of [String.raw`C:\Üser Näme`, String.raw`C:\Üser Näme\Code2`, String.raw`C:\Üser Näme\Code\..\x`])
      assert.ok(!isInDirectory(path, directory), path);
    assert.ok(isInDirectory(String.raw`c:\windows`, "C:\\"), "a whole drive");
    assert.ok(!isInDirectory(String.raw`D:\windows`, "C:\\"));
    assert.ok(!isSamePath(String.raw`C:\straße`, String.raw`C:\STRASSE`), "two names to the system");
  });

  const name = fc.stringMatching(/^[a-zA-ZäÄßœ0-9]{1,6}$/);
  const names = fc.array(name, { minLength: 1, maxLength: 4 });
  property("holds what is below it, and is not held by it", 500, fc.tuple(names, names), ([above, below]) => {
    const directory = `C:\\${above.join("\\")}`;
    const path = `${directory}\\${below.join("\\")}`;
    assert.ok(
      isInDirectory(path.toUpperCase().replaceAll("SS", "ss"), directory.replaceAll("ß", "ss")) || path.includes("ß"),
    );
    assert.ok(isInDirectory(path, directory));
    assert.ok(!isInDirectory(directory, path));
  });
});
