import { createChannel, createClient, createServer } from "nice-grpc";
import { EchoDefinition } from "./gen/ts-proto/benchmarks/v1/echo.ts";
import { messageOf, repeatAsync } from "../subject.ts";
import type { Subject } from "../subject.ts";

/** nice-grpc with definitions by ts-proto. */
export const subject: Subject = {
  async serve() {
    const server = createServer();
    server.add(EchoDefinition, {
      call: (request) => Promise.resolve(request),
      download: (request) => repeatAsync(request, request.number),
      async upload(requests) {
        let number = 0;
        for await (const _ of requests) number += 1;
        return { number };
      },
      async *chat(requests) {
        yield* requests;
      },
    });
    return { address: `127.0.0.1:${await server.listen("127.0.0.1:0")}` };
  },

  async connect(address) {
    const client = createClient(EchoDefinition, createChannel(address));
    await client.call({});
    return {
      works(bytes) {
        const message = messageOf(bytes);
        return {
          call: () => client.call(message),
          async download(number) {
            for await (const _ of client.download({ ...message, number }));
          },
          upload: (count) => client.upload(repeatAsync(message, count)),
          async chat(count) {
            for await (const _ of client.chat(repeatAsync(message, count)));
          },
        };
      },
    };
  },
};
