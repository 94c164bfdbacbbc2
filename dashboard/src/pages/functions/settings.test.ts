import { describe, expect, it } from "vitest";
import { limitsTold, settingsTold } from "./settings";

describe("settingsTold", () => {
  it("tells each setting in words, limits before what orders them", () => {
    const told = settingsTold({
      concurrency: [
        { scope: "FN", limit: { value: 2, isPlanLimit: false }, key: "event.data.user" },
      ],
      retries: { value: 4, isDefault: true },
      throttle: { limit: 10, period: "1m" },
    });
    expect(told).toEqual([
      { name: "Retries", words: "4, the default" },
      { name: "Throttle", words: "10 in 1m begin, the rest wait" },
      { name: "Concurrency", words: "2 at once for each event.data.user" },
    ]);
  });

  it("tells a setting it does not know as it is stored", () => {
    expect(settingsTold({ someday: { a: 1 } })).toEqual([{ name: "someday", words: '{ "a": 1 }' }]);
  });

  it("has a line for each of several limits and none for what is off", () => {
    const told = settingsTold({
      concurrency: [{ limit: 1 }, { limit: 5, scope: "env" }],
      singleton: null,
    });
    expect(told.map((one) => one.words)).toEqual(["1 at once", "5 at once in this environment"]);
  });
});

describe("limitsTold", () => {
  it("names what bounds or orders runs, each once", () => {
    const told = limitsTold({
      retries: { value: 4 },
      concurrency: [{ limit: 1 }, { limit: 5, scope: "env" }],
      rateLimit: { limit: 1, period: "1m" },
    });
    expect(told).toBe("Rate limit, Concurrency");
  });

  it("names nothing where nothing does", () => {
    expect(limitsTold({ retries: { value: 4 } })).toBe("");
  });
});
