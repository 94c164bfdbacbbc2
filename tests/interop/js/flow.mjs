// A function for each control of flow in JavaScript, served with node:http by the SDK that SDK names
// (inngest3 or inngest4), or by its worker connection if TRANSPORT is connect. Every handler notes
// when it begins and ends under the token of its events; GET /log tells it. Run by the tests with:
// SDK, PORT, APP_ID, TRANSPORT and INNGEST_DEV (the server's origin).
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const { SDK, PORT, APP_ID, TRANSPORT = "serve" } = process.env;
const sdk = await import(SDK);
const { serve } = await import(`${SDK}/node`);
const modern = SDK === "inngest4";
const client = new sdk.Inngest({ id: APP_ID });
const notes = new Map();
const functions = [];

const control = (id, seconds, options) => {
  const trigger = { event: `${APP_ID}/${id}` };
  const handler = async ({ event, events, step }) => {
    const numbers = events.map(({ data }) => data.n);
    const { token, key = null } = event.data;
    await step.run("work", async () => {
      const began = Date.now() / 1000;
      await sleep(seconds * 1000);
      if (!notes.has(token)) notes.set(token, []);
      notes.get(token).push({ n: numbers, key, began, ended: Date.now() / 1000 });
    });
    if (id === "timeouts-finish") await step.sleep("long", "1m");
    return numbers;
  };
  const all = { id, retries: 0, ...options };
  functions.push(
    modern
      ? client.createFunction({ ...all, triggers: [trigger] }, handler)
      : client.createFunction(all, trigger, handler),
  );
};

const key = "event.data.key";
const one = [{ limit: 1 }];

control("rate-limit", 0, { rateLimit: { limit: 1, period: "1m", key } });
control("idempotency", 0, { idempotency: key });
control("debounce", 0, { debounce: { period: "1s", key } });
control("batch", 0, { batchEvents: { maxSize: 3, timeout: "30s" } });
control("batch-timeout", 0, { batchEvents: { maxSize: 10, timeout: "1s", key } });
control("singleton-skip", 1, { singleton: { mode: "skip", key } });
control("singleton-cancel", 1, { singleton: { mode: "cancel", key } });
control("concurrency", 0.3, { concurrency: one });
control("concurrency-key", 0.3, { concurrency: [{ limit: 1, key }] });
control("throttle", 0, { throttle: { limit: 1, period: "2s", burst: 0 } });
control("priority", 0.3, { concurrency: one, priority: { run: `${key} == 'vip' ? 600 : 0` } });
control("timeouts-start", 2, { concurrency: one, timeouts: { start: "1s" } });
control("timeouts-finish", 0, { timeouts: { finish: "1s" } });

const inngest = serve({ client, functions });
if (TRANSPORT === "connect") {
  const { connect } = await import(`${SDK}/connect`);
  await connect({ apps: [{ client, functions }], instanceId: APP_ID });
}

http
  .createServer((request, response) => {
    const url = new URL(request.url, "http://app");
    if (url.pathname !== "/log") return inngest(request, response);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(notes.get(url.searchParams.get("token")) ?? []));
  })
  .listen(Number(PORT), "127.0.0.1");
