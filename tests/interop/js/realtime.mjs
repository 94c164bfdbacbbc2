// The official JavaScript SDK publishes and subscribes at our server: with a client, from a step,
// and as a stream. What it heard it prints as JSON, one line each. Run by the tests with: APP_ID,
// PORT and INNGEST_DEV (the server's origin).
import http from "node:http";
import { Inngest } from "inngest4";
import { serve } from "inngest4/node";
import { channel, subscribe } from "inngest4/realtime";

const { PORT, APP_ID } = process.env;
const client = new Inngest({ id: APP_ID });
const order = channel({ name: (id) => `order:${id}`, topics: { status: {}, text: {} } })("js");

const tell = client.createFunction(
  { id: "tell", triggers: [{ event: `${APP_ID}/go` }] },
  async ({ step }) => step.realtime.publish("told", order.status, { from: "step" }),
);

const server = http.createServer(serve({ client, functions: [tell] }));
await new Promise((ready) => server.listen(Number(PORT), "127.0.0.1", ready));
await fetch(`http://127.0.0.1:${PORT}/api/inngest`, { method: "PUT" });

const token = await client.realtime.token({ channel: order, topics: ["status"] });
const stream = await subscribe(token);
const reader = stream.getReader();
const say = (value) => console.log(JSON.stringify(value));
const heard = async () => {
  const { value } = await reader.read();
  say({ kind: value.kind, topic: value.topic, data: value.data, run: Boolean(value.runId) });
  return value;
};

await client.realtime.publish(order.status, { from: "client" });
await heard();
await client.send({ name: `${APP_ID}/go` });
await heard();
const text = new ReadableStream({
  start: (controller) => {
    controller.enqueue(new TextEncoder().encode("as it comes"));
    controller.close();
  },
});
// Version 4.24.0 cannot hear a stream itself: it stumbles over its own variable at the start of one.
await client.inngestApi.publish({ channel: order.name, topics: ["text"] }, text);
stream.unsubscribe();
server.close();
server.closeAllConnections();
process.exit(0);
