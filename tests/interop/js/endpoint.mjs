// Durable endpoints of the official JavaScript SDK at our server: GET /quick runs its steps and
// answers, GET /slow has to wait and answers elsewhere, GET /flaky fails once, GET /stream tells what
// it does as it goes. GET /log gives what the steps noted. Run by the tests with: PORT and
// INNGEST_DEV (the server's origin); SIGNING_KEY makes it check signatures.
import http from "node:http";
import { Inngest, step } from "inngest4";
import { endpointAdapter, serveEndpoint } from "inngest4/node";
import { stream } from "inngest4/experimental/durable-endpoints";

const { PORT, APP_ID } = process.env;
const client = new Inngest({ id: APP_ID, endpointAdapter });
const noted = [];
const note = (what) => {
  noted.push(what);
  return { what };
};

const quick = client.endpoint(async () => {
  const one = await step.run("one", () => note("quick one"));
  const two = await step.run("two", () => note("quick two"));
  return Response.json([one, two]);
});

const slow = client.endpoint(async (request) => {
  const name = new URL(request.url).searchParams.get("name");
  const before = await step.run("before", () => note(`slow before ${name}`));
  await step.sleep("nap", "1s");
  const after = await step.run("after", () => note(`slow after ${name}`));
  return { before, after, name };
});

let tries = 0;
const flaky = client.endpoint(async () => {
  const found = await step.run("try", () => {
    tries += 1;
    if (tries === 1) throw new Error("not yet");
    return note(`flaky ${tries}`);
  });
  return { found };
});

const streamed = client.endpoint(async () => {
  stream.push("first");
  await step.run("one", () => note("stream one"));
  await step.sleep("nap", "1s");
  stream.push("second");
  return { streamed: true };
});

const routes = { "/quick": quick, "/slow": slow, "/flaky": flaky, "/stream": streamed };
const server = http.createServer((request, answer) => {
  const path = new URL(request.url, "http://x").pathname;
  if (path === "/log") {
    answer.end(JSON.stringify(noted));
  } else if (path in routes) {
    serveEndpoint(routes[path])(request, answer);
  } else {
    answer.statusCode = 404;
    answer.end();
  }
});
server.listen(Number(PORT), "127.0.0.1");
