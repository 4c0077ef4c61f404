import { binding, memory } from "@zerobind/core";
import type { BindingChoice } from "@zerobind/core";
import { zeromq } from "@zerobind/zeromq";
import type { ZeromqOptions } from "@zerobind/zeromq";

/**
 * The bindings that are used where none is given: a transport alone, chosen by the scheme of the address. The function
 * throws TypeError for an address of no known scheme; options of the ZeroMQ transport are checked at once.
 */
export function defaultBindings(options?: ZeromqOptions): BindingChoice {
  const transports = [zeromq(options), memory()];
  const known = transports.flatMap(({ schemes }) => schemes.map((name) => `${name}://`)).join(", ");
  return (address) => {
    const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(address)?.[1]?.toLowerCase();
    const transport = transports.find(({ schemes }) => scheme !== undefined && schemes.includes(scheme));
    if (transport) return binding(transport);
    const meant = /^[\w.-]+:\d+$/.test(address) ? `tcp://${address}` : "tcp://127.0.0.1:5555";
    throw new TypeError(
      `"${address}" is no address that a default binding is known for; addresses begin with ${known}, for example ${meant}`,
    );
  };
}
