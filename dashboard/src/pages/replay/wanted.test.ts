import { describe, expect, it } from "vitest";
import { actionOf, filterOf, NOTHING, searchOf, type Wanted, wantedOf, wrongWith } from "./wanted";

const NOW = Date.parse("2026-11-30T12:00:00.000Z");

describe("what is done again", () => {
  it.each<Wanted>([
    NOTHING,
    { ...NOTHING, app: "shop", fn: "shop-a", statuses: ["FAILED", "CANCELLED"], last: "1h" },
    { ...NOTHING, what: "events", reasons: ["RateLimit"], rate: "7" },
    {
      ...NOTHING,
      last: "",
      from: "2026-11-30T10:00:00.000Z",
      until: "2026-11-30T11:00:00.000Z",
    },
  ])("comes back from the address as it went", (wanted) => {
    expect(wantedOf(new URLSearchParams(searchOf(wanted)))).toEqual(wanted);
  });

  it("leaves out what it does not know", () => {
    const search = new URLSearchParams("what=all&status=QUEUED&reason=Mood&last=9y&from=then");
    expect(wantedOf(search)).toEqual(NOTHING);
  });

  it("is asked for in the words of the API", () => {
    const wanted = { ...NOTHING, app: "shop", fn: "shop-a" };
    expect(filterOf({ ...wanted, last: "1h" }, NOW)).toEqual({
      appId: ["shop"],
      functionId: ["shop-a"],
      from: "2026-11-30T11:00:00.000Z",
      status: ["FAILED"],
    });
    const events: Wanted = { ...wanted, what: "events", last: "", until: "2026-11-30T11:00:00Z" };
    expect(filterOf(events, NOW)).toMatchObject({ until: events.until, reason: NOTHING.reasons });
    expect([actionOf(wanted), actionOf(events)]).toEqual(["rerun", "replay"]);
  });

  it.each([
    [{ rate: "0" }, "The pace is a number from 1 to 2,000"],
    [{ rate: "x" }, "The pace is a number from 1 to 2,000"],
    [{ from: "2026-11-30", until: "2026-11-29" }, "The end comes after the beginning"],
    [{}, ""],
  ])("says what is wrong: %o", (part, said) => {
    expect(wrongWith({ ...NOTHING, ...part })).toBe(said);
  });
});
