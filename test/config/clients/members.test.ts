/** A member that is added to an object and removed again leaves everything else as it was. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readDocument } from "../../../src/config/clients/document.ts";
import { withMember, withoutMember } from "../../../src/config/clients/members.ts";

const objectIn = (text: string) => readDocument("holdfast.json", text, [["mcpServers"]]).containers[0]!.node;

describe("comments of an object without members", () => {
  for (const comment of ["// , \u2028", "// two blanks  \n", "/* , */ // last\t\r\n", "/**/", "\n  // } \n  /* { */\n"])
    it(`stay to their last blank when it gets a member and loses it: ${JSON.stringify(comment)}`, () => {
      const text = `{"mcpServers":{${comment}}}`;
      const more = withMember(text, objectIn(text), "new", 1);
      for (const each of [more, withoutMember(more, objectIn(more), "new")])
        assert.ok(each.includes(comment.replace(/[\s]$/, "").replace(/\r$/, "")), JSON.stringify(each));
    });
});
