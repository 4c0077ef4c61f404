/** What can be told of a `.proto` file without compiling it. */
export interface ProtoOutline {
  /** Empty if the file names none. */
  readonly package: string;
  readonly imports: readonly string[];
}

/** Comments are taken out with strings in sight, so that neither is taken for the other. */
const commentOrString = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\/\/[^\n]*|\/\*[^]*?\*\//g;
const importStatement = /\bimport\s*(?:(?:public|weak|option)\b\s*)?(?:"([^"\n]+)"|'([^'\n]+)')\s*;/g;

/** Reads package and imports. Text that no compiler would accept gives some result too; the compiler then says why. */
export function outline(text: string): ProtoOutline {
  const code = text.replace(commentOrString, (match) => (match.startsWith("/") ? " " : match));
  return {
    package: /\bpackage\s+([\w.]+)\s*;/.exec(code)?.[1] ?? "",
    imports: [...code.matchAll(importStatement)].map((match) => match[1] ?? match[2] ?? ""),
  };
}
