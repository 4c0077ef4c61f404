import type { FileDescriptorProto, SourceCodeInfo_Location } from "@bufbuild/protobuf/wkt";
import type { Problem } from "./codegen-error.ts";

/** The way from a file to one of its parts, in field numbers and indexes of descriptor.proto. */
export type Path = readonly number[];

/** Field numbers of descriptor.proto that paths are made of. */
export const field = {
  file: { message: 4, enum: 5, service: 6, syntax: 12, edition: 14 },
  message: { field: 2, message: 3, enum: 4, oneof: 8 },
  enum: { value: 2 },
  service: { method: 2, options: 3 },
  method: { options: 4 },
  name: 1,
} as const;

/** Where the parts of a file stand, and what is said of them in comments. Knows nothing if the compiler sent nothing. */
export class SourceInfo {
  readonly #file: string;
  readonly #locations = new Map<string, SourceCodeInfo_Location>();

  constructor(file: FileDescriptorProto) {
    this.#file = file.name;
    for (const location of file.sourceCodeInfo?.location ?? []) {
      const key = location.path.join(".");
      if (!this.#locations.has(key)) this.#locations.set(key, location);
    }
  }

  /** A problem at the first of the paths whose place is known. */
  problem(message: string, ...paths: Path[]): Problem {
    for (const path of paths) {
      const span = this.#find(path)?.span;
      if (span?.[0] !== undefined && span[1] !== undefined) {
        return { file: this.#file, line: span[0] + 1, column: span[1] + 1, message };
      }
    }
    return { file: this.#file, message };
  }

  /** The lines of the comment before the part, then of the one after it. */
  comment(path: Path): string[] {
    const location = this.#locations.get(path.join("."));
    const texts = [location?.leadingComments, location?.trailingComments].map((text) => commentLines(text ?? ""));
    return texts
      .filter((lines) => lines.length > 0)
      .reduce<string[]>((all, lines) => (all.length > 0 ? [...all, "", ...lines] : lines), []);
  }

  /** The location of the path, or else of the first part inside it: compilers record options only part by part. */
  #find(path: Path): SourceCodeInfo_Location | undefined {
    const key = path.join(".");
    const exact = this.#locations.get(key);
    if (exact !== undefined) return exact;
    for (const [other, location] of this.#locations) if (other.startsWith(`${key}.`)) return location;
    return undefined;
  }
}

/** The lines of a comment without the space that follows each comment sign, and without empty lines around them. */
function commentLines(text: string): string[] {
  const lines = text.split(/\r\n|[\n\r\u2028\u2029]/).map((line) => line.trimEnd());
  const indent = lines.every((line) => line === "" || line.startsWith(" ")) ? 1 : 0;
  const inner = lines.map((line) => line.slice(indent));
  while (inner[0] === "") inner.shift();
  while (inner.at(-1) === "") inner.pop();
  return inner;
}
