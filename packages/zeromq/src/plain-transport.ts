import { PlainGateway } from "@zerobind/core";
import type { Attachment, AttachmentListener, AttachOptions, PlainUse, TransportElement } from "@zerobind/core";
import type { AddressMode, ParsedAddress } from "./address.ts";
import { keepConnected } from "./connector.ts";
import { AddressGate } from "./gate.ts";
import type { ZeromqSettings } from "./options.ts";
import { PlainConnection } from "./plain-connection.ts";
import { listenPlain } from "./plain-listener.ts";
import { Troubles } from "./trouble.ts";

/** Where REP sockets may be: those of other languages are in other processes, and ZeroMQ's handshake must be visible. */
const plainSchemes: Readonly<Record<AddressMode, readonly string[]>> = {
  connect: ["tcp", "ipc", "ws"],
  bind: ["tcp", "ipc"],
};

/** The ZeroMQ transport for calling ends whose peers are REP sockets. */
export function plainTransport(settings: ZeromqSettings): TransportElement {
  const gate = new AddressGate(settings);
  const checked = (address: string, parsed: ParsedAddress, mode: AddressMode): ParsedAddress => {
    const schemes = plainSchemes[mode];
    if (mode === "bind" && parsed.scheme === "ipc" && parsed.path === undefined)
      throw new TypeError(`${JSON.stringify(address)} has no file, where workers could connect; use a path`);
    if (schemes.includes(parsed.scheme)) return parsed;
    const list = schemes.map((name) => `${name}://`).join(", ");
    throw new TypeError(
      `${JSON.stringify(address)} cannot be used as an address: peers of the plain profile can ${mode === "bind" ? "connect to" : "be at"} ${list}`,
    );
  };
  return {
    kind: "transport",
    name: "zeromq (plain profile)",
    schemes: plainSchemes.connect,
    lacks: ["streams", "sessions", "callbacks"],
    check: (address, mode) => void checked(address, gate.check(address, mode), mode),
    // async, so that what is thrown becomes a rejection.
    async attach(address, options, listener) {
      const parsed = checked(address, gate.pass(address, options.mode), options.mode);
      if (listener.acceptPlain)
        throw new TypeError(
          `${address}: the option profile "plain" is for those who call REP sockets; a host serves plain peers with the profile "native" as well`,
        );
      const use = useOf(settings);
      if (options.mode === "bind") return listenPlain(parsed, settings, options, listener, use);
      return connectPlain(parsed, settings, options, listener, use);
    },
  };
}

function useOf({ callsPerPeer, plainHeader }: ZeromqSettings): Omit<PlainUse, "trouble"> {
  return { callsPerPeer, header: plainHeader, oneWayOnly: false };
}

/** Connects a DEALER to a REP, and goes on connecting until closed. */
function connectPlain(
  target: ParsedAddress,
  settings: ZeromqSettings,
  options: AttachOptions,
  listener: AttachmentListener,
  use: Omit<PlainUse, "trouble">,
): Attachment {
  const troubles = new Troubles((problem) => listener.trouble(`${target.endpoint}: ${problem}`));
  const trouble = (kind: string, describe: () => string): void => troubles.report(kind, describe);
  const gateway = new PlainGateway(options, (link) => listener.accept(link), { ...use, trouble });
  const { address, endpoint, ipv6 } = target;
  const curveOptions = settings.curve.client?.socketOptions(address) ?? {};
  const at = { endpoint, ipv6, remoteAddress: endpoint, curveOptions };
  const make = (owner: ConstructorParameters<typeof PlainConnection>[4]): PlainConnection =>
    new PlainConnection(at, settings, gateway, options.maxFrameBytes, owner);
  const attachment = keepConnected(target, settings, listener, make);
  return {
    address: attachment.address,
    async close(lingerMs) {
      await attachment.close(lingerMs);
      gateway.close();
    },
  };
}
