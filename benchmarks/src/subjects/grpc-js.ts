import { once } from "node:events";
import { credentials, Server, ServerCredentials } from "@grpc/grpc-js";
import type { ServerWritableStream } from "@grpc/grpc-js";
import { EchoClient, EchoService } from "./gen/ts-proto/benchmarks/v1/echo.ts";
import type { EchoServer, Payload } from "./gen/ts-proto/benchmarks/v1/echo.ts";
import { messageOf, repeat } from "../subject.ts";
import type { Subject } from "../subject.ts";

/** Writes all of it, and waits where the stream says that it has enough. */
async function writeAll(
  stream: { write(message: Payload): boolean; end(): void } & NodeJS.EventEmitter,
  messages: Iterable<Payload>,
): Promise<void> {
  for (const message of messages) if (!stream.write(message)) await once(stream, "drain");
  stream.end();
}

const handlers: EchoServer = {
  call: (call, callback) => callback(null, call.request),
  download: (call: ServerWritableStream<Payload, Payload>) => {
    void writeAll(call, repeat(call.request, call.request.number));
  },
  upload(call, callback) {
    let number = 0;
    call.on("data", () => (number += 1));
    call.on("end", () => callback(null, { ...messageOf(0), number }));
  },
  chat(call) {
    call.on("data", (message: Payload) => {
      if (call.write(message)) return;
      call.pause();
      call.once("drain", () => call.resume());
    });
    call.on("end", () => call.end());
  },
};

/** grpc-js with stubs by ts-proto. */
export const subject: Subject = {
  async serve() {
    const server = new Server();
    server.addService(EchoService, handlers);
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    return { address: `127.0.0.1:${port}` };
  },

  async connect(address) {
    const client = new EchoClient(address, credentials.createInsecure());
    const call = (message: Payload): Promise<Payload> =>
      new Promise((resolve, reject) => {
        client.call(message, (error, reply) => (error ? reject(error) : resolve(reply)));
      });
    await call(messageOf(0));
    return {
      works(bytes) {
        const message = messageOf(bytes);
        return {
          call: () => call(message),
          async download(number) {
            const stream = client.download({ ...message, number });
            await once(stream.resume(), "end");
          },
          upload: (count) =>
            new Promise((resolve, reject) => {
              const stream = client.upload((error, reply) => (error ? reject(error) : resolve(reply)));
              void writeAll(stream, repeat(message, count));
            }),
          async chat(count) {
            const stream = client.chat();
            const ended = once(stream.resume(), "end");
            await writeAll(stream, repeat(message, count));
            await ended;
          },
        };
      },
    };
  },
};
