import { expect, it } from "vitest";
import { EVERY_EVENT, type EventFilter, eventFilterOf, eventSearchOf, eventsFrom } from "./filter";

it.each<EventFilter>([
  EVERY_EVENT,
  { ...EVERY_EVENT, name: "a & b/c", internal: true },
  { ...EVERY_EVENT, sessions: ["user=7, the elder", "tenant=a&b"] },
  { ...EVERY_EVENT, last: "24h", query: 'event.data.name == "a & b"' },
])("comes back from the address as it went", (filter) => {
  expect(eventFilterOf(new URLSearchParams(eventSearchOf(filter)))).toEqual(filter);
});

it("leaves out what it does not know", () => {
  expect(eventFilterOf(new URLSearchParams("last=9y&internal=maybe&session=none"))).toEqual(
    EVERY_EVENT,
  );
});

it("goes back from now", () => {
  const hour = eventsFrom({ ...EVERY_EVENT, last: "1h" }, Date.UTC(2026, 0, 1, 12));
  expect(hour).toBe("2026-01-01T11:00:00.000Z");
  expect(eventsFrom(EVERY_EVENT, 0)).toBeUndefined();
});
