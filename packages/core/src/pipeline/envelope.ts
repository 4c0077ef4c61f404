import { WireType } from "@bufbuild/protobuf/wire";
import type { CallOptions } from "../call-options.ts";
import { methodPath } from "../contract.ts";
import type { AnyMessageType, Contract, MessageType, MethodDescriptor } from "../contract.ts";
import { Acknowledgement, BatchEnd } from "../gen/zerobind/v1/pipeline.pb.ts";
import { BinaryReader, BinaryWriter, noBytes } from "../wire.ts";

/** A job, or the result of one, as it travels: `zerobind.v1.Envelope`, whose body is a message of the contract. */
export interface Envelope {
  readonly batch: Uint8Array;
  readonly number: number;
  readonly attempt: number;
  readonly body: unknown;
}

/**
 * `zerobind.v1.Envelope` around the messages of a type. Written by hand, since the message inside is encoded in place
 * and decoded in place, as any other.
 */
export function enveloped(inner: AnyMessageType): MessageType<Envelope> {
  const type: MessageType<Envelope> = {
    $type: inner.$type,
    encode({ batch, number, attempt, body }, writer = new BinaryWriter()) {
      writer.uint32(10).bytes(batch);
      if (number !== 0) writer.uint32(16).uint64(number);
      if (attempt !== 0) writer.uint32(24).uint32(attempt);
      inner.encode(body, writer.uint32(34).fork()).join();
      return writer;
    },
    decode(input, length) {
      const reader = input instanceof Uint8Array ? new BinaryReader(input) : input;
      return read(reader, length === undefined ? reader.len : reader.pos + length, inner);
    },
    fromPartial: (init) => {
      const { batch = noBytes, number = 0, attempt = 0, body } = init as Partial<Envelope>;
      return { batch, number, attempt, body: inner.fromPartial(body) };
    },
  };
  return type;
}

function read(reader: BinaryReader, end: number, inner: AnyMessageType): Envelope {
  let [batch, number, attempt, body]: [Uint8Array, number, number, unknown] = [noBytes, 0, 0, undefined];
  while (reader.pos < end) {
    const [field, wireType] = reader.tag();
    if (field === 1 && wireType === WireType.LengthDelimited) batch = reader.bytes();
    else if (field === 2 && wireType === WireType.Varint) number = Number(reader.uint64());
    else if (field === 3 && wireType === WireType.Varint) attempt = reader.uint32();
    else if (field === 4 && wireType === WireType.LengthDelimited) body = inner.decode(reader, reader.uint32());
    else reader.skip(wireType, field);
  }
  // Not left undefined: a message that has only defaults may have been left out.
  return { batch, number, attempt, body: body ?? (inner.fromPartial({}) as unknown) };
}

/** One pipeline of a contract: the method itself, and the calls that it is made of. */
export interface PipelineMethod {
  readonly descriptor: MethodDescriptor;
  /** `package.Service/Method`. */
  readonly path: string;
  /** What the ventilator calls at workers. */
  readonly job: MethodDescriptor;
  readonly jobsEnd: MethodDescriptor;
  /** What workers call at the sink. */
  readonly result: MethodDescriptor;
  readonly resultsEnd: MethodDescriptor;
}

/** The pipelines of a contract. TypeError if it has none. */
export function pipelineMethods(contract: Contract): readonly PipelineMethod[] {
  const methods = contract.methods.filter(({ options }) => options?.pattern?.case === "pipeline");
  if (methods.length === 0)
    throw new TypeError(
      `${contract.typeName} has no methods of a pipeline: mark them with option (zerobind.v1.operation) = { pipeline: {} }`,
    );
  return methods.map((descriptor) => ({
    descriptor,
    path: methodPath(contract, descriptor),
    job: internal(descriptor, "job", enveloped(descriptor.input)),
    jobsEnd: internal(descriptor, "jobs-end", BatchEnd),
    result: internal(descriptor, "result", enveloped(descriptor.output)),
    resultsEnd: internal(descriptor, "results-end", BatchEnd),
  }));
}

/** No method of a proto can have such a name, so none of them can be taken for a call of the contract. */
function internal({ name }: MethodDescriptor, role: string, input: AnyMessageType): MethodDescriptor {
  return { name: `${name}/${role}`, localName: `${name}/${role}`, kind: "unary", input, output: Acknowledgement };
}

/** Calls the next end of a pipeline, by the names of the methods. */
type NextEnd = Readonly<Record<string, (message: unknown, options?: CallOptions) => Promise<Acknowledgement>>>;

/** The contract that one end of a pipeline has with the next. */
export function internalContract(contract: Contract, methods: readonly MethodDescriptor[]): Contract<NextEnd, object> {
  return { typeName: contract.typeName, methods };
}

/** The id of a batch as applications see it. */
export function batchName(id: Uint8Array): string {
  return Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
