import { Channel, ServiceHost } from "zerobind";
import type { ServiceHostOptions } from "zerobind";
import { Echo } from "../gen/benchmarks/v1/echo.rpc.ts";
import { messageOf, repeat } from "../subject.ts";
import type { Client, Subject } from "../subject.ts";
import { clientExtras, serveExtras } from "./zerobind-extras.ts";

/** A whole run is one stream, whatever its length. */
const noTimeout = { timeoutMs: Infinity };

/** A host that answers all kinds of calls with what it gets. */
export function hostOf(options?: ServiceHostOptions): ServiceHost {
  return new ServiceHost(options).serve(Echo, {
    call: (request) => request,
    download: (request) => repeat(request, request.number),
    async upload(requests) {
      let number = 0;
      for await (const _ of requests) number += 1;
      return { number };
    },
    chat: (requests) => requests,
  });
}

/** Generated stubs and handlers, all defaults on: deadlines, credit, limits. */
export const subject: Subject = {
  async serve() {
    const host = hostOf();
    const extras = serveExtras(host);
    await host.open("tcp://127.0.0.1:*");
    return { address: host.address, extras };
  },

  async connect(address) {
    return { extras: clientExtras(address), ...(await clientOf(new Channel(address))) };
  },
};

/** What a client does over a channel, once its first call is answered. */
export async function clientOf(channel: Channel): Promise<Client> {
  const client = channel.client(Echo);
  await client.call({});
  return {
    works(bytes) {
      const message = messageOf(bytes);
      return {
        call: () => client.call(message),
        async download(number) {
          for await (const _ of client.download({ ...message, number }, noTimeout));
        },
        upload: (count) => client.upload(repeat(message, count), noTimeout),
        async chat(count) {
          for await (const _ of client.chat(repeat(message, count), noTimeout));
        },
      };
    },
  };
}
