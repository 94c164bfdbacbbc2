import { describe, expect, it } from "vitest";
import { parseExact } from "../api/exact";
import { commandOf, curlOf, eventOf, python, pythonOf, quoted, rerunCommandOf } from "./as_code";

describe("quoted", () => {
  it.each([
    ["order/placed", "order/placed"],
    ["it's", "'it'\\''s'"],
    ["$(rm -rf /)", "'$(rm -rf /)'"],
    ["", "''"],
  ])("makes one word of %j", (text, word) => {
    expect(quoted(text)).toBe(word);
  });
});

describe("python", () => {
  it.each([
    ["null", "None"],
    ["true", "True"],
    ["1180591620717411303424", "1180591620717411303424"],
    ["1.50", "1.50"],
    ['"a\\"b"', '"a\\"b"'],
    ["{}", "{}"],
    ['{"a": [false, null]}', '{"a": [False, None]}'],
  ])("writes %s as %s", (json, told) => {
    expect(python(parseExact(json))).toBe(told);
  });

  it("breaks what is long", () => {
    const long = parseExact(`{"a": "${"x".repeat(60)}", "b": 1}`);
    expect(python(long)).toBe(`{\n    "a": "${"x".repeat(60)}",\n    "b": 1,\n}`);
  });
});

describe("a step", () => {
  it("is a command that runs again from it", () => {
    const input = parseExact('["it\'s", 1180591620717411303424]');
    expect(rerunCommandOf("01A", { stepId: "ab12", input })).toBe(
      `stepwell rerun 01A --from-step ab12 --input '["it'\\''s",1180591620717411303424]'`,
    );
    expect(rerunCommandOf("01A", { stepId: "ab12" })).toBe("stepwell rerun 01A --from-step ab12");
  });
});

describe("an event", () => {
  const event = { name: "order/placed", data: parseExact('{"n": 1180591620717411303424}') };

  it("is a command", () => {
    expect(commandOf(event)).toBe(`stepwell send order/placed '{"n":1180591620717411303424}'`);
  });

  it("is a request, with a key where one is asked for", () => {
    expect(curlOf("http://a/api/v2/events", { name: "a" }, true)).toBe(
      "curl http://a/api/v2/events \\\n" +
        '  -H "Authorization: Bearer $STEPWELL_KEY" \\\n' +
        "  -H 'Content-Type: application/json' \\\n" +
        `  -d '{"name":"a"}'`,
    );
  });

  it("is a program and JSON", () => {
    expect(pythonOf(event)).toContain('data={"n": 1180591620717411303424},');
    expect(eventOf({ name: "a" })).toBe('{\n  "name": "a",\n  "data": {}\n}');
  });
});
