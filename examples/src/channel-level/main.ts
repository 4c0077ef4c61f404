// Both ends of a call without contract, client or handler: messages are sent and answered by hand, over a binding.
//
//   node examples/dist/channel-level/main.js
//
// The serving end takes requests from a reply channel, keeps them as long as it likes, and answers each through its
// context, in whatever order. The calling end sends messages over a request channel.
import { deepEqual, strictEqual } from "node:assert/strict";
import { Message, RpcError, Status, binding, zeromq } from "zerobind";
import type { ReplyChannel, RequestChannel, RequestContext } from "zerobind";

// The stack that messages go through; elements that compress or seal them would stand before the transport.
const stack = binding(zeromq());

const path = "examples.words.v1.Words/Reverse";
const toMessage = (text: string): Message => new Message(new TextEncoder().encode(text), { path });
const toText = ({ body }: Message): string => new TextDecoder().decode(body);
const reversed = (text: string): string => Array.from(text).reverse().join("");

/** Takes requests until none comes for `idleMs`, and answers them all then: the last one first. */
async function serveBackwards(replies: ReplyChannel, idleMs: number): Promise<void> {
  const unanswered: RequestContext[] = [];
  for (;;) {
    const result = await replies.tryReceiveRequest(idleMs);
    if (result.status === "closed") return;
    if (result.status === "request") {
      console.log(`server: received ${toText(result.context.request)}`);
      unanswered.push(result.context);
      continue;
    }
    for (let context = unanswered.pop(); context; context = unanswered.pop()) await answer(context);
  }
}

/** A context that is not answered when its block ends answers with a fault, so that nobody waits in vain. */
async function answer(context: RequestContext): Promise<void> {
  await using answered = context;
  const text = toText(answered.request);
  if (text === "refuse me") await answered.fail(new RpcError(Status.FAILED_PRECONDITION, "as you wish"));
  else if (text !== "forget me") await answered.reply(toMessage(reversed(text)));
}

/** Sends all words at once and notes in which order the answers come. */
async function ask(requests: RequestChannel, words: readonly string[]): Promise<string[]> {
  const order: string[] = [];
  const replies = words.map(async (word) => {
    const reply = toText(await requests.request(toMessage(word), { timeoutMs: 5_000 }));
    strictEqual(reply, reversed(word));
    order.push(reply);
    console.log(`client: ${word} came back as ${reply}`);
  });
  await Promise.all(replies);
  return order;
}

async function failure(requests: RequestChannel, text: string): Promise<string> {
  try {
    await requests.request(toMessage(text), { timeoutMs: 5_000 });
  } catch (error) {
    return String(error);
  }
  throw new Error("the request should have failed");
}

const replies = await stack.listen("tcp://127.0.0.1:*");
const serving = serveBackwards(replies, 50);
const requests = stack.connect(replies.address);

deepEqual(await ask(requests, ["one", "two", "three"]), ["eerht", "owt", "eno"]);
for (const text of ["refuse me", "forget me"]) console.log(`client: ${text}: ${await failure(requests, text)}`);

await requests.close();
await replies.close();
await serving;
console.log("channel-level: ok");
