/** Other numbers for a limit: what will change is said before it does. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Limit } from "../../api/model";
import * as api from "../../api/resources";
import { refresh } from "../../live/answer";
import { Dialog } from "../../parts/dialog";
import { tell } from "../../parts/toast";
import { numbersOf, told, type Written, writtenOf, wrongIn } from "./numbers";

export function EditLimit({ limit, onClose }: { limit: Limit; onClose: () => void }): JSX.Element {
  const [written, setWritten] = useState<Written>(writtenOf(limit));
  const [refused, setRefused] = useState("");
  const [busy, setBusy] = useState(false);
  const wrong = wrongIn(written);
  const write = (part: Partial<Written>) => {
    setWritten({ ...written, ...part });
    setRefused("");
  };
  const change = async () => {
    setBusy(true);
    try {
      await api.setLimit(limit.name, numbersOf(written));
      onClose();
      tell(`${limit.name}: ${told(numbersOf(written))}`);
      refresh();
    } catch (error) {
      setRefused((error as Error).message);
      setBusy(false);
    }
  };
  const kind = (one: Written["kind"], name: string, words: string) => (
    <label class="choice">
      <input
        type="radio"
        name="kind"
        checked={written.kind === one}
        onChange={() => write({ kind: one })}
      />
      <span>
        <strong>{name}</strong>
        <span class="soft small">{words}</span>
      </span>
    </label>
  );
  return (
    <Dialog
      title={`Change ${limit.name}`}
      onClose={onClose}
      foot={
        <>
          <button type="button" class="button" onClick={onClose}>
            Keep it
          </button>
          <button
            type="button"
            class="button main"
            disabled={busy || wrong !== ""}
            onClick={change}
          >
            Change {wrong ? "" : `to ${told(numbersOf(written))}`}
          </button>
        </>
      }
    >
      <fieldset class="choices">
        <legend class="unseen">What it counts</legend>
        {kind("concurrency", "At once", "How much may be under way.")}
        {kind("rate", "Per period", "How much may begin.")}
      </fieldset>
      <div class="limit-fields">
        <label class="field">
          <span>Number</span>
          <input
            class="input"
            inputMode="numeric"
            value={written.amount}
            onInput={(event) => write({ amount: event.currentTarget.value.trim() })}
          />
        </label>
        {written.kind === "rate" && (
          <label class="field">
            <span>Period, such as 10s or 1h</span>
            <input
              class="input"
              value={written.period}
              onInput={(event) => write({ period: event.currentTarget.value.trim() })}
            />
          </label>
        )}
      </div>
      <p class="wrong" role="alert">
        {wrong || refused}
      </p>
      <p class="soft small">
        It holds at once, for every value of its key, until it is reset: what the code says counts
        no more. What is under way goes on.
      </p>
    </Dialog>
  );
}
