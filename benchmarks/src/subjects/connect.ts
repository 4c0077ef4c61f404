import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import type { Transport } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { Echo, PayloadSchema } from "./gen/es/benchmarks/v1/echo_pb.ts";
import { messageOf, repeatAsync } from "../subject.ts";
import type { Subject } from "../subject.ts";

async function serve(): Promise<{ address: string }> {
  const handler = connectNodeAdapter({
    routes: (router) =>
      router.service(Echo, {
        call: (request) => request,
        download: (request) => repeatAsync(request, request.number),
        async upload(requests) {
          let number = 0;
          for await (const _ of requests) number += 1;
          return { number };
        },
        async *chat(requests) {
          yield* requests;
        },
      }),
  });
  const server = createServer(handler);
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** Connect for Node over HTTP/2 with protobuf-es messages; the transport says which protocol it speaks. */
const over = (transport: (baseUrl: string) => Transport): Subject => ({
  serve,

  async connect(address) {
    const client = createClient(Echo, transport(address));
    await client.call({});
    return {
      works(bytes) {
        const message = create(PayloadSchema, messageOf(bytes));
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
});

/** It would ask for compressed replies, which no other subject does. */
const acceptCompression: [] = [];

/** The protocol of gRPC. */
export const overGrpc = over((baseUrl) => createGrpcTransport({ baseUrl, acceptCompression }));

/** Its own protocol, in binary. */
export const overConnect = over((baseUrl) =>
  createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true, acceptCompression }),
);
