import { Channel, curveClient, makeKeyPair, serverCurve } from "zerobind";
import { clientOf, hostOf } from "./zerobind.ts";
import type { Subject } from "../subject.ts";

/** The subject `zerobind`, encrypted; the address that the client is told ends in the key of the server. */
export const subject: Subject = {
  async serve() {
    const curve = serverCurve({ secretKey: makeKeyPair(), allow: () => "anybody" });
    const host = hostOf({ zeromq: { curve } });
    await host.open("tcp://127.0.0.1:*");
    return { address: `${host.address}#${curve.publicKey}` };
  },

  connect(told) {
    const end = told.indexOf("#");
    const curve = curveClient({ serverKey: told.slice(end + 1) });
    return clientOf(new Channel(told.slice(0, end), { zeromq: { curve } }));
  },
};
