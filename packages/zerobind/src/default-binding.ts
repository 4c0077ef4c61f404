import { binding, memory } from "@zerobind/core";
import type { Binding } from "@zerobind/core";
import { zeromq } from "@zerobind/zeromq";

/** The bindings that are used where none is given: by the scheme of the address, with nothing but a transport. */
export function defaultBinding(address: string): Binding {
  const candidates = [zeromq(), memory()];
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(address)?.[1]?.toLowerCase();
  const transport = candidates.find(({ schemes }) => scheme !== undefined && schemes.includes(scheme));
  if (transport) return binding(transport);
  const known = candidates.flatMap(({ schemes }) => schemes.map((name) => `${name}://`)).join(", ");
  throw new TypeError(
    `"${address}" is no address that a default binding is known for; addresses begin with ${known}, for example tcp://127.0.0.1:5555`,
  );
}
