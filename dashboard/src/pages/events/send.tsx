/** Sending an event by hand. What is wrong with it is said before it is sent. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { type Json, parseExact } from "../../api/exact";
import type { EventSchema } from "../../api/model";
import * as api from "../../api/resources";
import { refresh, useAnswer } from "../../live/answer";
import { Dialog } from "../../parts/dialog";
import { isObject, JsonField, wrongIn } from "../../parts/json_field";
import { tell } from "../../parts/toast";
import { toEvent } from "../../place";
import { sampleOf, wrongBy } from "./schema";
import { Described, Latest, Samples, textOf } from "./send_help";

const SAMPLE = '{\n  "name": "order/placed",\n  "data": {\n    "order": 1\n  }\n}';

export function SendEvent({
  onClose,
  first = SAMPLE,
}: {
  onClose: () => void;
  first?: string;
}): JSX.Element {
  const { route } = useLocation();
  const [text, setText] = useState(first);
  const [refused, setRefused] = useState("");
  const [busy, setBusy] = useState(false);
  const known = useAnswer("functions", api.functions);
  const schemas = useAnswer("event-schemas", api.eventSchemas);
  const wrong = wrongEvent(text);
  const doubt = wrong ? "" : doubtOf(text, schemas.data ?? []);
  const names = [
    ...new Set(
      (known.data ?? []).flatMap((fn) =>
        fn.triggers.filter((one) => one.type === "EVENT").map((one) => one.value),
      ),
    ),
  ];
  const name = wrong ? "" : nameOf(text);
  const take = (taken: string) => {
    setText(taken);
    setRefused("");
  };
  const begin = async (chosen: string) => {
    const schema = schemas.data?.find((one) => one.name === chosen);
    const last = await api.events({ limit: 1, name: chosen }).catch(() => undefined);
    const data = last?.data[0]?.data ?? (schema ? sampleOf(schema.data) : undefined);
    take(data === undefined ? withName(text, chosen) : textOf(chosen, data));
  };
  const send = async () => {
    if (wrong || busy) return;
    setBusy(true);
    try {
      const id = await api.sendEvent(text);
      refresh();
      onClose();
      tell("Sent");
      route(toEvent(id));
    } catch (error) {
      setRefused((error as Error).message);
      setBusy(false);
    }
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) void send();
  };
  return (
    <Dialog
      title="Send an event"
      onClose={onClose}
      foot={
        <>
          <button type="button" class="button" onClick={onClose}>
            Close
          </button>
          <button type="button" class="button main" disabled={busy || wrong !== ""} onClick={send}>
            Send
          </button>
        </>
      }
    >
      {names.length > 0 && (
        <p class="small soft">
          Functions listen for:{" "}
          {names.map((one) => (
            <button
              type="button"
              class="chip listened"
              key={one}
              onClick={() => begin(one)}
              title={`Begin with the latest ${one}, or with what is described`}
            >
              <bdi>{one}</bdi>
            </button>
          ))}
        </p>
      )}
      <Latest name={name} onTake={take} />
      <JsonField
        label="The event, as JSON"
        value={text}
        wrong={wrong || refused}
        onKeyDown={onKeyDown}
        onValue={take}
      />
      <Samples text={text} canKeep={wrong === ""} onTake={take} />
      <Described schema={schemas.data?.find((one) => one.name === name)} />
      {doubt && (
        <p class="held-up small" role="status">
          {doubt}. It can be sent all the same.
        </p>
      )}
    </Dialog>
  );
}

/** What is wrong with an event, in one sentence; nothing where it can be sent. */
export const wrongEvent = (text: string): string =>
  wrongIn(text, (event) => {
    if (!isObject(event)) return "An event is an object with a name and data";
    const { name, data } = event;
    if (typeof name !== "string" || name === "")
      return 'An event needs a "name", such as "order/placed"';
    if (data !== undefined && !isObject(data)) return '"data" is an object, such as {"order": 1}';
    return "";
  });

const nameOf = (text: string): string => (parseExact(text) as { readonly name: string }).name;

/** What an event lacks by the description that an app gave of it; it is sent all the same. */
function doubtOf(text: string, schemas: readonly EventSchema[]): string {
  const event = parseExact(text) as { readonly name: string; readonly data?: Json };
  const schema = schemas.find((one) => one.name === event.name)?.data;
  return schema === undefined ? "" : wrongBy(schema, event.data ?? {});
}

/** The text with another name; where it cannot be read, an event of that name without data. */
function withName(text: string, name: string): string {
  const replaced = text.replace(
    /("name"\s*:\s*)"(?:[^"\\]|\\.)*"/,
    (_all, before: string) => before + JSON.stringify(name),
  );
  return wrongEvent(replaced) === ""
    ? replaced
    : `{\n  "name": ${JSON.stringify(name)},\n  "data": {}\n}`;
}
