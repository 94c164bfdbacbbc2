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
      at: "==",
      after: " 1",
    });
  });

  it("counts letters beyond the first plane once, and knows the end of a line", () => {
    const told = wrongAt('a == "😀" &&', "query: ends too early (line 1, column 12)");
    expect([told.before, told.at]).toEqual(['a == "😀" &&', ""]);
  });

  it.each([
    ["foo.bar == 1", "undeclared reference to 'foo': use event, output or error", "foo"],
    ["a && bogus(event)", "there is no function bogus: use one of bool, bytes", "bogus"],
    ["a == 1\nb.food == foo", "undeclared reference to 'foo'", "foo"],
    ["a = 1", "Syntax error: token recognition error at: '= ' (line 1, column 3)", "="],
    ["a == 1\nb ==== 2", "extraneous input '==' expecting X (line 2, column 5)", "=="],
  ])("is the word that %j is refused for", (source, refused, at) => {
    expect(wrongAt(source, refused).at).toBe(at);
  });

  it.each([
    ["Syntax error: missing ')' at '<EOF>' (line 1, column 9)", "')' is missing at the end"],
    ["Syntax error: token recognition error at: ';' (line 1, column 1)", "';' is not understood"],
    ["mismatched input '<EOF>' expecting {'['} (line 1, column 9)", "It ends too early"],
  ])("is told in plain words", (refused, words) => {
    expect(wrongAt("event.data", refused).words).toBe(words);
  });

  it("is told in words alone where no place is known", () => {
    expect(wrongAt("a", "filter.query: it is too long")).toEqual({ words: "it is too long" });
  });
});
