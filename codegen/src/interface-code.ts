import { docBlock } from "./doc-comment.ts";
import type { MethodModel } from "./model.ts";
import { wrapSignature } from "./wrap.ts";

/** The parameters and the result of a method. */
export interface Signature {
  readonly parameters: readonly string[];
  /** The members of the union that the method returns. */
  readonly returns: readonly string[];
}

/** An interface with its members, each of which may have lines. */
export function interfaceCode(name: string, doc: string, members: readonly string[]): string {
  if (members.length === 0)
    return `${doc}\n// eslint-disable-next-line @typescript-eslint/no-empty-object-type\nexport interface ${name} {}`;
  // An empty line sets off members that have a comment, and those that follow one.
  const spaced = members.map((text, index) => {
    const before = members[index - 1];
    return before !== undefined && (text.includes("\n") || before.includes("\n")) ? `\n${text}` : text;
  });
  return `${doc}\nexport interface ${name} {\n${spaced.join("\n")}\n}`;
}

/** The method with its comment, to which `more` is added. */
export function methodCode(method: MethodModel, signature: Signature, more: readonly string[] = []): string {
  const code = wrapSignature(method.localName, signature.parameters, signature.returns);
  const parts = [method.comment, more].filter((lines) => lines.length > 0);
  const comment = parts.flatMap((lines, index) => (index === 0 ? lines : ["", ...lines]));
  return comment.length > 0 || method.deprecated ? `${docBlock(comment, method.deprecated, "  ")}\n${code}` : code;
}
