/** Who may do what with a file, read from descriptors as Windows writes them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { othersAccessIn } from "../../../src/platform/windows/acl.ts";
import { property } from "../../fuzz/helpers/property.ts";

const user = "S-1-5-21-1004336348-1177238915-682003330-1001";
const other = "S-1-5-21-1004336348-1177238915-682003330-1002";
const own = `(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;${user})`;

describe("a file is private", () => {
  for (const [what, descriptor] of [
    ["as in a user's own profile", `O:${user}G:${user}D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;FA;;;${user})`],
    ["of an elevated user, whose files belong to the administrators", `O:BAG:${user}D:P${own}`],
    ["with an empty list", `O:${user}D:`],
    ["with entries for its creator and owner", `O:${user}D:${own}(A;OICIIO;GA;;;CO)(A;;FA;;;OW)`],
    ["with an entry that denies", `O:${user}D:(D;;FA;;;WD)${own}`],
    ["that others may pass through, not read", `O:${user}D:${own}(A;;0x1000a0;;;WD)(A;;FX;;;BU)`],
    ["with a list of what is audited", `O:${user}D:${own}S:AI(AU;SAFA;FA;;;WD)`],
  ] as const)
    it(what, () => assert.equal(othersAccessIn(descriptor, user), "none"));

  it("of the machine's first administrator, who has a name of his own", () => {
    assert.equal(othersAccessIn("O:LAD:(A;;FA;;;LA)", "S-1-5-21-1-2-3-500"), "none");
    assert.equal(othersAccessIn(`O:${user}D:(A;;FA;;;LA)`, user), "write");
  });
});

describe("a file is open", () => {
  for (const [access, what, descriptor] of [
    ["read", "to all users of the machine", `O:${user}D:${own}(A;OICI;0x1200a9;;;BU)`],
    ["read", "to another user, by name of the right", `O:${user}D:${own}(A;;FR;;;${other})`],
    ["read", "by a conditional entry", `O:${user}D:${own}(XA;;FR;;;AU;(Member_of {SID(BA)}))`],
    ["read", "later, to those who will be made in it", `O:${user}D:${own}(A;OICIIO;GR;;;WD)`],
    ["write", "to all who are logged in, as below D:", `O:BAD:AI${own}(A;OICIID;0x1301bf;;;AU)`],
    ["write", "to whoever may change its list", `O:${user}D:${own}(A;;WD;;;${other})`],
    ["write", "to whoever may take it", `O:${user}D:${own}(A;;WO;;;${other})`],
    ["write", "to whoever may remove what is in it", `O:${user}D:${own}(A;;DT;;;${other})`],
    ["write", "by a right of an unknown name", `O:${user}D:${own}(A;;ZZ;;;${other})`],
    ["write", "because it is another user's", `O:${other}D:${own}`],
    ["write", "without a list", `O:${user}`],
    ["write", "with a list for all", `O:${user}D:NO_ACCESS_CONTROL`],
    ["write", "by an entry after a conditional one", `O:${user}D:(XA;;FR;;;AU;(a == ")(")))(A;;FA;;;WD)`],
    ["write", "when nothing can be read of it", "?"],
  ] as const)
    it(`${access}: ${what}`, () => assert.equal(othersAccessIn(descriptor, user), access));

  const entry = fc.tuple(
    fc.constantFrom("A", "D", "XA", "OA"),
    fc.constantFrom("FA", "FR", "FX", "0x1f01ff", "CCDC"),
    fc.constantFrom("SY", "BA", user, "WD", other),
  );
  const entries = fc.array(entry, { maxLength: 5 });
  property("exactly when an entry allows another user something", 1000, entries, (given) => {
    const text = given.map(([kind, rights, who]) => `(${kind};;${rights};;;${who})`).join("");
    const foreign = given
      .filter(([kind, , who]) => kind !== "D" && (who === "WD" || who === other))
      .map(([, rights]) => rights);
    const mayWrite = foreign.some((rights) => rights !== "FR" && rights !== "FX");
    const expected = mayWrite ? "write" : foreign.includes("FR") ? "read" : "none";
    assert.equal(othersAccessIn(`O:${user}D:${text}`, user), expected);
  });
});
