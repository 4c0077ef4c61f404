import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  CodeGeneratorRequestSchema,
  CodeGeneratorResponse_Feature,
  CodeGeneratorResponse_FileSchema,
  CodeGeneratorResponseSchema,
  Edition,
  type CodeGeneratorResponse,
} from "@bufbuild/protobuf/wkt";
import { CodegenError } from "./codegen-error.ts";
import { generateCode } from "./codegen.ts";
import { parseParameter } from "./plugin-options.ts";

/**
 * `protoc-gen-zerobind` without its pipes: takes the bytes of a CodeGeneratorRequest, answers with those of a
 * CodeGeneratorResponse. What is wrong with the protos is in the response; anything that is thrown is a bug.
 */
export function runPlugin(request: Uint8Array): Uint8Array {
  return toBinary(CodeGeneratorResponseSchema, respond(request));
}

function respond(bytes: Uint8Array): CodeGeneratorResponse {
  const request = fromBinary(CodeGeneratorRequestSchema, bytes);
  // Editions are declared so that such files come here and are refused with their line, not by the compiler without one.
  const response = create(CodeGeneratorResponseSchema, {
    supportedFeatures: BigInt(
      CodeGeneratorResponse_Feature.PROTO3_OPTIONAL | CodeGeneratorResponse_Feature.SUPPORTS_EDITIONS,
    ),
    minimumEdition: Edition.EDITION_PROTO2,
    maximumEdition: Edition.EDITION_2024,
  });
  try {
    const wanted = { names: request.fileToGenerate, withReferences: false };
    const files = generateCode(request.protoFile, wanted, parseParameter(request.parameter));
    response.file = files.map(({ path, content }) => create(CodeGeneratorResponse_FileSchema, { name: path, content }));
  } catch (error) {
    if (!(error instanceof CodegenError)) throw error;
    response.error = error.message;
  }
  return response;
}

/** `protoc-gen-zerobind` as a process: reads standard input to its end and writes the response to standard output. */
export async function pluginMain(): Promise<void> {
  const chunks: Buffer[] = [];
  // Not readFileSync(0): after it, on a pipe, Node 20 resolves no symbolic links in require (stale stat values).
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  process.stdout.write(runPlugin(Buffer.concat(chunks)));
}
