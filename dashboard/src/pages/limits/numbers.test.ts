import { describe, expect, it } from "vitest";
import { fullness, numbersOf, told, writtenOf, wrongIn } from "./numbers";

describe("the numbers of a limit", () => {
  it("are told in words", () => {
    expect(told({ concurrency: 4 })).toBe("4 at once");
    expect(told({ rate: 90_000, period: "1m" })).toBe("90,000 per 1m");
  });

  it.each([{ concurrency: 4 }, { rate: 90_000, period: "1m" }])("come back as written", (one) => {
    expect(numbersOf(writtenOf(one))).toEqual(one);
  });

  it.each(["0", "-1", "1.5", "x", "", "9".repeat(16)])("are whole: not %s", (amount) => {
    expect(wrongIn({ kind: "concurrency", amount, period: "" })).not.toBe("");
  });

  it("need a period where they are a rate", () => {
    expect(wrongIn({ kind: "rate", amount: "5", period: "" })).not.toBe("");
    expect(wrongIn({ kind: "rate", amount: "5", period: "10s" })).toBe("");
  });

  it("say how full a key is", () => {
    expect(fullness({ concurrency: 4 }, 3)).toBe(0.75);
    expect(fullness({ concurrency: 4 }, 9)).toBe(1);
    expect(fullness({ rate: 10, period: "1m" }, 0, 4)).toBe(0.6);
    expect(fullness({}, 5)).toBe(0);
  });
});
