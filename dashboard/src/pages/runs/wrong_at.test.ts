import { describe, expect, it } from "vitest";
import { wrongAt } from "./wrong_at";

describe("where an expression is wrong", () => {
  it("is the character that the server names", () => {
    expect(
      wrongAt(
        "event.data.x ==== 1",
        "query: Syntax error: extraneous input '==' expecting {'[', STRING} (line 1, column 16)",
      ),
    ).toEqual({
      words: "'==' is not expected here",
      before: "event.data.x ==",
      at: "=",
      after: "= 1",
    });
  });

  it("counts letters beyond the first plane once, and knows the end of a line", () => {
    const told = wrongAt('a == "😀" &&', "query: ends too early (line 1, column 12)");
    expect([told.before, told.at]).toEqual(['a == "😀" &&', ""]);
  });

  it("is told in words alone where no place is known", () => {
    expect(wrongAt("a", "filter.query: it is too long")).toEqual({ words: "it is too long" });
  });
});
