/** The width of generated lines. Names that are longer than that stay whole. */
const width = 120;

/** A method of an interface, broken over lines the way prettier does it. */
export function wrapSignature(name: string, parameters: readonly string[], returns: readonly string[]): string {
  const result = returns.join(" | ");
  const flat = `  ${name}(${parameters.join(", ")}): ${result};`;
  if (flat.length <= width) return flat;
  const head = [`  ${name}(`, ...parameters.map((parameter) => `    ${parameter},`)];
  const last = `  ): ${result};`;
  if (last.length <= width || returns.length === 1) return [...head, last].join("\n");
  return [
    ...head,
    "  ):",
    ...returns.map((member, index) => `    | ${member}${index === returns.length - 1 ? ";" : ""}`),
  ].join("\n");
}

/** An import, broken over lines if it is too long for one. */
export function wrapImport(keyword: string, names: readonly string[], specifier: string): string {
  const flat = `${keyword} { ${names.join(", ")} } from ${specifier};`;
  if (flat.length <= width) return flat;
  return [`${keyword} {`, ...names.map((name) => `  ${name},`), `} from ${specifier};`].join("\n");
}

/** An object literal in one line, or with one line for each entry, after `before` and with a comma at its end. */
export function wrapObject(entries: readonly string[], indent: string, before = ""): string {
  const flat = `${indent}${before}{ ${entries.join(", ")} },`;
  if (flat.length <= width && !flat.includes("\n")) return flat;
  return [`${indent}${before}{`, ...entries.map((entry) => `${indent}  ${entry},`), `${indent}},`].join("\n");
}

/** The start of a constant with the type arguments of its type, the last of them an object type if it has members. */
export function wrapTypeArguments(before: string, types: readonly string[], members: readonly string[]): string {
  const object = members.length === 0 ? [] : [`{ ${members.join("; ")} }`];
  const flat = `${before}<${[...types, ...object].join(", ")}>`;
  if (`${flat} = {`.length <= width) return flat;
  const last = object.map((text) =>
    text.length + 2 <= width ? text : ["{", ...members.map((member) => `    ${member};`), "  }"].join("\n"),
  );
  return `${before}<\n${[...types, ...last].map((type) => `  ${type}`).join(",\n")}\n>`;
}
