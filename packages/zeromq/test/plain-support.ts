import { Behavior } from "../../core/test/gen/test/v1/behavior.rpc.ts";
import { EchoReply, EchoRequest } from "../../core/test/gen/test/v1/behavior.pb.ts";

export type Frames = readonly Buffer[];

/** The methods that the plain profile can carry. */
export const unary: typeof Behavior = {
  ...Behavior,
  methods: Behavior.methods.filter(({ kind }) => kind === "unary"),
};

/** The methods that have no reply. */
export const oneWay: typeof Behavior = {
  ...Behavior,
  methods: Behavior.methods.filter(({ options }) => options?.pattern?.case === "one_way"),
};

/** What a plain peer answers to Echo: the text in upper case. */
export function answerEcho([, body]: Frames): Frames {
  const { text } = EchoRequest.decode(body!);
  return [Buffer.alloc(0), Buffer.from(EchoReply.encode({ text: text.toUpperCase(), data: Buffer.alloc(0) }).finish())];
}
