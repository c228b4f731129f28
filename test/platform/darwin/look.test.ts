/** A look at a Mac shows what its kernel tells, and calls nothing known that is withheld. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { viewPort } from "../../../src/doctor/ports.ts";
import { DarwinLook } from "../../../src/platform/darwin/inspection/look.ts";
import { PlantedMac, tcpSocket } from "../../doctor/helpers/planted-mac.ts";

describe("a look at a Mac", () => {
  it("shows the ports of processes that may be read", () => {
    const mac = new PlantedMac();
    const pid = mac.start({ words: ["holdfast", "gateway"] });
    mac.open(pid, { number: 5, kind: "socket", socket: tcpSocket(50n, "LISTEN", 4653) });
    const { listeners, states } = viewPort(new DarwinLook(mac), 4653);
    assert.deepEqual(
      listeners.map((each) => each.pids),
      [[pid]],
    );
    assert.deepEqual(states, [{ state: "LISTEN", count: 1 }]);
  });

  it("knows a withheld environment from an empty variable, and names processes of other users", () => {
    const mac = new PlantedMac();
    const own = mac.start({ words: ["node"], environment: ["A=", "HOLDFAST_RUN=/o/r"] });
    const look = new DarwinLook(mac);
    assert.equal(look.variableOf(own, "A"), "A=");
    assert.equal(look.variableOf(own, "HOLDFAST_RUN"), "HOLDFAST_RUN=/o/r");
    assert.equal(look.environmentOf(1), undefined);
    assert.equal(look.commandOf(1), "[launchd]");
    const second = mac.start({ words: ["sh"] });
    assert.deepEqual(new DarwinLook(mac).childListOf(1), [own, second], "the oldest first");
    assert.equal(look.userOf(1), 0);
    assert.equal(look.descriptorOf(1, 0), "denied");
    assert.equal(look.processes.get(own)?.startTime.split(".").length, 2);
  });
});
