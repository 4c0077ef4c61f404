import { CountQueuingStrategy, ReadableStream } from "node:stream/web";
import type { ReadableStreamDefaultController } from "node:stream/web";
import { RpcError, Status } from "zerobind";
import type { Heard, Said } from "../gen/examples/chat/v1/chat.pb.ts";
import type { ChatRoomHandler } from "../gen/examples/chat/v1/chat.rpc.ts";

/** Lines that a participant may be behind, beyond what the stream's own window holds. */
const maxLinesBehind = 100;

/** A room: what one participant says is told to all, itself included. */
export class ChatRoom implements ChatRoomHandler {
  /** By name, the end of a participant's queue that the room writes to. */
  readonly #participants = new Map<string, ReadableStreamDefaultController<Heard>>();

  async *join(requests: AsyncIterable<Said>): AsyncGenerator<Heard> {
    const said = requests[Symbol.asyncIterator]();
    const name = this.#admit(await said.next());
    let queue!: ReadableStreamDefaultController<Heard>;
    const heard = new ReadableStream<Heard>(
      { start: (controller) => void (queue = controller) },
      new CountQueuingStrategy({ highWaterMark: maxLinesBehind }),
    );
    this.#participants.set(name, queue);
    this.#tell({ author: "", text: `${name} has joined` });
    void this.#listen(name, said, queue);
    try {
      yield* heard;
    } finally {
      this.#remove(name, queue);
    }
  }

  #admit(first: IteratorResult<Said>): string {
    const content = first.done ? undefined : first.value.content;
    if (content?.$case !== "name" || content.value === "") {
      throw new RpcError(Status.INVALID_ARGUMENT, "the first message must say the name to join under");
    }
    if (this.#participants.has(content.value)) {
      throw new RpcError(Status.ALREADY_EXISTS, `there is a ${content.value} in the room already`);
    }
    return content.value;
  }

  /** Hands on what a participant says, until it has said everything or is gone; then lets it out. */
  async #listen(name: string, said: AsyncIterator<Said>, queue: ReadableStreamDefaultController<Heard>): Promise<void> {
    try {
      for (let next = await said.next(); !next.done; next = await said.next()) {
        if (next.value.content?.$case === "text") this.#tell({ author: name, text: next.value.content.value });
      }
      if (this.#remove(name, queue)) queue.close();
    } catch (error) {
      // It has cancelled or lost its connection: it has left all the same.
      this.#remove(name, queue);
      queue.error(error);
    }
  }

  /** Whoever does not keep up is put out, so that the room neither waits nor keeps lines without bound. */
  #tell(line: Heard): void {
    for (const [name, queue] of [...this.#participants]) {
      if ((queue.desiredSize ?? 0) > 0) queue.enqueue(line);
      else if (this.#remove(name, queue)) {
        queue.error(new RpcError(Status.RESOURCE_EXHAUSTED, `${name} is ${maxLinesBehind} lines behind`));
      }
    }
  }

  /** False if it is not in the room any more; its name may be somebody else's by now. */
  #remove(name: string, queue: ReadableStreamDefaultController<Heard>): boolean {
    if (this.#participants.get(name) !== queue) return false;
    this.#participants.delete(name);
    this.#tell({ author: "", text: `${name} has left` });
    return true;
  }
}
