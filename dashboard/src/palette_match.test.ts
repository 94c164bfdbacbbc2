import { describe, expect, it } from "vitest";
import { distance, found } from "./palette_match";

const all = ["Runs", "shop-refund", "shop-fulfil", "Schedules"].map((name) => ({ name }));
const names = (letters: string) => found(letters, all).map((one) => one.name);

describe("what letters may mean", () => {
  it("is everything where there are none", () => {
    expect(names(" ")).toHaveLength(4);
  });

  it("puts the beginning of a word first, then the middle, then letters apart", () => {
    expect(names("ru")).toEqual(["Runs", "shop-refund"]);
    expect(names("fu")).toEqual(["shop-fulfil", "shop-refund"]);
    expect(names("sl")).toEqual(["Schedules", "shop-fulfil"]);
  });

  it("is nothing where a name lacks one", () => {
    expect(distance("xyz", "Runs")).toBeUndefined();
  });
});
