import type { DescFile, DescMessage, FileRegistry } from "@bufbuild/protobuf";
import type { ServiceModel } from "./model.ts";

/** The files whose messages and enumerations the code of a file uses. */
export function referencedFiles(file: DescFile, services: readonly ServiceModel[], registry: FileRegistry): DescFile[] {
  const names = new Set<string>();
  const visit = (message: DescMessage): void => {
    for (const member of message.fields) {
      const type = member.message ?? member.enum;
      if (type !== undefined) names.add(type.file.proto.name);
    }
    message.nestedMessages.forEach(visit);
  };
  file.messages.forEach(visit);
  for (const { methods } of services) {
    for (const { input, output, operation } of methods)
      for (const type of [input, output, ...operation.faults]) names.add(type.file.proto.name);
  }
  return [...names].flatMap((name) => registry.getFile(name) ?? []);
}
