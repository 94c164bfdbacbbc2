import { describe, expect, it } from "vitest";
import { type Filter, filterOf, narrows, searchOf } from "./filter";

const EVERYTHING: Filter = { statuses: [], app: "", fn: "", last: "", oldestFirst: false };

describe("the filter in the address", () => {
  it.each<Filter>([
    EVERYTHING,
    { ...EVERYTHING, statuses: ["FAILED"] },
    { ...EVERYTHING, statuses: ["QUEUED", "CANCELLED"], oldestFirst: true },
    { statuses: ["RUNNING"], app: "shop & co", fn: "shop-a/b", last: "24h", oldestFirst: false },
  ])("comes back as it went", (filter) => {
    expect(filterOf(new URLSearchParams(searchOf(filter)))).toEqual(filter);
  });

  it("leaves out what it does not know", () => {
    const search = new URLSearchParams("status=DONE&last=9y&order=up");
    expect(filterOf(search)).toEqual(EVERYTHING);
  });

  it("is no filter when only the order differs", () => {
    expect(narrows({ ...EVERYTHING, oldestFirst: true })).toBe(false);
    expect(narrows({ ...EVERYTHING, last: "1h" })).toBe(true);
  });
});
