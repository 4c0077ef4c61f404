import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { ServiceBroker } from "moleculer";
import { messageOf } from "../subject.ts";
import type { Subject } from "../subject.ts";

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  await once(server.close(), "close");
  return port;
}

/** A broker with the TCP transporter, which finds its peer by address rather than by broadcasts. */
function brokerOf(nodeID: string, options: object): ServiceBroker {
  return new ServiceBroker({
    nodeID,
    logger: false,
    // By default, a packet of more than 1 MiB ends the connection.
    transporter: { type: "TCP", options: { udpDiscovery: false, maxPacketSize: 64 << 20, ...options } },
  });
}

/** moleculer with its TCP transporter and its default serializer, JSON: bytes travel as base64. */
export const subject: Subject = {
  async serve() {
    const port = await freePort();
    const broker = brokerOf("server", { port, urls: [`127.0.0.1:${port}/server`] });
    broker.createService({ name: "echo", actions: { call: ({ params }) => params as object } });
    await broker.start();
    return { address: `127.0.0.1:${port}/server` };
  },

  async connect(address) {
    // A server keeps looking for a node of this name where it was: each client process needs one of its own.
    const broker = brokerOf(`client-${process.pid}`, { urls: [address] });
    await broker.start();
    await broker.waitForServices("echo");
    return {
      works(bytes) {
        const { data, ...message } = messageOf(bytes);
        const bytesOf = Buffer.from(data);
        return {
          call: () =>
            broker.call("echo.call", bytes === 0 ? message : { ...message, data: bytesOf.toString("base64") }),
        };
      },
    };
  },
};
