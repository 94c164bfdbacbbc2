import { describe, expect, it } from "vitest";
import { heldStill } from "./held_still";

describe("heldStill", () => {
  it("keeps the places, shows each entry as it is now, and counts what came", () => {
    const shown = [
      { id: "b", status: "RUNNING" },
      { id: "a", status: "QUEUED" },
    ];
    const fresh = [
      { id: "d", status: "QUEUED" },
      { id: "c", status: "QUEUED" },
      { id: "b", status: "COMPLETED" },
    ];
    expect(heldStill(shown, fresh)).toEqual({
      items: [
        { id: "b", status: "COMPLETED" },
        { id: "a", status: "QUEUED" },
      ],
      newer: 2,
    });
  });

  it("is the list itself where nothing came", () => {
    const list = [{ id: "a" }];
    expect(heldStill(list, list)).toEqual({ items: list, newer: 0 });
  });
});
