// Reads a durable endpoint's stream as the official JavaScript SDK does. Prints what came as JSON.
// Run by the tests with: URL.
import { fetchWithStream } from "inngest4/experimental/durable-endpoints/client";

const pushed = [];
const answer = await fetchWithStream(process.env.URL, {
  onData: ({ data }) => pushed.push(data),
});
console.log(JSON.stringify({ pushed, status: answer.status, body: await answer.json() }));
process.exit(0); // the SDK leaves the connection open
