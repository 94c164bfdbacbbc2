/** Where a server that opens to nobody without a key asks for one. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { logIn } from "../../api/session";
import { refresh } from "../../live/answer";
import { Mark } from "../../parts/icon";
import "./login.css";

export function LoginPage(): JSX.Element {
  const [key, setKey] = useState("");
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const give = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    try {
      await logIn(key.trim());
      refresh();
    } catch (error) {
      setWrong((error as Error).message);
    }
    setBusy(false);
  };
  return (
    <main class="login">
      <form class="card" onSubmit={give}>
        <h1>
          <Mark /> Stepwell
        </h1>
        <label class="field">
          <span>Key</span>
          <input
            class="input"
            type="password"
            autocomplete="current-password"
            placeholder="swk_…"
            required
            value={key}
            onInput={(event) => {
              setKey(event.currentTarget.value);
              setWrong("");
            }}
          />
        </label>
        {wrong && (
          <p class="wrong" role="alert">
            {wrong}
          </p>
        )}
        <button type="submit" class="button main" disabled={busy || key.trim() === ""}>
          Log in
        </button>
        <p class="small soft">
          Whoever runs this server makes keys with <code>stepwell keys create NAME</code>. The
          browser keeps no key: it gets a session of twelve hours.
        </p>
      </form>
    </main>
  );
}
