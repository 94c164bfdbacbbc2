import { describe, expect, it } from "vitest";
import { errorOf, withError } from "./error_class";

describe("the class of error in a condition", () => {
  it.each(["ValueError", 'a "b" \\ c', "Über"])("comes back as it went: %s", (name) => {
    expect(errorOf(withError("", name))).toBe(name);
    expect(errorOf(withError("event.data.order == 7", name))).toBe(name);
  });

  it("takes the place of another, and leaves the rest", () => {
    const query = withError("event.data.order == 7", "KeyError");
    expect(withError(query, "ValueError")).toBe(
      'event.data.order == 7\nerror.name == "ValueError"',
    );
    expect(withError(query, "")).toBe("event.data.order == 7");
  });

  it("is none where more is said on its line", () => {
    expect(errorOf('error.name == "A" || error.name == "B"')).toBe("");
    expect(errorOf("")).toBe("");
  });
});
