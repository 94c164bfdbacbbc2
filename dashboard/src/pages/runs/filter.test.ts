import { describe, expect, it } from "vitest";
import { EVERYTHING, type Filter, filterOf, narrows, searchOf, timeWords } from "./filter";

describe("the filter in the address", () => {
  it.each<Filter>([
    EVERYTHING,
    { ...EVERYTHING, statuses: ["FAILED"] },
    { ...EVERYTHING, statuses: ["QUEUED", "CANCELLED"], oldestFirst: true },
    { ...EVERYTHING, statuses: ["RUNNING"], app: "shop & co", fn: "shop-a/b", last: "24h" },
    { ...EVERYTHING, app: "shop", time: "startedAt", last: "1h" },
    { ...EVERYTHING, sessions: ["user=7, the elder", "cart=a=b"] },
    { ...EVERYTHING, columns: ["app", "trigger", "retries"] },
    { ...EVERYTHING, columns: [] },
    { ...EVERYTHING, query: 'event.data.name == "a & b" && output > 1' },
    {
      ...EVERYTHING,
      from: "2026-11-30T12:00:00.000Z",
      until: "2026-11-30T12:15:00.000Z",
      time: "endedAt",
    },
  ])("comes back as it went", (filter) => {
    expect(filterOf(new URLSearchParams(searchOf(filter)))).toEqual(filter);
  });

  it("knows two moments better than how far back", () => {
    const told = filterOf(new URLSearchParams("from=2026-11-30T12:00&last=1h&until=2026-11-01"));
    expect(told.last).toBe("");
    expect(told.from).not.toBe("");
    expect(told.until).toBe("");
  });

  it("leaves out what it does not know", () => {
    const search = new URLSearchParams(
      "status=DONE&last=9y&order=up&from=then&time=never&session=user",
    );
    expect(filterOf(new URLSearchParams("columns=ended,price")).columns).toEqual(["ended"]);
    expect(filterOf(search)).toEqual(EVERYTHING);
  });

  it("is told in words", () => {
    const told = (iso: string) => iso.slice(11, 16);
    expect(timeWords(EVERYTHING, told)).toBe("All time");
    expect(timeWords({ ...EVERYTHING, last: "1h" }, told)).toBe("Last hour");
    expect(timeWords({ ...EVERYTHING, time: "endedAt", last: "24h" }, told)).toBe(
      "Ended, last 24 hours",
    );
    expect(timeWords({ ...EVERYTHING, until: "2026-11-30T12:15:00.000Z" }, told)).toBe(
      "Queued until 12:15",
    );
  });

  it("is no filter when only the order differs", () => {
    expect(narrows({ ...EVERYTHING, oldestFirst: true })).toBe(false);
    expect(narrows({ ...EVERYTHING, columns: ["app"] })).toBe(false);
    expect(narrows({ ...EVERYTHING, last: "1h" })).toBe(true);
    expect(narrows({ ...EVERYTHING, query: "output == 1" })).toBe(true);
  });
});
