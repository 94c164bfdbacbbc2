import { describe, expect, it } from "vitest";
import { EVERYTHING, type Filter, filterOf, narrows, searchOf } from "./filter";

describe("the filter in the address", () => {
  it.each<Filter>([
    EVERYTHING,
    { ...EVERYTHING, statuses: ["FAILED"] },
    { ...EVERYTHING, statuses: ["QUEUED", "CANCELLED"], oldestFirst: true },
    { ...EVERYTHING, statuses: ["RUNNING"], app: "shop & co", fn: "shop-a/b", last: "24h" },
    { ...EVERYTHING, query: 'event.data.name == "a & b" && output > 1' },
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
    expect(narrows({ ...EVERYTHING, query: "output == 1" })).toBe(true);
  });
});
